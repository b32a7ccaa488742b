import type { Random } from '../../stack/base/random';

/** One run of both parsers: what is fed, how it is cut, and what both are told. */
export interface Case {
  readonly role: 'request' | 'response';
  /** latin1. */
  readonly text: string;
  /** Positions where the bytes are cut, ascending, without 0 and the length. */
  readonly cuts: readonly number[];
  readonly lenient: number;
  readonly maxHeaderSize: number;
  /** What the head handler answers: 0, 1 (no body) or 2 (upgrade). */
  readonly answer: number;
  /** The end of input is reported after the bytes. */
  readonly finish: boolean;
}

const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'CONNECT', 'PATCH', 'PRI', 'SOURCE', 'M-SEARCH'];
const MORE_METHODS = ['DESCRIBE', 'GET_PARAMETER', 'QUERY', 'get', 'GETS', 'FOO', 'UNSUBSCRIBE', 'MKCALENDAR', ''];
const TARGETS = [
  '/',
  '/a/b?c=d&e',
  '*',
  'http://h/p',
  'http://u@h:80/?q#f',
  'h.example:443',
  '/%20?x#y',
  '/a?b?c',
  '//',
];
const MORE_TARGETS = [
  '/\x80',
  '/a b',
  'http:/x',
  'ht1p://x',
  '/a\tb',
  'a@b@c',
  '@@',
  '[::1]:1',
  '',
  '#',
  '?',
  '/a#b#c?d',
];
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'];
const MORE_VERSIONS = [
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1.2',
  'HTTP/11',
  'http/1.1',
  'RTSP/1.0',
  'ICE/1.0',
  'HTTP/1',
  'HTTP',
  '',
];
const STATUSES = ['200', '204', '304', '404', '500', '100', '101', '102', '103', '199', '206', '301'];
const MORE_STATUSES = ['20', '2000', '099', '000', 'abc', '999', '', ' 200', '2 0'];
const REASONS = [' OK', ' Not Found', '', ' ', ' \x80é', ' a\x00b', '\t', '  two'];
const NAMES = [
  'Host',
  'Accept',
  'X-Test',
  'Cookie',
  'a',
  'User-Agent',
  'Set-Cookie',
  'Expect',
  'x-y_z',
  'ETag',
  'Date',
];
const BAD_NAMES = [
  '',
  'a b',
  'a@',
  'Content-Length ',
  'Host ',
  ' x',
  'a\x00',
  '\x80',
  'Connection x',
  'Upgrade  ',
  '"q"',
  'a:b',
];
const VALUES = [
  '',
  'x',
  'localhost',
  'a, b',
  'text/html; q=0.9',
  ' spaced ',
  '100-continue',
  '\t tab\t',
  'é\xff',
  '"q\\"r"',
];
const BAD_VALUES = ['a\x00b', 'a\x7fb', 'a\rb', 'a\nb', '\x01', 'a\r\n b', 'a\r\n\tb', '\r\n x', 'x \r\n ', '\r'];
const CODINGS = [
  'chunked',
  'chunked',
  'chunked',
  'chunked',
  'gzip, chunked',
  'Chunked',
  'gzip',
  'identity',
  'chunked, gzip',
];
const MORE_CODINGS = [
  'chunked, chunked',
  'xchunked',
  'chunked;q=1',
  '',
  ',chunked',
  'chunked,',
  'chunked ',
  'chunked\t',
  'gzip,,chunked',
  'chun ked',
  'chunked \r\n',
  'gzip\r\n chunked',
  'chunked\r\n , x',
  'chunked\x01',
];
const LENGTHS = ['0', '1', '3', '5', '10', '05', '20'];
const MORE_LENGTHS = [
  '',
  '+5',
  '-1',
  '5,5',
  '5 5',
  '0x5',
  '5\t',
  ' 5',
  '5 ',
  '1e1',
  '5\r\n',
  '5\r\n 6',
  '\r\n 5',
  '99999999999999999999',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  '5\x01',
];
const OPTIONS = [
  'close',
  'keep-alive',
  'upgrade',
  'Upgrade',
  'Keep-Alive',
  'Close',
  'close, keep-alive',
  'keep-alive, upgrade',
];
const MORE_OPTIONS = [
  'closed',
  'clos',
  ' close',
  'close ',
  'close\t',
  ',close',
  'close,,upgrade',
  'x, close',
  'close x',
  'x\r\n close',
  'close\r\n x',
  'upgrade\x01',
  'keep-alive\r\n',
  '',
  ',',
  'close \x01',
  'closex, upgrade',
];
const EXTENSIONS = ['', '', '', '', ';a', ';a=b', ';a="b"', ';a="b\\"c"', ';a;b=c', ';a=b"c"'];
const MORE_EXTENSIONS = [
  ';',
  '; a',
  ';a=',
  ';=b',
  ';a="',
  ';a="\x00"',
  ';a="\\\x01"',
  ';a="b"c',
  ' ;a',
  ' ',
  '\t',
  ';a b',
  ';a\x80',
  ';;',
  ';a"b"',
];
const JUNK = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\x00',
  '\x7f',
  '\x80',
  '\xff',
  '0',
  'G',
  'a',
  '"',
  '\\',
  '/',
  '?',
  '#',
  '@',
  '=',
  '.',
  '\f',
];

export class CaseMaker {
  /** Chance in parts per million that a part comes from the odd list. */
  private odd = 0;

  constructor(private readonly random: Random) {}

  next(): Case {
    const r = this.random;
    this.odd = [0, 30_000, 120_000][r.below(3)]!;
    const role = r.chance(600_000) ? 'request' : 'response';
    let text = r.chance(50_000) ? this.pick(['\r\n', '\n', '\r', '\r\n\r\n']) : '';
    for (let n = 1 + r.below(3); n > 0; n--) text += this.message(role);
    if (r.chance(400_000)) text = this.mutate(text);
    const length = text.length;
    return {
      role,
      text,
      cuts: this.cuts(length),
      lenient: r.chance(650_000) ? 0 : r.chance(400_000) ? 1023 : r.below(1024),
      maxHeaderSize: r.chance(900_000) ? 16_384 : 20 + r.below(150),
      answer: r.chance(850_000) ? 0 : 1 + r.below(2),
      finish: r.chance(500_000),
    };
  }

  private pick(list: readonly string[]): string {
    return list[this.random.below(list.length)]!;
  }

  private either(usual: readonly string[], odd: readonly string[]): string {
    return this.pick(this.random.chance(this.odd) ? odd : usual);
  }

  private eol(): string {
    return this.random.chance(this.odd >> 2) ? this.pick(['\n', '\r', '\r\r', '\r\r\n', '\n\n', ' \r\n']) : '\r\n';
  }

  private message(role: 'request' | 'response'): string {
    let text = role === 'request' ? this.requestLine() : this.statusLine();
    let length = -1;
    let chunked = false;
    for (let n = this.random.chance(20_000) ? 20 + this.random.below(60) : this.random.below(6); n > 0; n--) {
      const kind = this.random.below(10);
      // Length and coding in one message, or either twice, is nearly always refused: enough of that comes from oddity.
      const framed = (length >= 0 || chunked) && !this.random.chance(60_000 + this.odd * 2);
      if (kind <= 2 && framed) {
        text += `${this.pick(NAMES)}: ${this.pick(VALUES)}${this.eol()}`;
      } else if (kind === 0) {
        const value = this.either(LENGTHS, MORE_LENGTHS);
        length = Number.parseInt(value, 10);
        text += `${this.name('Content-Length')}:${this.ows()}${value}${this.eol()}`;
      } else if (kind === 1 || kind === 2) {
        chunked = true;
        text += `${this.name('Transfer-Encoding')}:${this.ows()}${this.either(CODINGS, MORE_CODINGS)}${this.eol()}`;
      } else if (kind === 3) {
        const name = this.random.chance(100_000) ? 'Proxy-Connection' : 'Connection';
        text += `${this.name(name)}:${this.ows()}${this.either(OPTIONS, MORE_OPTIONS)}${this.eol()}`;
      } else if (kind === 4 && this.random.chance(300_000)) {
        text += `${this.name('Upgrade')}:${this.ows()}${this.either(['websocket', 'h2c'], ['', '\r\n x'])}${this.eol()}`;
      } else {
        text += `${this.either(NAMES, BAD_NAMES)}:${this.ows()}${this.either(VALUES, BAD_VALUES)}${this.eol()}`;
      }
    }
    if (this.random.chance(2_000)) text += this.longLine();
    text += this.eol();
    if (chunked) text += this.chunkedBody();
    else if (length > 0 && length < 100) text += 'body-of-some-length-and-more-of-it'.slice(0, length);
    else if (this.random.chance(100_000)) text += 'left over';
    return text;
  }

  private longLine(): string {
    const n = this.random.below(20_000);
    const lines = [
      `a: ${'b'.repeat(n)}\r\n`,
      `${'a'.repeat(n)}: b\r\n`,
      `a:${' '.repeat(n)}b\r\n`,
      'a:\r\n'.repeat(n / 4),
      `Connection: ${'x,'.repeat(n / 2)}close\r\n`,
      `Cookie: ${'x'.repeat(n)}@\x00\r\n`,
    ];
    return this.pick(lines);
  }

  private name(name: string): string {
    const how = this.random.below(8);
    if (how === 0) return name.toUpperCase();
    if (how === 1) return name.toLowerCase();
    return this.random.chance(this.odd >> 2) ? `${name} ` : name;
  }

  private ows(): string {
    return this.random.chance(800_000) ? ' ' : this.pick(['', '  ', '\t', ' \t ']);
  }

  private requestLine(): string {
    const space = (): string => (this.random.chance(this.odd >> 2) ? this.pick(['', '  ', '\t']) : ' ');
    const method = this.either(METHODS, MORE_METHODS);
    const target = this.either(TARGETS, MORE_TARGETS);
    const version = this.either(VERSIONS, MORE_VERSIONS);
    return method + space() + target + (version === '' ? '' : space() + version) + this.eol();
  }

  private statusLine(): string {
    const version = this.either(VERSIONS, MORE_VERSIONS);
    return `${version} ${this.either(STATUSES, MORE_STATUSES)}${this.pick(REASONS)}${this.eol()}`;
  }

  private chunkedBody(): string {
    let text = '';
    for (let n = this.random.below(4); n > 0; n--) {
      const data = 'chunk of data'.slice(0, 1 + this.random.below(13));
      const size = this.random.chance(this.odd >> 1)
        ? this.pick(['', 'g', '0x1', '-1', '00000000000000000001', 'FFFFFFFFFFFFFFFF', '1F', '1ffffffffffffff', ' 1'])
        : data.length.toString(16);
      const extension = this.random.chance(1_000)
        ? `;a=${'b'.repeat(this.random.below(18_000))}`
        : this.either(EXTENSIONS, MORE_EXTENSIONS);
      text += size + extension + this.eol() + data + this.eol();
    }
    if (this.random.chance(50_000)) return text;
    text += `${this.either(['0', '0', '000'], ['0 ', '0x'])}${this.either(EXTENSIONS, MORE_EXTENSIONS)}${this.eol()}`;
    for (let n = this.random.chance(150_000) ? 2 : 0; n > 0; n--) {
      const name = this.either(
        ['X-Trailer', 'Digest'],
        ['Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade'],
      );
      text += `${name}: ${this.either(['x', '5'], ['chunked', 'close', 'upgrade', ''])}${this.eol()}`;
    }
    return text + this.eol();
  }

  private mutate(text: string): string {
    const r = this.random;
    for (let n = 1 + r.below(3); n > 0 && text.length > 0; n--) {
      const at = r.below(text.length);
      const to = Math.min(text.length, at + 1 + r.below(6));
      switch (r.below(7)) {
        case 0:
          text = text.slice(0, at) + text.slice(to);
          break;
        case 1:
          text = text.slice(0, to) + text.slice(at);
          break;
        case 2:
          text = text.slice(0, at);
          break;
        case 3:
          text = text.slice(0, at) + String.fromCharCode(r.below(256)) + text.slice(at + 1);
          break;
        case 4:
          text =
            text.slice(0, at) +
            this.pick(JUNK).repeat(r.chance(5_000) ? r.below(2_000) : 1 + r.below(3)) +
            text.slice(at + 1);
          break;
        default:
          text = text.slice(0, at) + this.pick(JUNK) + text.slice(at);
      }
    }
    return text;
  }

  private cuts(length: number): number[] {
    const how = this.random.below(4);
    if (how === 0 || length < 2) return [];
    if (how === 1 && length < 4000) return Array.from({ length: length - 1 }, (_, i) => i + 1);
    const cuts = new Set<number>();
    for (let n = 1 + this.random.below(8); n > 0; n--) cuts.add(1 + this.random.below(length - 1));
    return [...cuts].sort((a, b) => a - b);
  }
}
