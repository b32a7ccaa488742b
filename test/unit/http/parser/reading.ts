import { type HttpHandler, HttpReader } from '../../../../http/connection';
import type { Head, Role } from '../../../../http/head';
import { fieldName, fieldValue, headText, methodOf, reasonOf, targetOf } from '../../../../http/head-strings';

export interface Reading {
  readonly role?: Role;
  readonly lenient?: number;
  readonly maxHeaderSize?: number;
  /** What the handler answers to a head. */
  readonly answer?: number;
  /** The peer ends its side after the bytes. */
  readonly finish?: boolean;
}

/** latin1 text as bytes of their own. */
export const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

const textOf = (b: Uint8Array, at: number, end: number): string => String.fromCharCode(...b.subarray(at, end));

function fields(head: Head, text: string): string {
  const list: string[] = [];
  for (let i = 0; i < head.fieldCount; i++) list.push(`${fieldName(head, text, i)}=${fieldValue(head, text, i)}`);
  return list.join('|');
}

/** Records what a reader reports, a line for each event; pieces of body that follow each other count as one. */
export class Recorder implements HttpHandler {
  readonly lines: string[] = [];
  private body = '';

  constructor(private readonly answer: number) {}

  onBegin(): void {
    this.line('begin');
  }

  onHead(head: Head): number {
    const text = headText(head);
    const version = `${head.versionMajor}.${head.versionMinor}`;
    const start = head.isResponse
      ? `${version} ${head.status} '${reasonOf(head, text)}'`
      : `${methodOf(head)} ${targetOf(head, text)} ${version}`;
    const marks = `${head.upgrade ? ' upgrade' : ''}${head.keepAlive ? ' keep-alive' : ''}`;
    this.line(`head ${start}${marks} [${fields(head, text)}]`);
    return this.answer;
  }

  onBody(b: Uint8Array, at: number, end: number): void {
    if (end <= at) throw new Error('an empty piece of body');
    this.body += textOf(b, at, end);
  }

  onTrailers(head: Head): void {
    this.line(`trailers [${fields(head, headText(head))}]`);
  }

  onComplete(): void {
    this.line('complete');
  }

  line(text: string): void {
    if (this.body !== '') this.lines.push(`body ${this.body}`);
    this.body = '';
    this.lines.push(text);
  }

  /** Body that no other event followed. */
  flush(): void {
    if (this.body !== '') this.lines.push(`body ${this.body}`);
    this.body = '';
  }
}

export const newReader = (options: Reading, handler: HttpHandler): HttpReader =>
  new HttpReader(
    { role: options.role ?? 'request', lenient: options.lenient ?? 0, maxHeaderSize: options.maxHeaderSize ?? 16_384 },
    handler,
  );

/** Around the bytes of a piece: spaces, line ends, or what truly precedes and follows it and is not yet received. */
function packetOf(all: Uint8Array, from: number, to: number): Uint8Array {
  const packet = new Uint8Array(to - from + 16).fill([0x20, 0x0a, 0x0d][to % 3]!);
  if (to % 2 === 0) packet.set(all.subarray(Math.max(0, from - 8), to + 8), 8 - Math.min(8, from));
  packet.set(all.subarray(from, to), 8);
  return packet;
}

/** Reads the text cut at `cuts`, each piece amid foreign bytes that change once it was read. */
export function readCut(text: string, options: Reading, cuts: readonly number[]): string[] {
  const recorder = new Recorder(options.answer ?? 0);
  const reader = newReader(options, recorder);
  const all = bytes(text);
  let from = 0;
  for (const to of [...cuts, all.length]) {
    const packet = packetOf(all, from, to);
    const stop = reader.read(packet, 8, 8 + to - from);
    packet.fill(0xdb);
    if (stop > 8 + to - from) throw new Error(`read ${stop - 8 - to + from} bytes that were not there`);
    if (reader.error !== null) {
      recorder.line(`${reader.error.code} '${reader.error.reason}' at ${from + reader.errorAt - 8}`);
      return recorder.lines;
    }
    if (stop < 8 + to - from || reader.receiving === 'upgraded') {
      recorder.line(`stops at ${from + stop - 8}`);
      return recorder.lines;
    }
    from = to;
  }
  if (options.finish) {
    reader.finish();
    if (reader.error !== null) recorder.line(`${reader.error.code} '${reader.error.reason}' at end`);
  }
  recorder.flush();
  return recorder.lines;
}

/** Where a head is found too long is up to how it was cut, in Node as here; everything else is not. */
const cutless = (lines: string[]): string[] =>
  lines.map((line) => line.replace(/^(HPE_HEADER_OVERFLOW .*) at \d+$/, '$1'));

/** The events of the text read whole; read byte by byte and cut in two at every place they have to be the same. */
export function read(text: string, options: Reading = {}): string[] {
  const uncut = readCut(text, options, []);
  const whole = cutless(uncut);
  const everywhere = Array.from({ length: Math.max(0, text.length - 1) }, (_, i) => i + 1);
  expect(cutless(readCut(text, options, everywhere))).toEqual(whole);
  for (const cut of everywhere) {
    const lines = cutless(readCut(text, options, [cut]));
    if (lines.join('\n') !== whole.join('\n'))
      throw new Error(`cut at ${cut}:\n${lines.join('\n')}\nwhole:\n${whole.join('\n')}`);
  }
  return uncut;
}

/** The code that refuses the text, '' when nothing does. Reads it in all the ways that `read` does. */
export function refusal(text: string, options: Reading = {}): string {
  const last = read(text, options).at(-1) ?? '';
  return last.startsWith('HPE_') ? last.slice(0, last.indexOf(' ')) : '';
}
