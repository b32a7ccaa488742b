import { createHash } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { createWorld } from '../../../../sim/world';
import { modulesOf } from '../../../../tools/modules';
import { piece } from '../../../../tools/serve/bytes';
import { createHandler } from '../../../../tools/serve/handler';

// The program of `tapwire serve`, and a client, on a wire in memory in virtual time: one seed, one run.

interface Run {
  hash: string;
  bodies: string[];
  virtualMs: number;
}

function bodyOf(request: ClientRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response: IncomingMessage) => {
      const hash = createHash('sha256');
      response.on('data', (chunk: Buffer) => hash.update(chunk));
      response.on('end', () => resolve(hash.digest('hex')));
      response.on('error', reject);
    });
  });
}

async function program(seed: number, lossPpm: number): Promise<Run> {
  const world = createWorld({ seed, timers: true });
  try {
    const wire = world.link({ delayMs: 5, jitterMs: 1, lossPpm });
    const server = world.host('server', { link: wire, address: '10.77.0.2/24' });
    const client = world.host('client', { link: wire, address: '10.77.0.1/24' });
    const facts = { wire: 'in virtual time', why: '', version: '0' };
    const handler = createHandler({ root: null, facts, storyOf: () => null, onError: (error) => fail(error) });
    modulesOf(server.host).http.createServer(handler).listen(80);
    const { http } = modulesOf(client.host);
    const ask = (method: string, path: string, body?: Uint8Array): Promise<string> => {
      const request = http.request({ host: '10.77.0.2', port: 80, method, path, agent: false });
      const done = bodyOf(request);
      request.end(body);
      return done;
    };
    const upload = piece(3, 0, 100_000);
    const bodies = await world.until(
      Promise.all([
        ask('GET', '/bytes/400000?seed=1'),
        ask('POST', '/sink', upload),
        ask('POST', '/echo', upload),
        ask('GET', '/delay/50'),
        ask('GET', '/'),
      ]),
      120_000,
    );
    await world.settled();
    return { hash: world.hash(), bodies, virtualMs: world.now };
  } finally {
    world.close();
  }
}

const fail = (error: unknown): never => {
  throw error;
};

test.each([0, 20_000])(
  'with %d lost frames in a million the same seed gives the same trace, to the last bit',
  async (ppm) => {
    const one = await program(7, ppm);
    const two = await program(7, ppm);
    expect(two).toEqual(one);
    const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    expect(one.bodies[0]).toBe(sha256(piece(1, 0, 400_000)));
    expect(one.bodies[2]).toBe(sha256(piece(3, 0, 100_000)));
  },
);

test('another seed gives another trace, and the same bodies', async () => {
  const one = await program(7, 20_000);
  const other = await program(8, 20_000);
  expect(other.hash).not.toBe(one.hash);
  expect([other.bodies[0], other.bodies[2]]).toEqual([one.bodies[0], one.bodies[2]]);
});
