import { HEAD_GOES_ON, HEAD_NO_BODY, type HttpHandler, HttpReader } from '../http/connection';
import { HAS_CHUNKED, type Head } from '../http/head';
import type { Bytes } from '../stack/base/bytes';

/** Where the parts of one HTTP message lie in its direction of the connection, as offsets in the stream of text. */
export interface MessageMap {
  readonly side: 'req' | 'res';
  /** Counted on the whole wire from 1, in the order in which requests begin; a response has its request's number. */
  readonly exchange: number;
  /** "GET /path" or the status code; empty until the start line is complete. */
  title: string;
  method: string;
  target: string;
  status: number;
  begin: number;
  /** Each -1 until it is known. */
  lineEnd: number;
  headEnd: number;
  end: number;
  trailersAt: number;
  /** Where each line of the head begins, the start line first. */
  readonly lines: number[];
  /** Lower-case names of the fields, in step with `lines` from its second on. */
  readonly names: string[];
  chunked: boolean;
  /** Pieces of body: where they begin in the stream, and how many bytes of body came before. */
  readonly pieces: { at: number; before: number; bytes: number }[];
  /** Where each chunk's size line begins, its data begins, and its data ends. */
  readonly chunks: { lineAt: number; dataAt: number; dataEnd: number }[];
  bodyBytes: number;
  /** The connection ended within it. */
  cut: boolean;
}

/** Told by a StreamReader. */
export interface MessageListener {
  /** A message begins; answers its exchange number. */
  began(side: 'req' | 'res'): number;
  headDone(message: MessageMap): void;
  completed(message: MessageMap): void;
}

const CR = 13;
const LF = 10;
const LINE_BYTES_KEPT = 8192;
/** Pieces of body, chunks, lines of a head: what a peer can make a map longer by has an end. */
const PLACES_MAX = 4096;
const MESSAGES_MAX = 1000;
/** Requests that wait for their responses: nobody has so many under way. */
const ASKED_MAX = 10_000;

const newMap = (side: 'req' | 'res', exchange: number, begin: number): MessageMap => ({
  side,
  exchange,
  title: '',
  method: '',
  target: '',
  status: 0,
  begin,
  lineEnd: -1,
  headEnd: -1,
  end: -1,
  trailersAt: -1,
  lines: [begin],
  names: [],
  chunked: false,
  pieces: [],
  chunks: [],
  bodyBytes: 0,
  cut: false,
});

/**
 * Reads one direction of a connection as HTTP/1.1, passively, and notes where everything lies. What is no HTTP turns it off
 * (`isHttp` false): the connection is then one of bytes. Bytes come in order, each once.
 */
export class StreamReader implements HttpHandler {
  isHttp = true;
  /** Offset of the next byte. */
  at = 0;
  /** The messages of this direction, the latest last; bounded. */
  readonly messages: MessageMap[] = [];
  private readonly reader: HttpReader;
  private current: MessageMap | null = null;
  private line = '';
  /** The head is read: what follows is body. */
  private inBody = false;
  private chunkPart: 'size' | 'data' | 'data-end' | 'trailers' = 'size';
  /** Bytes of the chunk's data, or of the CRLF behind it, still to come. */
  private chunkLeft = 0;
  /** Stream offset of byte 0 of the bytes that the reader is given now. */
  private base = 0;
  /** Methods of the requests whose responses have not come. */
  private readonly asked: string[] = [];

  constructor(
    private readonly side: 'req' | 'res',
    private readonly listener: MessageListener,
  ) {
    const role = side === 'req' ? 'request' : 'response';
    this.reader = new HttpReader({ role, maxHeaderSize: 1 << 20, lenient: 0 }, this);
  }

  /** A request went the other way, so a response to it is due. */
  expect(method: string): void {
    if (this.asked.length < ASKED_MAX) this.asked.push(method);
  }

  /** The message that has begun and is not complete. */
  get open(): MessageMap | null {
    return this.current;
  }

  /** The next `end - from` bytes of the stream. */
  read(b: Bytes, from: number, end: number): void {
    for (let p = from; p < end && this.isHttp; ) {
      // Body goes in by pieces; everything else byte by byte, so that its place is known.
      const step = this.inBody ? this.bodyStep(end - p) : 1;
      const message = this.current;
      const framing = this.inBody && message?.chunked === true && this.chunkPart !== 'data';
      this.base = this.at - p;
      this.at += step;
      const stop = this.reader.read(b, p, p + step);
      if (this.reader.error !== null || stop < p + step || this.reader.receiving === 'upgraded') this.isHttp = false;
      if (framing) this.chunkByte(message, b[p]!);
      else if (!this.inBody && this.current !== null) this.headByte(this.current, b[p]!);
      p += step;
    }
    if (!this.isHttp) this.at = this.base + end;
  }

  private bodyStep(available: number): number {
    if (this.current?.chunked !== true) return available;
    return this.chunkPart === 'data' ? Math.min(available, this.chunkLeft) : 1;
  }

  private headByte(m: MessageMap, byte: number): void {
    if (byte !== LF) {
      if (byte !== CR && this.line.length < LINE_BYTES_KEPT) this.line += String.fromCharCode(byte);
      return;
    }
    if (m.lineEnd < 0) this.startLine(m);
    else if (m.names.length < PLACES_MAX) m.names.push(this.line.split(':', 1)[0]!.trim().toLowerCase());
    this.line = '';
    if (m.lines.length < PLACES_MAX) m.lines.push(this.at);
  }

  private startLine(m: MessageMap): void {
    m.lineEnd = this.at;
    const [first = '', second = ''] = this.line.split(' ');
    if (m.side === 'req') {
      m.method = first;
      m.target = second;
      m.title = `${first} ${second}`;
    } else {
      m.status = Number(second) || 0;
      m.title = second;
    }
  }

  /** A byte of a chunk's framing: its size line, the CRLF behind its data, or the trailer section. */
  private chunkByte(m: MessageMap, byte: number): void {
    if (this.chunkPart === 'size') {
      if (byte !== LF) {
        if (this.line.length < LINE_BYTES_KEPT) this.line += String.fromCharCode(byte);
        return;
      }
      this.chunkLeft = Number.parseInt(this.line, 16) || 0;
      const lineAt = this.at - this.line.length - 1;
      this.line = '';
      this.chunkPart = this.chunkLeft === 0 ? 'trailers' : 'data';
      if (this.chunkLeft === 0) m.trailersAt = this.at;
      if (m.chunks.length < PLACES_MAX)
        m.chunks.push({ lineAt, dataAt: this.at, dataEnd: this.chunkLeft === 0 ? this.at : -1 });
    } else if (this.chunkPart === 'data-end' && --this.chunkLeft === 0) {
      this.chunkPart = 'size';
    }
  }

  /** The peer will send no more. */
  finish(): void {
    if (!this.isHttp) return;
    this.reader.finish();
    if (this.current !== null) {
      this.current.cut = true;
      this.current = null;
    }
  }

  // ── HttpHandler ──

  onBegin(): void {
    const begin = this.at - 1;
    this.current = newMap(this.side, this.listener.began(this.side), begin);
    this.messages.push(this.current);
    if (this.messages.length > MESSAGES_MAX) this.messages.shift();
    this.line = '';
  }

  onHead(head: Head): number {
    const m = this.current!;
    m.headEnd = this.at;
    this.inBody = true;
    this.line = '';
    m.chunked = (head.flags & HAS_CHUNKED) !== 0;
    this.chunkPart = 'size';
    this.listener.headDone(m);
    if (this.side === 'req') return HEAD_GOES_ON;
    if (m.status >= 100 && m.status < 200) return HEAD_GOES_ON;
    return this.asked.shift() === 'HEAD' ? HEAD_NO_BODY : HEAD_GOES_ON;
  }

  onBody(_: Bytes, at: number, end: number): void {
    const m = this.current!;
    const bytes = end - at;
    const from = this.base + at;
    const last = m.pieces[m.pieces.length - 1];
    if (last !== undefined && last.at + last.bytes === from) last.bytes += bytes;
    else if (m.pieces.length < PLACES_MAX) m.pieces.push({ at: from, before: m.bodyBytes, bytes });
    m.bodyBytes += bytes;
    if (!m.chunked) return;
    this.chunkLeft -= bytes;
    if (this.chunkLeft > 0) return;
    const open = m.chunks[m.chunks.length - 1];
    if (open !== undefined && open.dataEnd < 0) open.dataEnd = this.at;
    this.chunkPart = 'data-end';
    this.chunkLeft = 2;
  }

  onTrailers(): void {}

  onComplete(): void {
    const m = this.current!;
    m.end = this.at;
    this.current = null;
    this.inBody = false;
    this.line = '';
    this.listener.completed(m);
  }
}

/** A place in a message. */
export interface Place {
  /**
   * 'begin' before its first byte, 'line' behind the start line, 'header' at byte `byte` of the head or before the field
   * `header`, 'headersEnd' behind the empty line, 'body' behind `byte` bytes of body, 'chunkSize' behind the size line of chunk
   * `byte` (from 1), 'chunkEnd' behind its CRLF, 'trailer' behind the line of the last chunk, 'end' behind the last byte.
   */
  readonly at: 'begin' | 'line' | 'header' | 'headersEnd' | 'body' | 'chunkSize' | 'chunkEnd' | 'trailer' | 'end';
  readonly byte?: number;
  readonly header?: string;
}

/** Where in the stream a place is; null while that is not known, or when the message has no such place. */
export function offsetOf(m: MessageMap, place: Place): number | null {
  const known = (offset: number): number | null => (offset < 0 ? null : offset);
  switch (place.at) {
    case 'begin':
      return m.begin;
    case 'line':
      return known(m.lineEnd);
    case 'header':
      return place.header === undefined ? headOffset(m, place.byte ?? 0) : fieldOffset(m, place.header);
    case 'headersEnd':
      return known(m.headEnd);
    case 'body':
      return bodyOffset(m, place.byte ?? 0);
    case 'chunkSize':
      return m.chunks[(place.byte ?? 1) - 1]?.dataAt ?? null;
    case 'chunkEnd': {
      const end = m.chunks[(place.byte ?? 1) - 1]?.dataEnd ?? -1;
      return end < 0 ? null : end + 2;
    }
    case 'trailer':
      return known(m.trailersAt);
    case 'end':
      return known(m.end);
  }
}

/** A head that has ended has no byte behind its last one: there the body begins, or the next message. */
function headOffset(m: MessageMap, byte: number): number | null {
  return m.headEnd >= 0 && m.begin + byte > m.headEnd ? null : m.begin + byte;
}

function fieldOffset(m: MessageMap, name: string): number | null {
  const i = m.names.indexOf(name.toLowerCase());
  return i < 0 ? null : (m.lines[i + 1] ?? null);
}

function bodyOffset(m: MessageMap, byte: number): number | null {
  if (byte === 0) return m.headEnd < 0 ? null : m.headEnd;
  for (const piece of m.pieces) if (byte <= piece.before + piece.bytes) return piece.at + byte - piece.before;
  return null;
}
