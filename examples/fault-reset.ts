/** A reset in the middle of a response: what does a client report? `npm run example fault-reset` */
import { createWire, res, rst } from '../fault';

async function main(): Promise<void> {
  const wire = createWire({ seed: 42 });
  await wire.serve((_, response) => response.end('0123456789'));
  wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
  const error = await wire.get('/').catch((failure: NodeJS.ErrnoException) => failure);
  console.log((error as Error).message);
  console.log(wire.report().ladder());
  wire.close();
}

void main();
