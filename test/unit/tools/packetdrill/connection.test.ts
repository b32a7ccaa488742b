import type { IcmpLine, TcpLine } from '../../../../tools/packetdrill/ast';
import { Connection } from '../../../../tools/packetdrill/connection';
import { ACK, SYN, type TcpRecord } from '../../../../tools/packetdrill/packet';
import { parseScript } from '../../../../tools/packetdrill/parser';

const line = (text: string): TcpLine => parseScript('t', `0 ${text}`).events[0]!.action as TcpLine;

const record = (part: Partial<TcpRecord>): TcpRecord => ({
  protocol: 'tcp',
  ip: { version: 4, ttl: 64, tos: 0, flowLabel: 0, source: '', destination: '' },
  sourcePort: 8080,
  destinationPort: 40_000,
  flags: ACK,
  seq: 0,
  ack: 0,
  window: 0,
  urgent: 0,
  options: [],
  payloadBytes: 0,
  ...part,
});

const make = (active: boolean): Connection =>
  new Connection('tcp', active, { ip: '1.1.1.1', port: 1 }, { ip: '2.2.2.2', port: 2 });

/** Sends an expected segment through, as the runner does. */
function sent(c: Connection, text: string, part: Partial<TcpRecord>): TcpRecord {
  const live = record(part);
  c.learnLocal(live, line(text));
  c.learnTimestamp(live, line(text));
  return c.toScript(live);
}

const LIVE_ISN = 0xffff_fff0;

/** A listening side that got `S 123:123(0)` and answered with its own number. */
function passive(): Connection {
  const c = make(false);
  c.toLive(line('< S 123:123(0) win 5'), false);
  sent(c, '> S. 0:0(0) ack 124', { flags: SYN | ACK, seq: LIVE_ISN, ack: 124 });
  return c;
}

describe('sequence numbers', () => {
  test('a SYN to the stack keeps its number, everything later counts from it', () => {
    const c = make(false);
    expect(c.toLive(line('< S 123:123(0) win 5'), false)).toMatchObject({ seq: 123, ack: 0 });
    expect(c.toLive(line('< . 1:11(10) ack 1 win 5'), false)).toMatchObject({ seq: 124 });
  });

  test("the stack's SYN is shown with the number that the script gave it", () => {
    const c = make(false);
    c.toLive(line('< S 0:0(0) win 5'), false);
    const shown = sent(c, '> S. 500:500(0) ack 1', { flags: SYN | ACK, seq: LIVE_ISN, ack: 1 });
    expect(shown).toMatchObject({ seq: 500, ack: 1 });
    // A repetition with another number must show.
    expect(sent(c, '> S. 500:500(0) ack 1', { flags: SYN | ACK, seq: LIVE_ISN + 5, ack: 1 }).seq).toBe(505);
  });

  test('the SYN-ACK acknowledges the number of the SYN as it was scripted, and a second SYN changes nothing', () => {
    const c = make(false);
    c.toLive(line('< S 123:123(0) win 5'), false);
    const shown = sent(c, '> S. 0:0(0) ack 124', { flags: SYN | ACK, seq: LIVE_ISN, ack: 124 });
    expect(shown).toMatchObject({ seq: 0, ack: 124 });
    expect(c.toLive(line('< S 900:900(0) win 5'), false)).toMatchObject({ seq: 900 });
    expect(c.toLive(line('< . 1:1(0) ack 1 win 5'), false)).toMatchObject({ seq: 124 });
  });

  test('both directions are relative afterwards, across the wrap', () => {
    const c = passive();
    expect(c.toLive(line('< . 1:1(0) ack 21 win 5'), false)).toMatchObject({ seq: 124, ack: 5 });
    expect(c.toScript(record({ seq: 5, ack: 124 }))).toMatchObject({ seq: 21, ack: 1 });
  });

  test('SACK blocks move with the acknowledgment number', () => {
    const c = passive();
    const live = c.toLive(line('< . 1:1(0) ack 1 win 5 <sack 11:21,nop,nop>'), false);
    expect(live).toMatchObject({ options: [{ kind: 'sack', blocks: [{ from: 0xffff_fffb, to: 5 }] }, {}, {}] });
    const shown = c.toScript(record({ seq: LIVE_ISN, options: [{ kind: 'sack', blocks: [{ from: 223, to: 323 }] }] }));
    expect(shown.options).toEqual([{ kind: 'sack', blocks: [{ from: 100, to: 200 }] }]);
  });

  test('an opening stack: the SYN-ACK gives the number of the peer, its ack is relative to the SYN of the script', () => {
    const c = make(true);
    expect(sent(c, '> S 0:0(0)', { flags: SYN, seq: LIVE_ISN }).seq).toBe(0);
    expect(c.toLive(line('< S. 1234:1234(0) ack 1001 win 5'), false)).toMatchObject({
      seq: 1234,
      ack: (LIVE_ISN + 1001) >>> 0,
    });
    expect(c.toScript(record({ seq: (LIVE_ISN + 1001) >>> 0, ack: 1235 }))).toMatchObject({ seq: 1001, ack: 1 });
  });

  test('simultaneous open: the ack of a SYN-ACK is as scripted in the SYN, not an offset', () => {
    const c = make(true);
    sent(c, '> S 0:0(0)', { flags: SYN, seq: LIVE_ISN });
    expect(c.toLive(line('< S 1234:1734(500) win 5'), false)).toMatchObject({ seq: 1234 });
    expect(sent(c, '> S. 0:0(0) ack 1235', { flags: SYN | ACK, seq: LIVE_ISN, ack: 1235 })).toMatchObject({
      seq: 0,
      ack: 1235,
    });
  });

  test('a reset without ACK shows its field as it is', () => {
    expect(passive().toScript(record({ flags: 4, seq: LIVE_ISN, ack: 0 })).ack).toBe(0);
  });

  test('what ICMP quotes counts from the initial number of the stack', () => {
    const quote = (text: string): IcmpLine => line(text) as unknown as IcmpLine;
    expect(passive().quotedSeq(quote('< icmp unreachable [17:18(1)]'))).toBe(1);
    expect(passive().quotedSeq(quote('< icmp unreachable'))).toBe(LIVE_ISN);
  });
});

describe('timestamps', () => {
  const ts = (value: number, echo: number): TcpRecord['options'] => [{ kind: 'TS', value, echo }];
  const SYN_ACK = '> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 7>';

  test('values of the stack are shown from the first pair on; echoes as they are', () => {
    const c = make(false);
    expect(sent(c, SYN_ACK, { options: ts(5_000_000, 7) }).options).toEqual(ts(100, 7));
    expect(c.toScript(record({ options: ts(5_000_030, 9) })).options).toEqual(ts(130, 9));
  });

  test('an echo becomes the value that the stack really sent', () => {
    const c = make(false);
    sent(c, SYN_ACK, { options: ts(5_000_000, 7) });
    sent(c, '> . 1:1(0) ack 1 <nop,nop,TS val 200 ecr 7>', { options: ts(5_000_777, 7) });
    const live = (text: string): unknown => c.toLive(line(text), false);
    expect(live('< . 1:1(0) ack 1 win 5 <nop,nop,TS val 8 ecr 200>')).toMatchObject({
      options: [{}, {}, { value: 8, echo: 5_000_777 }],
    });
    expect(live('< . 1:1(0) ack 1 win 5 <nop,nop,TS val 8 ecr 150>')).toEqual({ unknownEcho: 150 });
  });

  test('with tcp_ts_ecr_scaled an unknown echo is interpolated', () => {
    const c = make(false);
    sent(c, SYN_ACK, { options: ts(5_000_000, 7) });
    const live = c.toLive(line('< . 1:1(0) ack 1 win 5 <nop,nop,TS val 8 ecr 150>'), true);
    expect(live).toMatchObject({ options: [{}, {}, { echo: 5_000_050 }] });
  });

  test('a segment without ACK echoes nothing', () => {
    expect(make(false).toLive(line('< S 0:0(0) win 5 <nop,nop,TS val 8 ecr 5>'), false)).toMatchObject({
      options: [{}, {}, { echo: 5 }],
    });
  });

  test('a line that does not check options teaches nothing', () => {
    const c = make(false);
    sent(c, '> S. 0:0(0) ack 1 <...>', { options: ts(5_000_000, 7) });
    expect(c.toScript(record({ options: ts(5_000_000, 7) })).options).toEqual(ts(5_000_000, 7));
  });
});
