import type { Conn, Seen } from './conn';
import type { DecisionLog } from './decisions';
import type { Exchanges } from './exchanges';
import type { Dir, Match } from './match';
import { type MessageMap, offsetOf } from './messages';
import type { Rule } from './rule';
import { flagBits, type Segment } from './segment';

/** A rule that fits a segment, and where in its text. */
export interface Hit {
  readonly rule: Rule;
  /** Bytes of the segment's text before the place. */
  readonly cut: number;
}

/** Which rules fit a segment, and where. Asked once for each rule and segment: it counts, and chance decides. */
export class Fitting {
  constructor(
    private readonly decisions: DecisionLog,
    private readonly exchanges: Exchanges,
  ) {}

  /** Whether a rule for segments fits this one. Counts it. */
  segment(rule: Rule, conn: Conn, dir: Dir, seg: Segment, seen: Seen): boolean {
    const m = rule.match;
    if (m.dir !== undefined && m.dir !== dir) return false;
    if (m.handshake !== undefined && m.handshake !== seen.handshake) return false;
    if (m.flags !== undefined && !fitsFlags(m.flags, seg.flags)) return false;
    if (m.len !== undefined && (seg.length < m.len[0] || seg.length > m.len[1])) return false;
    if (m.again !== undefined && m.again !== (seg.length > 0 && !seen.fresh && !seen.probe)) return false;
    rule.fits++;
    if (m.nth !== undefined && rule.fits !== m.nth) return false;
    if (m.every !== undefined && rule.fits % m.every !== 0) return false;
    return this.drawn(rule, conn, dir);
  }

  /** Whether chance is for the rule; true when the rule leaves nothing to it. */
  drawn(rule: Rule, conn: Conn, where: Dir | 'idle'): boolean {
    const { p, correlation = 0 } = rule.match;
    if (p === undefined) return true;
    rule.draws++;
    // A key only where there are bursts.
    const stream = correlation === 0 ? '' : `${conn.id} ${where}`;
    const chance = correlation > 0 && rule.inBurst.has(stream) ? Math.min(1, p + correlation) : p;
    const is = this.decisions.chance(rule.label, chance);
    if (chance > 0 && chance < 1) rule.drew = this.decisions.latest;
    if (correlation > 0) rule.burst(stream, is);
    return is;
  }

  /** The places that a rule names and that lie in this segment, which the trackers have read already. */
  places(rule: Rule, conn: Conn, dir: Dir, seg: Segment, seen: Seen, into: Hit[]): void {
    const m = rule.match;
    const consider = (offset: number | null, key: string, isBegin: boolean): void => {
      if (offset === null || rule.spent) return;
      const inside = isBegin ? offset >= seen.from && offset < seen.to : offset > seen.from && offset <= seen.to;
      if (inside && seg.length > 0) passed(offset, key);
    };
    const passed = (offset: number, key: string): void => {
      if (!rule.firstAt(`${conn.id} ${key}`)) return;
      rule.fits++;
      if (m.nth !== undefined && rule.fits !== m.nth) return;
      if (m.every !== undefined && rule.fits % m.every !== 0) return;
      if (!this.drawn(rule, conn, dir)) return;
      into.push({ rule, cut: offset - seen.from });
    };
    if (m.seqAt === 'fin' && m.dir === dir && seen.fin) passed(seen.to, 'fin');
    if (typeof m.seqAt === 'number' && m.dir === dir) consider(m.seqAt, 'seq', m.seqAt === 0);
    if (m.tlsRecord !== undefined && m.dir === dir)
      consider(conn.sender(dir).tls?.[m.tlsRecord - 1] ?? null, 'tls', false);
    if (m.http === undefined || (m.http.side === 'req') !== (dir === 'c2s')) return;
    for (const message of conn.messages(m.http.side)) {
      if (message.end >= 0 && message.end < seen.from) continue;
      if (!this.fitsMessage(m, message)) continue;
      const { at } = m.http;
      const offset = at === 'continue' ? (message.end < 0 ? null : message.end) : offsetOf(message, { ...m.http, at });
      consider(offset, `${m.http.side} ${message.begin}`, at === 'begin' || offset === message.begin);
    }
  }

  private fitsMessage(m: Match, message: MessageMap): boolean {
    const { exchange, path, at } = m.http!;
    if (exchange !== undefined && message.exchange !== exchange) return false;
    const interim = message.status >= 100 && message.status < 200 && message.status !== 101;
    if (interim !== (at === 'continue')) return false;
    if (path === undefined) return true;
    const target = message.side === 'req' ? message.target : this.exchanges.numbered(message.exchange)?.req?.target;
    return target !== undefined && target !== '' && path.test(target);
  }
}

function fitsFlags(wanted: string, flags: number): boolean {
  const [must = '', mustNot = ''] = wanted.split('!');
  const bits = flagBits(must);
  return (flags & bits) === bits && (flags & flagBits(mustNot)) === 0;
}
