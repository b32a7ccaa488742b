import type { ScriptConfig } from './options';
import type { TcpOption } from './packet';
import type { PythonProgram } from './python/parse';
import type { PythonError } from './python/tokens';
import type { Source } from './source';

/** A whole script, ready to run. */
export interface Script {
  readonly source: Source;
  readonly config: ScriptConfig;
  /** What stands in back quotes before the first event. */
  readonly setUp: Command | null;
  readonly events: readonly Event[];
  /** What stands in back quotes, without a time, after the last. */
  readonly cleanUp: Command | null;
  /** Things accepted and left out. */
  readonly warnings: readonly string[];
}

/** When an event is due, in microseconds. A range is for outbound packets only, and so is 'any'. */
export type EventTime =
  | { readonly kind: 'absolute'; readonly us: number }
  | { readonly kind: 'relative'; readonly us: number }
  | { readonly kind: 'any' }
  | { readonly kind: 'absolute-range'; readonly us: number; readonly toUs: number }
  | { readonly kind: 'relative-range'; readonly us: number; readonly toUs: number };

export interface Event {
  readonly time: EventTime;
  readonly action: Action;
  /** Offset of the event's first character, and of the one after its last. */
  readonly at: number;
  readonly end: number;
  readonly line: number;
}

export type Action = TcpLine | UdpLine | IcmpLine | Call | Command | Code;

/** A command in back quotes. Never given to a shell: see commands.ts. */
export interface Command {
  readonly kind: 'command';
  readonly text: string;
  readonly at: number;
}

/**
 * A block of Python between `%{` and `}%`. `at` is the offset of its first character. `program` is an error when the block
 * is not Python.
 */
export interface Code {
  readonly kind: 'code';
  readonly text: string;
  readonly program: PythonProgram | PythonError;
  readonly at: number;
}

/** 'in': `<`, from the network to the stack. 'out': `>`, from the stack. */
export type Direction = 'in' | 'out';

/** What stands in brackets behind the direction. Null: not given, so not checked. */
export interface IpInfo {
  readonly ecn: 'noecn' | 'ect0' | 'ect1' | 'ce' | 'ect01' | null;
  readonly tos: number | null;
  readonly ttl: number | null;
  readonly flowLabel: number | null;
}

export interface Ports {
  readonly source: number;
  readonly destination: number;
}

export interface TcpLine {
  readonly kind: 'tcp';
  readonly direction: Direction;
  readonly ip: IpInfo;
  readonly ports: Ports | null;
  /** Bits of packet.ts. */
  readonly flags: number;
  /** The AccECN counter when it was written as a digit; its bits stand in `flags` too. */
  readonly ace: number | null;
  readonly from: number;
  readonly length: number;
  readonly ack: number | null;
  readonly window: number | null;
  readonly urgent: number | null;
  /** 'any' for `<...>`: not checked. Empty: there must be none. */
  readonly options: readonly TcpOption[] | 'any';
  readonly at: number;
}

export interface UdpLine {
  readonly kind: 'udp';
  readonly direction: Direction;
  readonly ip: IpInfo;
  readonly ports: Ports | null;
  readonly length: number;
  readonly at: number;
}

/** A name of icmp-names.ts, or `type_7`, and its number. */
export interface Named {
  readonly name: string;
  readonly number: number;
}

/** The datagram that an ICMP error quotes. */
export type Quote =
  | { readonly protocol: 'tcp'; readonly from: number; readonly length: number }
  | { readonly protocol: 'udp'; readonly length: number }
  | { readonly protocol: 'raw'; readonly length: number };

export interface IcmpLine {
  readonly kind: 'icmp';
  readonly direction: Direction;
  readonly ip: IpInfo;
  readonly type: Named;
  readonly code: Named | null;
  readonly mtu: number | null;
  readonly id: number | null;
  readonly quote: Quote | null;
  readonly at: number;
}

export type PacketLine = TcpLine | UdpLine | IcmpLine;

/** `name(args) = result [ERRNO] [(note)]`; with `endUs` the call blocks until then (same base as the event's time). */
export interface Call {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Expression[];
  readonly endUs: number | null;
  readonly result: Expression;
  /** Null when the line names none: then any error will do. */
  readonly errno: string | null;
  readonly at: number;
}

interface Node {
  readonly at: number;
}

/** `...`: whatever is natural there. */
export interface Ellipsis extends Node {
  readonly kind: 'ellipsis';
}
export interface IntegerNode extends Node {
  readonly kind: 'integer';
  readonly value: number;
  readonly hex: boolean;
}
export interface WordNode extends Node {
  readonly kind: 'word';
  readonly name: string;
}
/** One character is one byte. `open` when `...` follows: the rest is arbitrary. */
export interface StringNode extends Node {
  readonly kind: 'string';
  readonly value: string;
  readonly open: boolean;
}
/** `a|b|c`. */
export interface OrNode extends Node {
  readonly kind: 'or';
  readonly parts: readonly Expression[];
}
/** `[a, b]`: a value that the call reads, writes or both. */
export interface ArrayNode extends Node {
  readonly kind: 'array';
  readonly items: readonly Expression[];
}
/** `{a, b}` without names. */
export interface ListNode extends Node {
  readonly kind: 'list';
  readonly items: readonly Expression[];
}
/** `name = value` as an argument. */
export interface AssignNode extends Node {
  readonly kind: 'assign';
  readonly name: string;
  readonly value: Expression;
}
/** `inet_addr("...")`, `inet6_addr("...")`, `htons(n)`. */
export interface ConversionNode extends Node {
  readonly kind: 'conversion';
  readonly name: 'inet_addr' | 'inet6_addr' | 'htons';
  readonly value: string | number;
}
export interface SockaddrNode extends Node {
  readonly kind: 'sockaddr';
  readonly family: string;
  readonly port: number;
  readonly address: string;
}
export interface IovecNode extends Node {
  readonly kind: 'iovec';
  readonly base: Expression;
  readonly length: number;
}
export interface MsghdrNode extends Node {
  readonly kind: 'msghdr';
  readonly name: Expression | null;
  readonly iov: readonly Expression[];
  readonly flags: Expression | null;
  /** Null when the script does not mention it. */
  readonly control: readonly CmsghdrNode[] | null;
}
export interface CmsghdrNode extends Node {
  readonly kind: 'cmsghdr';
  readonly level: Expression;
  readonly type: Expression;
  readonly data: Expression;
}
export interface ExtendedErrorNode extends Node {
  readonly kind: 'sock_extended_err';
  readonly errno: Expression;
  readonly origin: Expression;
  readonly type: Expression;
  readonly code: Expression;
  readonly info: Expression;
  readonly data: Expression;
}
export interface TimestampNode extends Node {
  readonly kind: 'scm_timestamping';
  readonly seconds: number;
  readonly nanoseconds: number;
}
export interface PollfdNode extends Node {
  readonly kind: 'pollfd';
  readonly fd: Expression;
  readonly events: Expression;
  readonly revents: Expression | null;
}
export interface EpollEventNode extends Node {
  readonly kind: 'epoll_event';
  readonly events: Expression;
  readonly member: 'fd' | 'ptr' | 'u32' | 'u64';
  readonly data: Expression;
}
export interface LingerNode extends Node {
  readonly kind: 'linger';
  readonly onoff: number;
  readonly linger: number;
}

export type Expression =
  | Ellipsis
  | IntegerNode
  | WordNode
  | StringNode
  | OrNode
  | ArrayNode
  | ListNode
  | AssignNode
  | ConversionNode
  | SockaddrNode
  | IovecNode
  | MsghdrNode
  | CmsghdrNode
  | ExtendedErrorNode
  | TimestampNode
  | PollfdNode
  | EpollEventNode
  | LingerNode;
