import { parseAddress, parseCidr } from '../../stack/base/address';
import { UsageError } from '../exit';
import type { SocketEnd, SocketEntry } from './entries';
import { type SsState, STATE_GROUPS, STATES_ALL } from './states';

export type SocketTest = (entry: SocketEntry) => boolean;

/** What the words behind the options ask for. */
export interface SocketFilter {
  /** Null: none was named. */
  readonly states: ReadonlySet<SsState> | null;
  readonly test: SocketTest;
}

const OPERATORS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '==': (a, b) => a === b,
  eq: (a, b) => a === b,
  '!=': (a, b) => a !== b,
  ne: (a, b) => a !== b,
  neq: (a, b) => a !== b,
  '>': (a, b) => a > b,
  gt: (a, b) => a > b,
  '<': (a, b) => a < b,
  lt: (a, b) => a < b,
  '>=': (a, b) => a >= b,
  ge: (a, b) => a >= b,
  geq: (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  le: (a, b) => a <= b,
  leq: (a, b) => a <= b,
};

/**
 * Reads the filter of `ss`: `state NAME` and `exclude NAME`, repeated, then an expression of `src HOST[:PORT]`,
 * `dst HOST[:PORT]`, `sport OP [:]PORT`, `dport OP [:]PORT` with `and`, `or`, `not` and parentheses; without a word
 * between them both must hold. HOST may have a prefix length.
 * @throws UsageError that names the word
 */
export function parseFilter(words: readonly string[]): SocketFilter {
  const parser = new FilterParser(words.flatMap(split));
  const states = parser.states();
  return { states, test: parser.whole() };
}

/** `( sport = :80 )` may come as one word or as many. */
const split = (text: string): string[] => text.match(/\(|\)|!=|[<>]=?|==?|!|[^\s()<>=!]+/g) ?? [];

class FilterParser {
  private at = 0;

  constructor(private readonly words: readonly string[]) {}

  private peek(): string | undefined {
    return this.words[this.at];
  }

  private next(wanted: string): string {
    const word = this.words[this.at++];
    if (word === undefined) throw new UsageError(`the filter ends where ${wanted} was expected`);
    return word;
  }

  states(): ReadonlySet<SsState> | null {
    let found: Set<SsState> | null = null;
    for (;;) {
      const word = this.peek();
      if (word !== 'state' && word !== 'exclude') return found;
      this.at++;
      const name = this.next('the name of a state');
      const group = Object.hasOwn(STATE_GROUPS, name) ? STATE_GROUPS[name]! : null;
      if (group === null) {
        throw new UsageError(`there is no state "${name}": one of ${Object.keys(STATE_GROUPS).join(', ')}`);
      }
      found ??= new Set(word === 'exclude' ? STATES_ALL : []);
      for (const state of group)
        if (word === 'state') found.add(state);
        else found.delete(state);
    }
  }

  whole(): SocketTest {
    if (this.peek() === undefined) return () => true;
    const test = this.either();
    const word = this.peek();
    if (word !== undefined) throw new UsageError(`the filter makes no sense from "${word}" on`);
    return test;
  }

  private either(): SocketTest {
    let left = this.both();
    while (this.accepts('or', '|', '||')) {
      const [a, b] = [left, this.both()];
      left = (entry) => a(entry) || b(entry);
    }
    return left;
  }

  private both(): SocketTest {
    let left = this.single();
    for (;;) {
      const word = this.peek();
      if (word === undefined || word === ')' || word === 'or' || word === '|' || word === '||') return left;
      this.accepts('and', '&', '&&');
      const [a, b] = [left, this.single()];
      left = (entry) => a(entry) && b(entry);
    }
  }

  private single(): SocketTest {
    if (this.accepts('not', '!')) {
      const test = this.single();
      return (entry) => !test(entry);
    }
    if (!this.accepts('(')) return this.predicate();
    const test = this.either();
    if (this.next('")"') !== ')') throw new UsageError('the filter has a "(" without its ")"');
    return test;
  }

  private accepts(...wanted: readonly string[]): boolean {
    const word = this.peek();
    if (word === undefined || !wanted.includes(word)) return false;
    this.at++;
    return true;
  }

  private predicate(): SocketTest {
    const word = this.next('src, dst, sport or dport');
    const endOf = word.startsWith('s') ? (entry: SocketEntry) => entry.local : (entry: SocketEntry) => entry.peer;
    if (word === 'src' || word === 'dst') {
      this.accepts('=', '==', 'eq');
      const matches = hostTest(this.next('an address'));
      return (entry) => matches(endOf(entry));
    }
    if (word !== 'sport' && word !== 'dport') {
      throw new UsageError(`"${word}" is not understood: give src, dst, sport or dport`);
    }
    const operator = Object.hasOwn(OPERATORS, this.peek() ?? '') ? this.next('an operator') : '=';
    const port = portOf(this.next('a port'));
    const compare = OPERATORS[operator]!;
    return (entry) => compare(endOf(entry).port, port);
  }
}

/** The names that people type; a table of the system's (/etc/services) need not be there. */
const SERVICES: Readonly<Record<string, number>> = { domain: 53, http: 80, https: 443, 'http-alt': 8080, ssh: 22 };

function portOf(text: string): number {
  const name = text.replace(/^:/, '');
  if (Object.hasOwn(SERVICES, name)) return SERVICES[name]!;
  const port = /^\d{1,5}$/.test(name) ? Number(name) : Number.NaN;
  if (port <= 65_535) return port;
  throw new UsageError(`"${text}" is not a port: give a number, such as :80, or ${Object.keys(SERVICES).join(', ')}`);
}

/** HOST, HOST:PORT, :PORT, [v6]:PORT; HOST is an address, a network, or * for any. */
function hostTest(text: string): (end: SocketEnd) => boolean {
  const [host, portText] = hostAndPort(text);
  const port = portText === '' ? null : portOf(portText);
  const network = host === '' || host === '*' ? null : parseCidr(host);
  if (network === null && host !== '' && host !== '*') throw notHost(text);
  return (end) => {
    if (port !== null && end.port !== port) return false;
    if (network === null) return true;
    const address = parseAddress(end.address);
    return address !== null && network.contains(address);
  };
}

function hostAndPort(text: string): [host: string, port: string] {
  const bracketed = /^\[(.*)\](\/\d+)?(?::([\w-]+))?$/.exec(text);
  if (bracketed !== null) return [bracketed[1]! + (bracketed[2] ?? ''), bracketed[3] ?? ''];
  const colon = text.indexOf(':');
  // Two colons without brackets are an IPv6 address, and no port.
  if (colon < 0 || colon !== text.lastIndexOf(':')) return [text, ''];
  return [text.slice(0, colon), text.slice(colon)];
}

const notHost = (text: string): UsageError =>
  new UsageError(`"${text}" is not an address: give one such as 10.77.0.1, 10.77.0.0/24, 10.77.0.1:80 or [fd77::1]:80`);
