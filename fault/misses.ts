import type { Millis } from '../stack/base/bytes';
import type { Conn, Seen } from './conn';
import type { FaultEngine } from './engine';
import type { Dir, Match } from './match';
import { type MessageMap, offsetOf } from './messages';
import { fitsConn, type Rule } from './rule';
import { flagBits, flagLetters, type Segment } from './segment';
import type { TraceEntry } from './trace';

/** A rule, or a box, that never acted; and why not, as far as can be told. */
export interface Unused {
  readonly label: string;
  /** What came nearest to it: "the response to request 1 (GET /) has a body of 10 bytes". */
  readonly why: string;
}

/** Them in words, one below the other. */
export const unusedText = (list: readonly Unused[]): string =>
  list.map(({ label, why }) => `  ${label}\n    ${why}`).join('\n');

/** What a test is told whose rules never acted. */
export const unusedFailure = (list: readonly Unused[], where = ''): string =>
  `rules never acted${where}, so nothing was tested with them:\n${unusedText(list)}\n${CURE}`;

/** @throws Error that names them, when there are any */
export function failUnused(list: readonly Unused[], where = ''): void {
  if (list.length > 0) throw new Error(unusedFailure(list, where));
}

const CURE =
  "If a rule need not act, say so: on(…).optional(), middlebox({ optional: true }), createWire({ unused: 'ignore' }).";

/** A segment, and what is known of it. */
interface Met {
  readonly conn: Conn;
  readonly dir: Dir;
  readonly seg: Segment;
  readonly seen: Seen;
  readonly now: Millis;
}

/** A field of a match: whether a segment breaks it, and how, in words. */
interface Condition {
  breaks(m: Match, met: Met): boolean;
  says(m: Match, met: Met): string;
}

const isAgain = ({ seg, seen }: Met): boolean => seg.length > 0 && !seen.fresh && !seen.probe;

const flagsBreak = (wanted: string, flags: number): boolean => {
  const [must = '', mustNot = ''] = wanted.split('!');
  return (flags & flagBits(must)) !== flagBits(must) || (flags & flagBits(mustNot)) !== 0;
};

/** Those that depend on the connection and the time alone. */
const OF_CONN: readonly Condition[] = [
  {
    breaks: (m, { conn }) => typeof m.conn === 'number' && m.conn !== conn.id,
    says: (m, { conn }) => `it is of connection ${conn.id}, not ${String(m.conn)}`,
  },
  {
    breaks: (m, { conn }) => typeof m.conn === 'function' && !m.conn(conn),
    says: () => 'the function `conn` says no',
  },
  {
    breaks: (m, { now }) => m.from !== undefined && now < m.from,
    says: (m) => `that is before ${m.from} ms`,
  },
  {
    breaks: (m, { now }) => m.until !== undefined && now >= m.until,
    says: (m) => `that is not before ${m.until} ms`,
  },
  {
    breaks: (m, { conn, now }) => m.state?.c !== undefined && conn.stateOf('c', now) !== m.state.c,
    says: (m, { conn, now }) => `c is ${conn.stateOf('c', now)}, not ${m.state?.c}`,
  },
  {
    breaks: (m, { conn, now }) => m.state?.s !== undefined && conn.stateOf('s', now) !== m.state.s,
    says: (m, { conn, now }) => `s is ${conn.stateOf('s', now)}, not ${m.state?.s}`,
  },
];

const OF_SEGMENT: readonly Condition[] = [
  {
    breaks: (m, { dir }) => m.dir !== undefined && m.dir !== dir,
    says: (m, { dir }) => `it goes ${dir}, not ${m.dir}`,
  },
  {
    breaks: (m, { seen }) => m.handshake !== undefined && m.handshake !== seen.handshake,
    says: (m, { seen }) => `it is ${seen.handshake ?? 'not of the handshake'}, not its ${m.handshake}`,
  },
  {
    breaks: (m, { seg }) => m.flags !== undefined && flagsBreak(m.flags, seg.flags),
    says: (m, { seg }) => `its flags are ${flagLetters(seg.flags)}, not ${m.flags}`,
  },
  {
    breaks: (m, { seg }) => m.len !== undefined && (seg.length < m.len[0] || seg.length > m.len[1]),
    says: (m, { seg }) => `it has ${seg.length} bytes, not ${m.len?.join(' to ')}`,
  },
  {
    breaks: (m, met) => m.again !== undefined && m.again !== isAgain(met),
    says: (m) => (m.again === true ? 'its text was not sent before' : 'its text was sent before'),
  },
];

const CONDITIONS: readonly Condition[] = [...OF_CONN, ...OF_SEGMENT];

/** A segment passed a rule for segments that has not acted yet: is it the one that came nearest? */
export function noteMiss(rule: Rule, conn: Conn, dir: Dir, seg: Segment, seen: Seen, now: Millis): void {
  const m = rule.match;
  const met = { conn, dir, seg, seen, now };
  let wrong = 0;
  for (const condition of CONDITIONS) if (condition.breaks(m, met)) wrong++;
  if (wrong === 0 || wrong >= rule.nearest.wrong) return;
  const words = CONDITIONS.filter((condition) => condition.breaks(m, met)).map((condition) => condition.says(m, met));
  rule.nearest.wrong = wrong;
  rule.nearest.text = `the nearest was ${dir} ${flagLetters(seg.flags)} of ${seg.length} bytes at ${ms(now)}: ${words.join(', ')}`;
}

/** Whether a rule should have acted and did not. One of chance was drawn for, which is all that it asks. */
export function isUnused(rule: Rule): boolean {
  const { optional, match, draws, acted, vain, actions } = rule;
  if (optional || match.p === 0 || draws > 0) return false;
  return acted === 0 || vain >= acted * actions.filter((action) => !MARKS.has(action.do)).length;
}

/** Say when other actions happen, and do nothing by themselves. */
const MARKS = new Set(['split', 'coalesce']);

const ms = (time: Millis): string => `${Number(time.toFixed(1))} ms`;
const some = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? '' : 's'}`;

/** Why a rule never acted: what came nearest. */
export function missOf(rule: Rule, engine: FaultEngine): string {
  const { match: m, fits, hits, acted, vainWhy } = rule;
  if (acted > 0) return vainWhy;
  if (hits > 0) return 'it was reached, and what it races with never came';
  if (fits > 0 && m.nth !== undefined)
    return `${some(fits, 'time')} something fitted, and it waits for number ${m.nth}`;
  if (fits > 0 && m.every !== undefined)
    return `${some(fits, 'time')} something fitted, and it takes every ${m.every}th`;
  if (!rule.active) return 'it was taken away before anything fitted';
  if (engine.conns.length === 0) return 'there was no connection';
  if (m.idle !== undefined) return silenceMiss(rule, engine);
  if (m.http !== undefined) return messageMiss(rule, engine);
  if (m.seqAt !== undefined || m.tlsRecord !== undefined) return streamMiss(rule, engine);
  return rule.nearest.text === '' ? 'nothing was sent while it was there' : rule.nearest.text;
}

/** How many bytes came, or records. */
function streamMiss(rule: Rule, engine: FaultEngine): string {
  const { seqAt, tlsRecord, dir } = rule.match;
  const ends = engine.conns.map((conn) => ({ conn, end: conn.sender(dir!) }));
  if (tlsRecord !== undefined) {
    const counts = ends.map(({ end }) => end.tls?.length ?? -1);
    const most = Math.max(...counts);
    return most < 0
      ? `what went ${dir} is no TLS`
      : most >= tlsRecord
        ? 'the record had passed before the rule was made, or was lost before the rules were asked'
        : `${some(most, 'record')} went ${dir}`;
  }
  if (seqAt === 'fin') return `no FIN went ${dir} and came to the rules`;
  const longest = ends.reduce((a, b) => (b.end.sent > a.end.sent ? b : a));
  if (longest.end.sent >= seqAt!)
    return connMiss(rule, engine, longest.conn) ?? lateText(rule, engine, longest.conn, dir!, seqAt!);
  return `the longest stream ${dir} has ${some(longest.end.sent, 'byte')} (connection ${longest.conn.id})`;
}

/** The longest silence that there was. */
function silenceMiss(rule: Rule, engine: FaultEngine): string {
  const { after, served = 1 } = rule.match.idle!;
  const most = Math.max(...engine.conns.map((conn) => conn.served));
  if (most < served) return `no connection had answered ${some(served, 'request')}: the most is ${most}`;
  const last = new Map<number, Millis>();
  let [longest, where] = [0, 0];
  const silent = (conn: number, until: Millis): void => {
    const gap = until - (last.get(conn) ?? until);
    if (gap > longest) [longest, where] = [gap, conn];
  };
  for (const entry of engine.trace.entries) {
    if (entry.kind !== 'sent' || entry.length === 0) continue;
    silent(entry.conn, entry.at);
    last.set(entry.conn, entry.at);
  }
  for (const conn of engine.conns) if (!conn.over) silent(conn.id, engine.medium.now());
  if (longest >= after) {
    const conn = engine.conns.find(({ id }) => id === where);
    return (
      (conn && connMiss(rule, engine, conn)) ??
      `a silence of ${ms(longest)} was not between two exchanges, or its connection ended in it`
    );
  }
  return `the longest silence was ${ms(longest)} (connection ${where}), and it waits for ${ms(after)}`;
}

/** Which condition on the connection does not hold; null: none. */
function connMiss(rule: Rule, engine: FaultEngine, conn: Conn): string | null {
  const now = engine.medium.now();
  if (fitsConn(rule.match, conn, now)) return null;
  const met = { conn, now } as Met;
  const words = OF_CONN.filter((condition) => condition.breaks(rule.match, met));
  return `the place is there, but ${words.map((condition) => condition.says(rule.match, met)).join(', ')}`;
}

/** A place that is there, and at which the rule did not act: it was late, or the segment never came to the rules. */
function lateText(rule: Rule, engine: FaultEngine, conn: Conn, dir: Dir, offset: number): string {
  const { entries } = engine.trace;
  const holds = (e: TraceEntry): boolean =>
    e.conn === conn.id && e.dir === dir && e.length > 0 && e.seq - 1 <= offset && e.seq - 1 + e.length >= offset;
  const at = entries.findIndex((e) => e.kind === 'sent' && holds(e));
  if (at >= 0 && at < rule.since.entry)
    return `the place had passed (at ${ms(entries[at]!.at)}) before the rule was made (at ${ms(rule.since.at)})`;
  const lost = entries.find((e) => e.kind === 'dropped' && holds(e));
  return `the place is there, and was lost before the rules were asked${lost === undefined ? '' : ` (${lost.text})`}`;
}

const nameOf = (m: MessageMap, engine: FaultEngine): string => {
  const title = m.side === 'req' ? m.title : (engine.exchanges.numbered(m.exchange)?.req?.title ?? '');
  const what = m.side === 'req' ? 'request' : m.exchange === 0 ? 'a response to nothing' : 'the response to request';
  return `${what} ${m.exchange === 0 ? '' : m.exchange}${title === '' ? '' : ` (${title})`}`;
};

/** How far the messages came that the rule asks for. */
function messageMiss(rule: Rule, engine: FaultEngine): string {
  const { side, exchange, path, at } = rule.match.http!;
  const { count } = engine.exchanges;
  if (count === 0) return 'no request was made';
  if (exchange !== undefined && exchange > count)
    return `${count === 1 ? 'there was 1 request' : `there were ${count} requests`}`;
  const all = engine.conns.flatMap((conn) => conn.messages(side).map((message) => ({ conn, message })));
  const wanted = all.filter(({ message }) => exchange === undefined || message.exchange === exchange);
  const interim = ({ status }: MessageMap): boolean => status >= 100 && status < 200 && status !== 101;
  const right = wanted.filter(({ message }) => interim(message) === (at === 'continue'));
  if (right.length === 0) {
    const which = exchange === undefined ? 'no request' : `request ${exchange}`;
    return at === 'continue'
      ? `${which === 'no request' ? which : `${which} has`} got ${which === 'no request' ? 'an' : 'no'} interim response`
      : `${which} got ${which === 'no request' ? 'a' : 'no'} response`;
  }
  const target = (message: MessageMap): string =>
    (message.side === 'req' ? message.target : engine.exchanges.numbered(message.exchange)?.req?.target) ?? '';
  const onPath = path === undefined ? right : right.filter(({ message }) => path.test(target(message)));
  if (onPath.length === 0) {
    const targets = [...new Set(right.map(({ message }) => target(message)))];
    return `no target fits ${String(path)}: ${targets.slice(0, 5).join(', ')}${targets.length > 5 ? ', …' : ''}`;
  }
  const { conn, message } = onPath.reduce((a, b) => (b.message.bodyBytes > a.message.bodyBytes ? b : a));
  const place = placeOf(rule.match, message);
  if (place === null) return placeMiss(rule, message, engine);
  return connMiss(rule, engine, conn) ?? lateText(rule, engine, conn, side === 'req' ? 'c2s' : 's2c', place);
}

/** Where in the stream a message has the place of a match; null: nowhere. */
function placeOf({ http }: Match, message: MessageMap): number | null {
  const { at } = http!;
  return at === 'continue' ? (message.end < 0 ? null : message.end) : offsetOf(message, { ...http!, at });
}

/** Why a message has no such place. */
function placeMiss(rule: Rule, m: MessageMap, engine: FaultEngine): string {
  const { at, byte, header } = rule.match.http!;
  const name = nameOf(m, engine);
  if (header !== undefined)
    return `${name} has no field ${header}: ${m.names.filter((field) => field !== '').join(', ')}`;
  if (at === 'body') return `${name} has a body of ${some(m.bodyBytes, 'byte')}${m.end < 0 ? ' so far' : ''}`;
  if (at === 'header')
    return `the head of ${name} has ${m.headEnd < 0 ? 'not ended' : some(m.headEnd - m.begin, 'byte')}`;
  if ((at === 'chunkSize' || at === 'chunkEnd' || at === 'trailer') && m.headEnd >= 0)
    return m.chunked
      ? `${name} has ${some(m.chunks.length, 'chunk')}, not ${byte ?? 'a last one'}`
      : `${name} is not chunked`;
  return `${name} did not come so far (${m.headEnd < 0 ? 'its head has not ended' : m.cut ? 'it was cut' : 'it has not ended'})`;
}
