import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutants } from '../../../../tools/packetdrill/mutate';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { describeResult, exitCode } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { stackTarget } from '../../../../tools/packetdrill/stack-target';

// Every script of test/scripts on the real stack; and every copy of it with one thing falsified, which has to fail: what
// passes either way tests nothing.

const folder = join(__dirname, '../../../scripts');
const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pkt'));
const options = { factory: stackTarget, profile: 'linux', strict: false, seed: 1 } as const;

test('there are scripts for every part', () => {
  const parts = new Set(names.map((name) => name.split('/')[0]));
  expect([...parts].sort()).toEqual(
    'close data ecn fast-open handshake icmp recovery reset socket timers udp window'.split(' '),
  );
});

describe.each(names.sort())('%s', (name) => {
  const script = parseScript(name, readFileSync(join(folder, name), 'utf8'), []);

  test('holds', () => {
    const result = runScript(script, options);
    expect(describeResult(result)).toMatch(/: ok/);
    expect(result.warnings).toEqual([]);
  });

  test('holds whatever the random numbers', () => {
    for (const seed of [2, 99, 0x7fff_ffff]) {
      expect(describeResult(runScript(script, { ...options, seed }))).toMatch(/: ok/);
    }
  });

  test('no falsified copy holds', () => {
    const copies = mutants(script, true);
    expect(copies.length).toBeGreaterThan(0);
    const survivors = copies.filter((copy) => exitCode(runScript(copy.script, options)) !== 1);
    expect(survivors.map(({ line, what }) => `line ${line} ${what}`)).toEqual([]);
  });
});
