import { Random } from '../../../../stack/base/random';
import { expectFields } from './fields';
import { established, type Harness } from './harness';

/**
 * A peer that acknowledges whatever comes to its mind. Nothing it says may break an invariant (the harness checks them after
 * every event), make us send what was never written, or stop the connection for good.
 */
function hostile(seed: number, steps: number, tso: boolean): Harness {
  const random = new Random(seed);
  const sack = random.chance(800_000);
  const syn = `mss 1000,${sack ? 'sackOK,nop,nop' : 'nop,nop,nop,nop'},nop,wscale 7`;
  const congestion = ['cubic', 'reno', 'bbr', 'hybla'][random.below(4)]!;
  const rack = random.chance(900_000);
  const t = established({ profile: { congestion, rack }, tso, seed }, { syn, window: 1 + random.below(400) });
  const { c } = t;
  const relative = (seq: number): number => (seq - c.iss) >>> 0;
  const anywhere = (): number => {
    const una = relative(c.sndUna);
    const span = relative(c.sndNxt) - una + 2000;
    const at = una - 1000 + random.below(span);
    // Mostly on packet boundaries, where real ones are.
    return Math.max(0, random.chance(800_000) ? Math.round(at / 1000) * 1000 + 1 : at);
  };
  const block = (): string => {
    const from = anywhere();
    const to = from + 1000 * (1 + random.below(8)) - (random.chance(50_000) ? random.below(3000) : 0);
    return `${from}:${to >>> 0}`;
  };
  for (let i = 0; i < steps && c.state !== 'CLOSED'; i++) {
    if (random.chance(400_000)) t.tryWrite(1 + random.below(20_000));
    if (random.chance(500_000)) t.after(random.below(random.chance(50_000) ? 2000 : 60));
    const ack = random.chance(500_000) ? relative(c.sndUna) : Math.min(anywhere(), relative(c.sndNxt));
    const blocks = sack ? random.below(4) : 0;
    const option = blocks === 0 ? '' : ` <nop,nop,sack ${Array.from({ length: blocks }, block).join(' ')}>`;
    const window = random.chance(50_000) ? random.below(3) : random.below(400);
    const flags = random.chance(20_000) ? 'E.' : '.';
    t.rx(`${flags} 1:1(0) ack ${ack} win ${window}${option}`);
    for (const line of t.drain()) {
      const range = /> \S+ (\d+):(\d+)/.exec(line);
      if (range !== null && Number(range[2]) > relative(c.sendBuffer.end)) throw new Error(`never written: ${line}`);
    }
  }
  return t;
}

test.each(Array.from({ length: 60 }, (_, i) => i + 1))('seed %d', (seed) => {
  const t = hostile(seed, 150, seed % 3 === 0);
  const { c } = t;
  if (c.state === 'CLOSED') return;
  // The peer comes to its senses: everything written arrives.
  for (let i = 0; i < 400 && c.sendBuffer.bytes > 0; i++) {
    t.after(100)
      .rx(`. 1:1(0) ack ${(c.sndNxt - c.iss) >>> 0} win 500`)
      .drain();
  }
  expect(c.sendBuffer.bytes).toBe(0);
  expectFields(c, { packetsOut: 0, sackedOut: 0, lostOut: 0, retransOut: 0 });
});
