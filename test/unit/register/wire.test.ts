import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryPair } from '../../../device/memory';
import { hostOfEnvironment } from '../../../register/wire';
import { UsageError } from '../../../tools/exit';

jest.mock('../../../device/tun', () => ({ openTun: jest.fn(), openTap: jest.fn() }));

const folder = mkdtempSync(join(tmpdir(), 'tapwire-register-'));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

afterEach(() => {
  delete process.env['TAPWIRE'];
});
afterAll(() => rmSync(folder, { recursive: true }));

function refusal(asked: string): string {
  process.env['TAPWIRE'] = asked;
  try {
    hostOfEnvironment()?.close();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    const { message } = error as Error;
    expect(message.startsWith(`TAPWIRE=${asked}: `)).toBe(true);
    return message.slice(`TAPWIRE=${asked}: `.length);
  }
  return 'accepted';
}

test.each(['', '  ', 'memory', ' memory '])('"%s" is memory', (asked) => {
  process.env['TAPWIRE'] = asked;
  expect(hostOfEnvironment()).toBeNull();
});

test.each([
  ['tun', /^"tun" lacks what it is about, such as tun:tapwire0$/],
  ['network:', /^"network:" lacks .* such as network:10\.77\.0\.0\/24$/],
  ['tn:tw0', /^"tn:tw0" says nothing here\. Give memory, tun:NAME, .* --tun tw0 --address/],
  ['1', /^"1" says nothing here\. Give memory/],
  ['tun:tw0 extra', /^"extra" says nothing here/],
  ['memory --seed 1', /^"memory" says nothing here/],
  ['package.json', /^to name the file package\.json, write \.\/package\.json$/],
  ['./no-such.conf', /^there is no file \.\/no-such\.conf; check the path$/],
  ['./test', /^it is a folder; name a file in it$/],
  ['--seed 1', /^that names no wire\. Give memory/],
  ['tun:tw0 --adress 10.0.0.2/24', /^unknown option '--adress' \(Did you mean --address\?\)\. Give memory/],
  ['--help', /^unknown option '--help'\. Give/],
  ['--tun', /^option '--tun <name>' argument missing$/],
  ['tun:a,b:c', /Give a name of at most 15 bytes/],
  ['tun:tw0 --host-address 10.1.0.1/24', /^the kernel's address 10\.1\.0\.1\/24 \(--host-address\) is in no subnet/],
  ['tun:tw0 --pcap ./no/such/a.pcap', /no\/such\/a\.pcap: there is no such file or folder; check the path \(ENOENT\)$/],
])('"%s" is refused in one line that names the cure', (asked, message) => {
  const said = refusal(asked);
  expect(said).toMatch(message);
  expect(said).not.toContain('\n');
});

test('a file with nothing in it names no wire', () => {
  expect(refusal(file('empty.conf', '# tun:tw0\n'))).toMatch(/^that names no wire/);
});

test('a file of words, and a capture of what passes', () => {
  const { openTun } = jest.requireMock<{ openTun: jest.Mock }>('../../../device/tun');
  openTun.mockReturnValueOnce(memoryPair()[0]);
  const pcap = join(folder, 'a.pcapng');
  const listeners = new Set(process.listeners('exit'));
  process.env['TAPWIRE'] = file('wire.conf', `tun:tw0 # where it is\n--address 203.0.113.2/24\n--pcap ${pcap}\n`);
  const host = hostOfEnvironment()!;
  expect(openTun).toHaveBeenCalledWith(expect.objectContaining({ name: 'tw0', address: ['203.0.113.2/24'] }));
  expect(String(host.stack.interfaces[0]!.addresses[0])).toBe('203.0.113.2/24');
  for (const listener of process.listeners('exit')) {
    if (listeners.has(listener)) continue;
    process.off('exit', listener);
    listener(0);
  }
  // pcapng's first block; an interface after it.
  expect(readFileSync(pcap).readUInt32LE(0)).toBe(0x0a0d0d0a);
  expect(host.isClosed).toBe(true);
});
