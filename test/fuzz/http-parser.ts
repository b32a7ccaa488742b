import { HttpReader } from '../../http/connection';
import { METHODS } from '../../http/grammar';
import { FIELD_FOLDED, FIELD_INTS, type Head } from '../../http/head';
import { Random } from '../../stack/base/random';
import { fuzzOptions } from './command';
import { type Case, CaseMaker } from './http-parser-cases';

/*
 * Our parser beside Node's own, on the same bytes cut in the same places: the same messages, the same verdict, the same
 * position. As a command: node -r ./test/typescript.cjs test/fuzz/http-parser.ts --seconds 60 --seed 1
 */

export interface Message {
  start: string;
  headers: string;
  upgrade: boolean;
  keepAlive: boolean;
  body: string;
  trailers: string;
  complete: boolean;
}

export interface Outcome {
  messages: Message[];
  /** 'HPE_…: reason', or ''. */
  error: string;
  /** Bytes read when it stopped or failed. */
  position: number;
}

const latin1 = (b: Uint8Array, at: number, end: number): string =>
  Buffer.from(b.buffer, b.byteOffset + at, end - at).toString('latin1');

function fieldsOf(head: Head): string {
  const text = latin1(head.bytes, head.at, head.end);
  const out: string[] = [];
  for (let i = 0; i < head.fieldCount * FIELD_INTS; i += FIELD_INTS) {
    const [nameAt, nameBytes, valueAt, valueBytes, nameId] = head.fields.subarray(i, i + FIELD_INTS);
    const value = text.slice(valueAt, valueAt! + valueBytes!);
    out.push(text.slice(nameAt, nameAt! + nameBytes!), nameId! & FIELD_FOLDED ? value.replace(/[\r\n]/g, '') : value);
  }
  return JSON.stringify(out);
}

function startOf(head: Head): string {
  const text = latin1(head.bytes, head.at, head.end);
  const version = `${head.versionMajor}.${head.versionMinor}`;
  if (head.isResponse)
    return `${version} ${head.status} ${text.slice(head.reasonAt, head.reasonAt + head.reasonBytes)}`;
  return `${METHODS[head.method]} ${text.slice(head.targetAt, head.targetAt + head.targetBytes)} ${version}`;
}

const newMessage = (): Message => ({
  start: '',
  headers: '',
  upgrade: false,
  keepAlive: false,
  body: '',
  trailers: '[]',
  complete: false,
});

/** Pieces of the case's bytes, as [from, to). */
function pieces(c: Case): [number, number][] {
  const ends = [...c.cuts, c.text.length];
  return ends.map((to, i) => [i === 0 ? 0 : ends[i - 1]!, to]);
}

export function runOurs(c: Case): Outcome {
  const messages: Message[] = [];
  let m = newMessage();
  const reader = new HttpReader(
    { role: c.role, maxHeaderSize: c.maxHeaderSize, lenient: c.lenient },
    {
      onBegin() {
        m = newMessage();
      },
      onHead(head) {
        messages.push(m);
        m.start = startOf(head);
        m.headers = fieldsOf(head);
        m.upgrade = head.upgrade;
        m.keepAlive = head.keepAlive;
        return c.answer;
      },
      onBody(b, at, end) {
        m.body += latin1(b, at, end);
      },
      onTrailers(head) {
        m.trailers = fieldsOf(head);
      },
      onComplete() {
        m.complete = true;
      },
    },
  );
  const bytes = Uint8Array.from(Buffer.from(c.text, 'latin1'));
  let position = 0;
  for (const [from, to] of pieces(c)) {
    // Each piece in memory of its own, as packets are, with foreign bytes around it.
    const packet = new Uint8Array(to - from + 8).fill(0x58);
    packet.set(bytes.subarray(from, to), 3);
    const stop = reader.read(packet, 3, 3 + to - from) - 3;
    packet.fill(0xdb);
    position = from + stop;
    if (reader.error !== null) position = from + reader.errorAt - 3;
    if (stop < to - from || reader.error !== null || reader.receiving === 'upgraded') break;
  }
  if (c.finish && reader.error === null) reader.finish();
  return { messages, error: reader.error === null ? '' : `${reader.error.code}: ${reader.error.reason}`, position };
}

interface NativeParser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number): void;
  execute(bytes: Buffer): number | (Error & { code: string; reason: string; bytesParsed: number });
  finish(): undefined | (Error & { code: string; reason: string });
  close(): void;
  [callback: number]: unknown;
}
interface NativeParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

let native: { HTTPParser: NativeParserClass; allMethods: string[] } | null = null;

/** Node's own parser. Only tests and benchmarks look at it. */
function nativeParser(): { HTTPParser: NativeParserClass; allMethods: string[] } {
  if (native === null) {
    const old = process.noDeprecation;
    process.noDeprecation = true;
    native = (process as unknown as { binding(name: string): typeof native }).binding('http_parser');
    process.noDeprecation = old;
  }
  return native!;
}

export function runNode(c: Case): Outcome {
  const { HTTPParser, allMethods } = nativeParser();
  const messages: Message[] = [];
  let m = newMessage();
  let headers: string[] = [];
  let url = '';
  let headDone = false;
  const parser = new HTTPParser();
  parser.initialize(c.role === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, c.maxHeaderSize, c.lenient);
  parser[HTTPParser.kOnMessageBegin] = () => {
    m = newMessage();
    headers = [];
    url = '';
    headDone = false;
  };
  parser[HTTPParser.kOnHeaders] = (list: string[], part: string) => {
    headers.push(...list);
    if (!headDone) url += part;
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    major: number,
    minor: number,
    list: string[] | undefined,
    method: number,
    target: string | undefined,
    status: number,
    reason: string,
    upgrade: boolean,
    keepAlive: boolean,
  ) => {
    messages.push(m);
    if (list) headers.push(...list);
    m.start =
      c.role === 'response'
        ? `${major}.${minor} ${status} ${reason}`
        : `${allMethods[method]} ${url + (target ?? '')} ${major}.${minor}`;
    m.headers = JSON.stringify(headers);
    headers = [];
    headDone = true;
    m.upgrade = upgrade;
    m.keepAlive = keepAlive;
    return c.answer;
  };
  parser[HTTPParser.kOnBody] = (b: Buffer) => {
    m.body += b.toString('latin1');
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    m.trailers = JSON.stringify(headers);
    m.complete = true;
  };
  const bytes = Buffer.from(c.text, 'latin1');
  let error = '';
  let position = 0;
  let left = false;
  for (const [from, to] of pieces(c)) {
    // Node takes an empty piece for the end of input.
    if (from === to) break;
    const result = parser.execute(bytes.subarray(from, to));
    if (typeof result !== 'number') {
      error = `${result.code}: ${result.reason}`;
      position = from + result.bytesParsed;
      break;
    }
    position = from + result;
    const ends = m.upgrade || c.answer === 2 || (c.role === 'response' && m.start.split(' ')[1] === '101');
    left = result < to - from || (m.complete && ends && messages.at(-1) === m);
    if (left) break;
  }
  if (c.finish && error === '' && !left) {
    const result = parser.finish();
    if (result !== undefined) error = `${result.code}: ${result.reason}`;
  }
  parser.close();
  return { messages, error, position };
}

/** What differs between two outcomes, as words; '' when nothing does. */
export function difference(ours: Outcome, theirs: Outcome): string {
  if (ours.error !== theirs.error) return 'error';
  if (ours.messages.length !== theirs.messages.length) return 'messages';
  for (let i = 0; i < ours.messages.length; i++) {
    const a = ours.messages[i]!;
    const b = theirs.messages[i]!;
    for (const key of Object.keys(a) as (keyof Message)[]) if (a[key] !== b[key]) return key;
  }
  // Where something is found too long is up to how it was cut, in Node (at its end or a piece's) as here.
  return ours.position === theirs.position || ours.error.includes('OVERFLOW:') ? '' : 'position';
}

/** A way in which we mean to differ from Node, with the reason. A difference that none of these explains is a bug. */
export interface KnownDifference {
  readonly name: string;
  readonly why: string;
  explains(c: Case, ours: Outcome, theirs: Outcome): boolean;
}

const statusOf = (m: Message): number => Number(m.start.split(' ')[1]);
const lists = (fields: string, field: RegExp): boolean => {
  const list = JSON.parse(fields) as string[];
  return list.some((text, i) => i % 2 === 0 && field.test(`${text}:${list[i + 1]}`));
};

const says = (m: Message, field: RegExp): boolean => lists(m.headers, field);

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    name: 'no body after any 1xx',
    why: 'RFC 9112 §6.3 rule 1 says 1xx; Node means 100 to 103 and reads a body after, say, 199',
    explains: (_c, ours) =>
      ours.messages.some(
        (m) =>
          /^\S+ 1\d\d/.test(m.start) &&
          statusOf(m) > 103 &&
          says(m, /^(transfer-encoding *:|content-length *:0*[1-9])/i),
      ),
  },
  {
    name: 'Transfer-Encoding without chunked in a request that upgrades',
    why: 'RFC 9112 §6.3 rule 4 refuses it in every request; Node forgets it when the request is CONNECT or an upgrade',
    explains: (c, ours, theirs) =>
      c.role === 'request' &&
      ours.error.includes('Request has invalid `Transfer-Encoding`') &&
      (theirs.messages.at(-1)!.upgrade || c.answer === 2),
  },
  {
    name: 'empty Transfer-Encoding',
    why: 'the field is present and chunked is not its final coding (RFC 9112 §6.3 rule 4); to Node it is not there',
    explains: (c) => /transfer-encoding *:[ \t]*([\r\n]|$)/i.test(c.text),
  },
  {
    name: 'CR CR after a status line',
    why: 'RFC 9112 §2.2: a bare CR is invalid; Node takes the second CR for the LF',
    explains: (c) => c.role === 'response' && /(HTTP|RTSP|ICE)\/\d\.\d \d{3}( [^\r\n]*)?\r\r/.test(c.text),
  },
  {
    name: 'lengths from 2^53 on',
    why: 'a number cannot count them; Node refuses from 2^64 on',
    explains: (_c, ours) => /: (Content-Length|Chunk size) overflow$/.test(ours.error),
  },
  {
    name: 'too long and malformed',
    why: 'one verdict however the bytes are cut: too long; Node only notices where a token or a piece ends',
    explains: (_c, ours, theirs) =>
      ours.error === 'HPE_HEADER_OVERFLOW: Header overflow' && theirs.error !== '' && theirs.error !== ours.error,
  },
  {
    name: 'white space beyond measure',
    why: 'Node counts no white space around names and values, so a head of nothing else never ends; ours may span 4 x',
    explains: (c, ours) =>
      ours.error === 'HPE_HEADER_OVERFLOW: Header overflow' &&
      ours.position > c.maxHeaderSize * 4 &&
      /\s{1000}/.test(c.text),
  },
  {
    name: 'separators of chunk extensions beyond measure',
    why: 'Node counts names and values only, so that ";;;…" never ends',
    explains: (c, ours) => ours.error.startsWith('HPE_CHUNK_EXTENSIONS_OVERFLOW') && /;{16384}/.test(c.text),
  },
  {
    name: 'errors after an upgrade',
    why: 'Node returns no error for the body of a message that asks for an upgrade; it just stops reading',
    explains: (c, ours, theirs) =>
      ours.error !== '' && theirs.error === '' && (c.answer === 2 || theirs.messages.at(-1)?.upgrade === true),
  },
  {
    name: 'length left over from the message before',
    why: 'Node adds to the Content-Length of a message whose body was skipped, or of a trailer, when leniency keeps the connection',
    explains: (c, ours) =>
      (c.lenient & 4) !== 0 &&
      ours.messages.filter((m) => says(m, /^content-length */i) || lists(m.trailers, /^content-length */i)).length > 1,
  },
];

export interface Tally {
  cases: number;
  accepted: number;
  refused: number;
  /** Cases by the known difference that explains them. */
  explained: Record<string, number>;
  /** The first cases that nothing explains. */
  bugs: { c: Case; what: string; ours: Outcome; theirs: Outcome }[];
}

/** Compares `count` cases, or as many as `until()` lets. Also runs each of ours uncut, which must make no difference. */
export function fuzz(seed: number, count: number, until: () => boolean = () => false): Tally {
  const maker = new CaseMaker(new Random(seed));
  const tally: Tally = { cases: 0, accepted: 0, refused: 0, explained: {}, bugs: [] };
  while (tally.cases < count && tally.bugs.length < 12 && !until()) {
    const c = maker.next();
    tally.cases++;
    const ours = runOurs(c);
    const theirs = runNode(c);
    if (ours.error === '') tally.accepted++;
    else tally.refused++;
    const whole = c.cuts.length > 0 ? runOurs({ ...c, cuts: [] }) : ours;
    const cut = difference({ ...ours, position: 0 }, { ...whole, position: 0 });
    if (cut !== '') tally.bugs.push({ c, what: `cut changes ${cut}`, ours, theirs: whole });
    const what = difference(ours, theirs);
    if (what === '') continue;
    const known = KNOWN_DIFFERENCES.find((k) => k.explains(c, ours, theirs));
    if (known) tally.explained[known.name] = (tally.explained[known.name] ?? 0) + 1;
    else tally.bugs.push({ c, what, ours, theirs });
  }
  return tally;
}

function main(args: string[]): void {
  const { executions, seconds, seed } = fuzzOptions(args, ['--verbose']);
  const stop = Date.now() + seconds * 1000;
  const tally = fuzz(seed, executions, () => Date.now() > stop);
  console.log(`${tally.cases} cases, ${tally.accepted} accepted, ${tally.refused} refused`);
  for (const [name, n] of Object.entries(tally.explained)) console.log(`  ${String(n).padStart(8)}  ${name}`);
  for (const bug of args.includes('--verbose') ? tally.bugs : [])
    console.log(JSON.stringify({ ...bug, c: { ...bug.c, cuts: bug.c.cuts.slice(0, 20).join() } }, null, 1));
  for (const { c, what, ours, theirs } of tally.bugs) {
    console.log(`${what}: ${JSON.stringify({ ...c, cuts: c.cuts.length > 12 ? c.cuts.length : c.cuts })}`);
    console.log(`  ours   ${ours.messages.length} ${ours.error} @${ours.position}`);
    console.log(`  theirs ${theirs.messages.length} ${theirs.error} @${theirs.position}`);
  }
  process.exitCode = tally.bugs.length > 0 ? 1 : 0;
}

if (require.main === module) main(process.argv.slice(2));
