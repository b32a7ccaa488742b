import type { Millis } from '../stack/base/bytes';
import type { Conn } from './conn';
import type { Place } from './messages';

/** 'c2s': from the end that opened the connection to the other. */
export type Dir = 'c2s' | 's2c';
/** An end of a connection: c opened it. */
export type EndName = 'c' | 's';

/** The states of RFC 9293 §3.3.2, as a passive observer infers them. */
export type TcpState =
  | 'CLOSED'
  | 'LISTEN'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSING'
  | 'TIME-WAIT'
  | 'CLOSE-WAIT'
  | 'LAST-ACK';

/** Where in HTTP a rule acts. Without `exchange`: in every one. */
export interface HttpMatch extends Omit<Place, 'at'> {
  readonly side: 'req' | 'res';
  /** Counted from 1 over the whole wire, in the order in which requests begin. */
  readonly exchange?: number;
  /** 'continue': behind an interim response (100). See Place for the others. */
  readonly at: Place['at'] | 'continue';
  /** Only requests (or responses to requests) whose target fits. */
  readonly path?: RegExp;
}

/** What a rule waits for. All fields that are given must hold. */
export interface Match {
  readonly dir?: Dir;
  /** Flags that must be set, then, behind '!', those that must not: 'SA', 'S!A', 'F', 'A!SFR'. */
  readonly flags?: string;
  readonly state?: { readonly c?: TcpState; readonly s?: TcpState };
  /** The connection's number, from 1, or a test. */
  readonly conn?: number | ((c: Conn) => boolean);
  /** At this byte of the direction's stream, from 0, or before its FIN: a place, like those of `http`. Needs `dir`. */
  readonly seqAt?: number | 'fin';
  /** Only the nth segment that fits the rest, from 1. */
  readonly nth?: number;
  /** Bytes of text, from and to. */
  readonly len?: readonly [number, number];
  /** Every nth segment that fits the rest. */
  readonly every?: number;
  /** With this chance, from 0 (never) to 1 (always); drawn from the wire's seed. */
  readonly p?: number;
  /**
   * Bursts: after a segment for which chance was, the next one of its direction and connection that fits has a chance of
   * `p + correlation` (1 at most); after one for which it was not, `p` again. Needs `p`.
   */
  readonly correlation?: number;
  /** Not before, and only before, this time of the wire's clock, in milliseconds. */
  readonly from?: Millis;
  readonly until?: Millis;
  /** Which step of the three-way handshake. */
  readonly handshake?: 'syn' | 'syn-ack' | 'ack';
  /** Only segments whose text was sent before (true), or was not. Keep-alive probes are neither. */
  readonly again?: boolean;
  readonly http?: HttpMatch;
  /** When a connection has been silent for so long between two exchanges, having served at least `served` (default 1). */
  readonly idle?: { readonly after: Millis; readonly served?: number };
  /** Behind the nth TLS record of `dir`, from 1. */
  readonly tlsRecord?: number;
}

/** A place in a message, in words: `res(1).bodyByte(4096)`. It is a Match itself. */
export class Selector implements Match {
  readonly http: HttpMatch;

  constructor(
    side: 'req' | 'res',
    exchange: number | undefined,
    place: Place | { at: 'continue' } = { at: 'begin' },
    path?: RegExp,
  ) {
    this.http = { side, exchange, path, ...place };
  }

  private place(place: Place | { at: 'continue' }): Selector {
    return new Selector(this.http.side, this.http.exchange, place, this.http.path);
  }
  /** Only of requests for a target like this. */
  path(path: RegExp): Selector {
    const { side, exchange, path: _, ...place } = this.http;
    return new Selector(side, exchange, place, path);
  }
  /** Before the first byte. */
  begin(): Selector {
    return this.place({ at: 'begin' });
  }
  /** Behind the start line. */
  line(): Selector {
    return this.place({ at: 'line' });
  }
  /** Before the line of a field. */
  header(name: string): Selector {
    return this.place({ at: 'header', header: name });
  }
  /** Behind n bytes of the head. */
  headerByte(n: number): Selector {
    return this.place({ at: 'header', byte: count(n) });
  }
  /** Behind the empty line that ends the head. */
  headersEnd(): Selector {
    return this.place({ at: 'headersEnd' });
  }
  /** Behind n bytes of body; framing is not counted. */
  bodyByte(n: number): Selector {
    return this.place({ at: 'body', byte: count(n) });
  }
  /** Behind the size line of the nth chunk, from 1. */
  chunk(n: number): Selector {
    return this.place({ at: 'chunkSize', byte: count(n) });
  }
  /** Behind the nth chunk. */
  chunkEnd(n: number): Selector {
    return this.place({ at: 'chunkEnd', byte: count(n) });
  }
  /** Behind the line of the last chunk, before the trailer section. */
  trailer(): Selector {
    return this.place({ at: 'trailer' });
  }
  /** Behind the last byte. */
  end(): Selector {
    return this.place({ at: 'end' });
  }
  /** Behind an interim response. */
  continue(): Selector {
    if (this.http.side !== 'res') throw new RangeError('continue() is a place in responses: res(n).continue()');
    return this.place({ at: 'continue' });
  }
}

function count(n: number): number {
  if (!Number.isInteger(n) || n < 0) throw new RangeError(`a place is a whole number of bytes from 0 on, not ${n}`);
  return n;
}

/** The nth request on the wire, or every one: its first byte; methods name other places. */
export const req = (n?: number): Selector => new Selector('req', n);
/** The response to the nth request, or every one. */
export const res = (n?: number): Selector => new Selector('res', n);
/** A connection that has served a request and is silent for `ms`. */
export const idle = (ms: Millis, served = 1): Match => ({ idle: { after: ms, served } });
/** The first segment of a handshake, its answer, and the third. */
export const syn = (): Match => ({ handshake: 'syn' });
/** The SYN+ACK: the second segment of the handshake. */
export const synAck = (): Match => ({ handshake: 'syn-ack' });
/** The third segment of the handshake. */
export const ack = (): Match => ({ handshake: 'ack' });
/** The kth segment that fits `match`. */
export const nth = (k: number, match: Match = {}): Match => ({ ...match, nth: k });
/** Segments that fit. */
export const segment = (match: Match = {}): Match => match;
/** A FIN of this direction. */
export const finOf = (dir: Dir): Match => ({ dir, flags: 'F' });
/** Behind the nth TLS record of a direction. */
export const tlsRecord = (n: number, dir: Dir): Match => ({ tlsRecord: n, dir });

/** Whether a match names a place in a stream, at which segments are cut, and not segments. */
export const isPoint = (m: Match): boolean =>
  m.http !== undefined || m.seqAt !== undefined || m.tlsRecord !== undefined;

const WORDS = {
  dir: ['c2s', 's2c'],
  handshake: ['syn', 'syn-ack', 'ack'],
  side: ['req', 'res'],
  at: [...['begin', 'line', 'header', 'headersEnd', 'body', 'chunkSize', 'chunkEnd', 'trailer', 'end', 'continue']],
} as const;
const MATCH_FIELDS = new Set(
  'dir flags state conn seqAt nth len every p correlation from until handshake again http idle tlsRecord'.split(' '),
);
const HTTP_FIELDS = new Set('side exchange at byte header path'.split(' '));

/** What a program in JavaScript may write instead of a field or a word would be a rule that fits everything, or nothing. */
function checkWords(m: Match): void {
  if (typeof m !== 'object' || m === null)
    throw new TypeError(
      typeof m === 'function'
        ? `on(…) takes a match, not a function: call it, ${(m as { name: string }).name}(…)`
        : `on(…) takes a match such as res(1) or { dir: 's2c' }, not ${JSON.stringify(m)}`,
    );
  for (const [known, given] of [
    [MATCH_FIELDS, m],
    [HTTP_FIELDS, m.http ?? {}],
  ] as const) {
    const strange = Object.keys(given).find((key) => !known.has(key));
    if (strange !== undefined) throw new RangeError(`a match has no field '${strange}': ${[...known].join(', ')}`);
  }
  const words = { dir: m.dir, handshake: m.handshake, side: m.http?.side, at: m.http?.at };
  for (const [field, word] of Object.entries(words)) {
    const known = WORDS[field as keyof typeof WORDS] as readonly string[];
    const needed = m.http !== undefined && (field === 'side' || field === 'at');
    if (word === undefined ? needed : !known.includes(word))
      throw new RangeError(`${field} is ${JSON.stringify(word)}; it is one of ${known.join(', ')}`);
  }
  if (m.flags !== undefined && !/^[SFRPA]*(![SFRPA]+)?$/i.test(m.flags))
    throw new RangeError(
      `flags is ${JSON.stringify(m.flags)}: letters of S, F, R, P and A, and behind '!' those that must not be`,
    );
}

/** @throws RangeError when a match makes no sense. */
export function checkMatch(m: Match): void {
  checkWords(m);
  if (m.seqAt !== undefined && m.seqAt !== 'fin' && !(Number.isInteger(m.seqAt) && m.seqAt >= 0))
    throw new RangeError(`seqAt is ${String(m.seqAt)}: a byte from 0 on, or 'fin'`);
  const { p, nth: k, every, len, from, until } = m;
  if (p !== undefined && !(p >= 0 && p <= 1)) throw new RangeError(`p is ${p}; a chance is from 0 to 1`);
  const { correlation } = m;
  if (correlation !== undefined && !(correlation >= 0 && correlation <= 1))
    throw new RangeError(`correlation is ${correlation}; it is from 0 to 1`);
  if (correlation !== undefined && p === undefined) throw new RangeError('correlation adds to a chance: it needs p');
  for (const [name, n] of [
    ['nth', k],
    ['every', every],
    ['tlsRecord', m.tlsRecord],
    ['exchange', m.http?.exchange],
  ] as const) {
    if (n !== undefined && !(Number.isInteger(n) && n >= 1)) throw new RangeError(`${name} is ${n}; it counts from 1`);
  }
  if (len !== undefined && !(len[0] >= 0 && len[1] >= len[0])) throw new RangeError(`len is ${len}: [from, to]`);
  if (from !== undefined && until !== undefined && until < from) throw new RangeError('until is before from');
  if ((m.seqAt !== undefined || m.tlsRecord !== undefined) && m.dir === undefined)
    throw new RangeError('a place in a stream needs dir: c2s or s2c');
  if (m.idle !== undefined && !(m.idle.after >= 0)) throw new RangeError(`idle after ${m.idle.after} ms`);
}

/** A match in words, for labels and reports. */
export function matchText(m: Match): string {
  const words: string[] = [];
  if (m.http !== undefined) {
    const { side, exchange, at, byte, header, path } = m.http;
    const place = at === 'begin' ? '' : `.${at}${byte === undefined ? '' : `(${byte})`}${header ?? ''}`;
    words.push(`${side}(${exchange ?? ''})${place}${path === undefined ? '' : ` ${path.source}`}`);
  }
  for (const [key, value] of Object.entries(m)) {
    if (key === 'http' || value === undefined) continue;
    if (key === 'idle') words.push(`idle ${m.idle!.after} ms`);
    else if (typeof value === 'function') words.push(`${key} fits`);
    else words.push(`${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  }
  return words.length === 0 ? 'any segment' : words.join(', ');
}
