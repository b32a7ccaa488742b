import net, { type AddressInfo } from 'node:net';
import { main } from '../../../tools/tapwire';

/** What a command line that is refused says on standard error. */
async function refusal(...args: string[]): Promise<string> {
  let said = '';
  const before = process.exitCode;
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const stdout = jest.spyOn(process.stdout, 'write').mockImplementation(() => true);
  try {
    await main(args);
    expect(process.exitCode).toBe(2);
    return said;
  } finally {
    stderr.mockRestore();
    stdout.mockRestore();
    process.exitCode = before;
  }
}

test('what is for an upstream needs one', async () => {
  expect(await refusal('fault', 'proxy', '--listen', '127.0.0.1:0')).toBe(
    'tapwire fault: --listen is for --upstream: say where it leads\n',
  );
});

test('a port that is taken, and an address that is not ours, name the option that changes it', async () => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = String((server.address() as AddressInfo).port);
  const at = `127.0.0.1:${port}`;
  try {
    expect(await refusal('fault', 'proxy', '--control', port)).toBe(
      `tapwire fault: ${at} is taken by another program: choose another port with --control; 0 takes a free one\n`,
    );
    expect(await refusal('fault', 'proxy', '--control', '0', '--listen', at, '--upstream', '127.0.0.1:1')).toBe(
      `tapwire fault: ${at} is taken by another program: choose another port with --listen; 0 takes a free one\n`,
    );
    expect(await refusal('fault', 'proxy', '--control', '0', '--host', '203.0.113.9')).toMatch(
      /^tapwire fault: 203\.0\.113\.9 is no address of this machine: choose another with --host, such as 127\.0\.0\.1\n$/,
    );
  } finally {
    server.close();
  }
});
