import { accessSync, constants } from 'node:fs';
import { isTogether, type Outcome, outcome, PROGRAMS, runTogether, start, type Wire } from '../packages/run';
import { Namespace } from './serve/lab';

// Unmodified packages over TUN: server and client in processes of their own, one or both on a stack of ours, and what they
// see is word for word what they see in one process over the kernel's loopback.

interface Side {
  wire: Wire;
  device?: string;
  /** Where it listens, and where it is asked. */
  listens: string;
  asked: string;
}

const KERNEL: Side = { wire: 'kernel', listens: '0.0.0.0', asked: '10.77.0.1' };
const FIRST: Side = {
  wire: 'register',
  device: '--tun tapwire0 --address 10.77.0.2/24 --host-address 10.77.0.1/24',
  listens: '10.77.0.2',
  asked: '10.77.0.2',
};
const SECOND: Side = { ...FIRST, device: '--tun tapwire1 --address 10.78.0.2/24 --host-address 10.78.0.1/24' };

/** Server and client. */
const PAIRS: [string, Side, Side][] = [
  ['our server, the kernel as client', FIRST, KERNEL],
  ['the kernel as server, our client', KERNEL, FIRST],
  ['our server, our client on another device', FIRST, SECOND],
];

type Asked = { saw?: unknown };

/** Runs a program's server and client, and carries what the client wants to know of the server. */
async function runParted(program: string, server: Side, client: Side): Promise<Outcome[]> {
  const inside = new Namespace();
  try {
    inside.sh('ip link set lo up; sysctl -qw net.ipv4.ip_forward=1');
    const before = inside.argv([]);
    const serving = start({ ...server, program, before, role: ['serve', server.listens] });
    const served = outcome(serving);
    const port = await Promise.race([
      new Promise<number>((resolve) => serving.once('message', (said: { port: number }) => resolve(said.port))),
      served.then(() => Promise.reject(new Error('the server ended'))),
    ]);
    const asking = start({ ...client, program, before, role: ['ask', server.asked, `${port}`] });
    const pass = (to: typeof asking) => (said: Asked) => void (to.connected && to.send(said));
    asking.on('message', pass(serving));
    serving.on('message', pass(asking));
    const asked = await outcome(asking);
    serving.send({ close: true });
    return [asked, await served];
  } finally {
    inside.close();
  }
}

const possible = (() => {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

jest.setTimeout(660_000);

(possible ? describe : describe.skip).each(PROGRAMS.filter((program) => !isTogether(program)))('%s', (program) => {
  let kernel: Outcome;
  beforeAll(async () => {
    kernel = await runTogether(program, 'kernel');
  });

  test.each(PAIRS)('%s', async (_pair, server, client) => {
    const [asked, served] = await runParted(program, server, client);
    expect(asked!.transcript).toEqual(kernel.transcript);
    for (const [side, { kernelSockets }] of [
      [client, asked!],
      [server, served!],
    ] as const) {
      if (side !== KERNEL) expect(kernelSockets).toBe(0);
    }
  });
});
