import { addressText, parseAddress } from './addresses';
import { httpStartLine } from './application';
import type { SegmentView } from './flows';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from './format';
import { ACK, CWR, ECE, FIN, type Packet, PSH, RST, SYN, URG } from './packet';

/** What a filter looks at. */
export interface Candidate {
  packet: Packet;
  view: SegmentView | null;
  /** Bytes on the wire. */
  length: number;
  direction: number;
  comments: readonly string[];
  /** Names of addresses that the capture carries. */
  names: ReadonlyMap<string, string>;
}

/** Whether a packet is wanted. Made by `compileFilter`. */
export type Filter = (c: Candidate) => boolean;

/** A filter that cannot be understood; the message has three lines: what, the expression, a caret. */
export class FilterError extends Error {
  constructor(what: string, expression: string, at: number) {
    super(`${what}\n  ${expression}\n  ${' '.repeat(at)}^`);
    this.name = 'FilterError';
  }
}

interface Token {
  text: string;
  at: number;
}

type Side = 'either' | 'src' | 'dst';

const FLAGS: Readonly<Record<string, number>> = {
  syn: SYN,
  fin: FIN,
  rst: RST,
  psh: PSH,
  ack: ACK,
  urg: URG,
  ece: ECE,
  cwr: CWR,
};

const PLAIN: Readonly<Record<string, Filter>> = {
  ip: ({ packet: p }) => p.ip?.version === 4,
  ip6: ({ packet: p }) => p.ip?.version === 6,
  tcp: ({ packet: p }) => p.tcp !== null || p.ip?.protocol === 6,
  udp: ({ packet: p }) => p.udp !== null || p.ip?.protocol === 17,
  icmp: ({ packet: p }) => p.icmp?.version === 4,
  icmp6: ({ packet: p }) => p.icmp?.version === 6,
  arp: ({ packet: p }) => p.arp !== null,
  frag: ({ packet: p }) => p.ip !== null && (p.ip.moreFragments || p.ip.fragmentOffset > 0),
  text: ({ packet: p }) => (p.tcp?.length ?? p.udp?.length ?? 0) > 0,
  http: ({ packet: p }) => p.tcp !== null && httpStartLine(p.bytes, p.payloadAt, p.payloadEnd) !== null,
  bad: ({ packet: p }) => p.problems.length > 0,
  noted: ({ view }) => view !== null && view.notes.length > 0,
  retransmission: ({ view }) => view?.notes.some((note) => note.endsWith('retransmission')) ?? false,
  comment: ({ comments }) => comments.length > 0,
  in: ({ direction }) => direction === DIRECTION_INBOUND,
  out: ({ direction }) => direction === DIRECTION_OUTBOUND,
};

/** Words with arguments, for the message that lists what there is. */
const QUALIFIED = ['host', 'net', 'port', 'src', 'dst', 'len', 'flow'];
const PROTOCOLS = ['ip', 'ip6', 'tcp', 'udp'];

/**
 * Compiles a filter: `host A`, `net A/N`, `port N`, `port A-B`, with `src` or `dst` in front; `tcp`, `udp`, `icmp`,
 * `icmp6`, `arp`, `ip`, `ip6`, `frag`; a TCP flag (`syn`, `fin`, `rst`, `psh`, `ack`, `urg`, `ece`, `cwr`); `text`,
 * `http`, `bad`, `noted`, `retransmission`, `comment`, `in`, `out`; `len > N`, `flow N`; joined by `not`, `and`, `or`
 * (binding in this order) and parentheses. As in tcpdump, `tcp port 80` and `port 80 or 443` mean what they seem to.
 * Throws FilterError.
 */
export function compileFilter(expression: string): Filter {
  return new Compiler(expression).compile();
}

class Compiler {
  private readonly tokens: Token[] = [];
  private next = 0;
  private depth = 0;
  /** What a bare value after `or` repeats: "port 80 or 443". */
  private last: { side: Side; kind: string } = { side: 'either', kind: 'host' };

  constructor(private readonly expression: string) {
    const words = /\s*(\(|\)|&&|\|\||!(?!=)|>=|<=|==|!=|>|<|=|[^\s()&|!<>=]+|[\s\S])/gy;
    for (let m = words.exec(expression); m !== null; m = words.exec(expression)) {
      if (m[1]!.trim() !== '') this.tokens.push({ text: m[1]!, at: m.index + m[0].length - m[1]!.length });
    }
  }

  compile(): Filter {
    if (this.tokens.length === 0) this.fail('the filter is empty');
    const filter = this.either();
    if (this.peek() !== '') this.fail(`"${this.peek()}" was not expected here: join with "and" or "or"`);
    return filter;
  }

  private peek(): string {
    return this.tokens[this.next]?.text ?? '';
  }

  private take(): string {
    return this.tokens[this.next++]?.text ?? '';
  }

  private fail(what: string, at = this.tokens[this.next]?.at ?? this.expression.length): never {
    throw new FilterError(what, this.expression.replace(/\s/g, ' '), at);
  }

  private accept(...words: string[]): boolean {
    if (!words.includes(this.peek().toLowerCase())) return false;
    this.next++;
    return true;
  }

  private either(): Filter {
    let left = this.both();
    while (this.accept('or', '||')) {
      const [a, b] = [left, this.both()];
      left = (c) => a(c) || b(c);
    }
    return left;
  }

  private both(): Filter {
    let left = this.negated();
    while (this.accept('and', '&&')) {
      const [a, b] = [left, this.negated()];
      left = (c) => a(c) && b(c);
    }
    return left;
  }

  private negated(): Filter {
    if (++this.depth > DEPTH_MAX) this.fail('the filter is nested too deeply');
    try {
      if (this.accept('not', '!')) {
        const inner = this.negated();
        return (c) => !inner(c);
      }
      if (!this.accept('(')) return this.test();
      const inner = this.either();
      if (!this.accept(')')) this.fail('")" is missing');
      return inner;
    } finally {
      this.depth--;
    }
  }

  private test(): Filter {
    const at = this.tokens[this.next]?.at;
    const word = this.peek().toLowerCase();
    if (word === '') this.fail('the filter ends where a test was expected');
    const plain = Object.hasOwn(PLAIN, word) ? PLAIN[word] : undefined;
    if (plain !== undefined) {
      this.next++;
      // tcpdump's "tcp port 80": a protocol before a qualifier narrows it.
      if (!PROTOCOLS.includes(word) || !['src', 'dst', 'port', 'host', 'net'].includes(this.peek())) return plain;
      const narrowed = this.test();
      return (c) => plain(c) && narrowed(c);
    }
    if (Object.hasOwn(FLAGS, word)) {
      this.next++;
      const bit = FLAGS[word]!;
      return ({ packet: p }) => p.tcp !== null && (p.tcp.flags & bit) !== 0;
    }
    if (word === 'len' || word === 'flow') return this.numeric(word);
    if (word === 'src' || word === 'dst') {
      this.next++;
      return this.qualified(word);
    }
    if (word === 'host' || word === 'net' || word === 'port') return this.qualified('either');
    if (/^\d+(-\d+)?$/.test(word) || parseAddress(word) !== null || /^[\d.a-f:]+\/\d+$/.test(word)) {
      return this.value(
        this.last.side,
        /^\d+(-\d+)?$/.test(word) ? this.last.kind : word.includes('/') ? 'net' : 'host',
      );
    }
    const known = [...QUALIFIED, ...Object.keys(PLAIN), ...Object.keys(FLAGS)].join(' ');
    return this.fail(`"${word}" is not a test; there are: ${known}`, at);
  }

  private qualified(side: Side): Filter {
    const kind = this.accept('host') ? 'host' : this.accept('net') ? 'net' : this.accept('port') ? 'port' : '';
    if (kind !== '') return this.value(side, kind);
    return this.value(side, this.peek().includes('/') ? 'net' : 'host');
  }

  private value(side: Side, kind: string): Filter {
    this.last = { side, kind };
    if (kind === 'port') return this.port(side);
    return kind === 'net' ? this.net(side) : this.host(side);
  }

  private port(side: Side): Filter {
    const m = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(this.peek());
    const low = Number(m?.[1]);
    const high = Number(m?.[2] ?? m?.[1]);
    if (m === null || low > 65_535 || high > 65_535 || low > high) {
      this.fail('a port between 0 and 65535, or a range such as 8000-8100, was expected');
    }
    this.next++;
    const within = (port: number): boolean => port >= low && port <= high;
    return ({ packet: p }) => {
      const ports = p.tcp ?? p.udp;
      if (ports === null) return false;
      return (side !== 'dst' && within(ports.sport)) || (side !== 'src' && within(ports.dport));
    };
  }

  private host(side: Side): Filter {
    const word = this.peek();
    const bytes = parseAddress(word);
    if (bytes !== null) {
      this.next++;
      const address = addressText(bytes, 0, bytes.length);
      return onAddresses(side, (found) => found === address);
    }
    const keyword = ['and', 'or', 'not', 'host', 'port', 'net', 'src', 'dst'].includes(word.toLowerCase());
    if (keyword || !/^[a-zA-Z_][\w.-]*$/.test(word)) this.fail('an address was expected');
    this.next++;
    return onAddresses(side, (found, names) => names.get(found) === word);
  }

  private net(side: Side): Filter {
    const [text, length] = this.peek().split('/');
    const bytes = parseAddress(text ?? '');
    const bits = /^\d{1,3}$/.test(length ?? '') ? Number(length) : Infinity;
    if (bytes === null || bits > bytes.length * 8) this.fail('a network such as 10.0.0.0/8 was expected');
    this.next++;
    return onAddresses(side, (found) => {
      const address = parseAddress(found);
      return address !== null && address.length === bytes.length && samePrefix(address, bytes, bits);
    });
  }

  private numeric(word: string): Filter {
    this.next++;
    const operator = /^(>=|<=|==|!=|>|<|=)$/.test(this.peek()) ? this.take() : '==';
    if (!/^\d{1,9}$/.test(this.peek())) this.fail(`a number was expected after "${word}"`);
    const number = Number(this.take());
    const of: (c: Candidate) => number = word === 'len' ? (c) => c.length : (c) => c.view?.flow ?? 0;
    return (c) => compare(of(c), operator, number);
  }
}

const DEPTH_MAX = 200;

function compare(a: number, operator: string, b: number): boolean {
  switch (operator) {
    case '>':
      return a > b;
    case '<':
      return a < b;
    case '>=':
      return a >= b;
    case '<=':
      return a <= b;
    case '!=':
      return a !== b;
    default:
      return a === b;
  }
}

function samePrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let i = 0; i < a.length && bits > 0; i++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff00 >>> bits) & 0xff;
    if (((a[i]! ^ b[i]!) & mask) !== 0) return false;
  }
  return true;
}

function onAddresses(side: Side, test: (address: string, names: ReadonlyMap<string, string>) => boolean): Filter {
  return ({ packet: p, names }) => {
    const source = p.ip?.source ?? p.arp?.senderIp;
    const destination = p.ip?.destination ?? p.arp?.targetIp;
    if (source === undefined || destination === undefined) return false;
    return (side !== 'dst' && test(source, names)) || (side !== 'src' && test(destination, names));
  };
}
