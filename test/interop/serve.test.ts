import {
  captured,
  cleanExit,
  download,
  killedClients,
  nothingHeld,
  parallel,
  ping,
  queueDrops,
  upload,
  withFile,
  wrk,
} from './serve/checks';
import { withTools } from './serve/lab';
import { type Stand, stand, WIRES } from './serve/wires';

// The built `tapwire serve` and the kernel's clients, on each wire. `npm run acceptance` asks the same for longer.

const MB = 1_000_000;

describe.each(WIRES)('tapwire serve on %s', (wire) => {
  let at: Stand;
  let descriptors: number | null;

  beforeAll(async () => {
    at = await stand(wire);
    descriptors = (await at.serve.report()).process.descriptors;
  }, 30_000);

  afterAll(async () => {
    await at?.close();
  });

  test('curl downloads 20 MB', () => download(at, 20 * MB, 1), 60_000);

  test('curl uploads 20 MB', () => withFile(20 * MB, 2, (path) => upload(at, path, 20 * MB, 2)), 60_000);

  test('twenty curls at once', () => parallel(at, 20, MB), 60_000);

  withTools('ping')(
    'ping, also in fragments',
    async () => {
      await ping(at, 5, 1400);
      if (wire !== 'packet') await ping(at, 3, 8000);
    },
    30_000,
  );

  withTools('wrk')('wrk with 64 connections', () => wrk(at, 1).then(() => {}), 60_000);

  test('clients killed in the middle leave nothing behind', () => killedClients(at, 12, 4), 90_000);

  test('afterwards nothing is held', () => nothingHeld(at, descriptors), 30_000);

  test('Ctrl-C: exit 0, nothing of the device is left', () => cleanExit(at, wire), 30_000);
});

withTools('ping', 'tcpdump', 'tshark')(
  'without offload tshark has nothing against any packet',
  async () => {
    const at = await stand('tun', ['--no-offload']);
    try {
      const { packets, wrong } = await captured(at, false, async () => {
        await download(at, 2 * MB, 3);
        await withFile(2 * MB, 4, (path) => upload(at, path, 2 * MB, 4));
        await ping(at, 3, 1400);
      });
      expect(packets).toBeGreaterThan(1000);
      expect([wrong, queueDrops(at)]).toEqual([[], 0]);
    } finally {
      await at.close();
    }
  },
  90_000,
);
