/** 413 while the upload goes on: every order of response, FIN, RST and the client's write. */
import { permute } from 'tapwire/fault';
import { sketch } from './sketch/sketch';

void sketch('413 early, 24 orders', async () => {
  const outcomes = await permute(['res', 'fin', 'rst', 'write'], {
    setup: (wire) => wire.serve((_, response) => response.writeHead(413).end('no')),
    test: (wire) =>
      wire.request({ method: 'POST', body: Buffer.alloc(30_000) }).then(
        (reply) => `${reply.status}`,
        (error: Error & { reply?: { status?: number } }) =>
          error.reply === undefined ? 'the response is lost' : '413',
      ),
  });
  const count = (text: string): number => outcomes.filter(({ outcome }) => outcome === text).length;
  console.log(`413: ${count('413')} orders, the response is lost: ${count('the response is lost')}`);
  if (outcomes.length !== 24 || count('413') === 0 || count('the response is lost') === 0) throw new Error('24 orders');
});
