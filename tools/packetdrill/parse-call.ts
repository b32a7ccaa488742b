import type { Call, CmsghdrNode, EpollEventNode, Expression, MsghdrNode } from './ast';
import type { Cursor } from './cursor';

const CONVERSIONS = ['inet_addr', 'inet6_addr', 'htons'] as const;

/** Parses a call from its name on. `endUs` is what stood between `...` and the name. */
export function parseCall(c: Cursor, endUs: number | null): Call {
  const name = c.word('a system call, a packet ("<" or ">"), a command in back quotes or a code block');
  c.sign('(', `after ${name.text}`);
  const args: Expression[] = [];
  if (!c.isSign(')')) args.push(...parseList(c));
  c.sign(')', `after the arguments of ${name.text}`);
  c.sign('=', `and the result of ${name.text}`);
  const result = parseExpression(c);
  const errno = c.peek().kind === 'word' ? c.next().text : null;
  if (c.isSign('(')) skipNote(c);
  return { kind: 'call', name: name.text, args, endUs, result, errno, at: name.at };
}

/** `(Resource temporarily unavailable)`: for people, not compared. */
function skipNote(c: Cursor): void {
  const at = c.next().at;
  for (let depth = 1; depth > 0; ) {
    const token = c.next();
    if (token.kind === 'end') c.fail('a note that does not end', at);
    if (token.kind === 'sign') depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
  }
}

function parseList(c: Cursor): Expression[] {
  const list: Expression[] = [];
  do list.push(parseExpression(c));
  while (c.acceptSign(','));
  return list;
}

/**
 * An argument, a result or a part of either. A word that names a member may be `sized`, which says nothing that the
 * value does not: `msg_iov(2)=[...]`.
 */
function parseExpression(c: Cursor, sized = false): Expression {
  const first = c.nested(() => parsePrimary(c, sized));
  if (!c.isSign('|')) return first;
  const parts = [first];
  while (c.acceptSign('|')) parts.push(parsePrimary(c, false));
  return { kind: 'or', parts, at: first.at };
}

function parsePrimary(c: Cursor, sized: boolean): Expression {
  const token = c.peek();
  const at = token.at;
  switch (token.kind) {
    case 'ellipsis':
      c.next();
      return { kind: 'ellipsis', at };
    case 'integer':
    case 'hex':
      c.next();
      return { kind: 'integer', value: token.value, hex: token.kind === 'hex', at };
    case 'string':
      return parseString(c, at);
    case 'word':
      return parseWord(c, at, sized);
    case 'sign':
      if (token.text === '[') return parseArray(c, at);
      if (token.text === '{') return parseBraces(c, at);
  }
  return c.expected('an expression');
}

function parseString(c: Cursor, at: number): Expression {
  let value = '';
  while (c.peek().kind === 'string') value += c.next().text;
  const open = c.peek().kind === 'ellipsis';
  if (open) c.next();
  return { kind: 'string', value, open, at };
}

function parseWord(c: Cursor, at: number, sized: boolean): Expression {
  const name = c.next().text;
  const conversion = CONVERSIONS.find((known) => known === name);
  if (conversion !== undefined && c.acceptSign('(')) return parseConversion(c, conversion, at);
  if (c.isSign('(')) {
    if (!sized) c.refuse(`${name}(...) as an argument`, at);
    skipSize(c, name);
  }
  if (c.acceptSign('=')) return { kind: 'assign', name, value: parseExpression(c), at };
  return { kind: 'word', name, at };
}

function skipSize(c: Cursor, name: string): void {
  c.next();
  parseExpression(c);
  c.sign(')', `after the size of ${name}`);
  if (!c.isSign('=')) c.expected(`"=" after ${name}(...)`);
}

function parseConversion(c: Cursor, name: (typeof CONVERSIONS)[number], at: number): Expression {
  let value: string | number;
  if (name === 'htons') value = c.u16('a port');
  else {
    if (c.peek().kind !== 'string') c.expected(`an address in double quotes in ${name}`);
    value = c.next().text;
  }
  c.sign(')', `after the argument of ${name}`);
  return { kind: 'conversion', name, value, at };
}

function parseArray(c: Cursor, at: number): Expression {
  c.next();
  const items = c.isSign(']') ? [] : parseList(c);
  c.sign(']', 'after the array');
  return { kind: 'array', items, at };
}

/** A member of a structure: `name=value`, `name(size)=value`, or `value` alone with an empty name. */
interface Member {
  readonly name: string;
  readonly value: Expression;
  readonly at: number;
}

function parseBraces(c: Cursor, at: number): Expression {
  c.next();
  const members: Member[] = [];
  if (c.isSign('(')) c.refuse('an MPLS label stack', at);
  if (!c.isSign('}')) {
    do members.push(parseMember(c));
    while (c.acceptSign(','));
  }
  c.sign('}', 'after the structure');
  return structure(c, members, at);
}

function parseMember(c: Cursor): Member {
  const value = parseExpression(c, true);
  if (value.kind === 'assign') return { name: value.name, value: value.value, at: value.at };
  return { name: '', value, at: value.at };
}

type Shape = (c: Cursor, members: ReadonlyMap<string, Expression>, at: number) => Expression;

/** Structures by their first member. `?` marks what may be missing. */
const SHAPES: Readonly<Record<string, { members: readonly string[]; build: Shape }>> = {
  sa_family: { members: ['sa_family', 'sin_port', 'sin_addr'], build: sockaddr },
  msg_name: { members: ['msg_name', 'msg_iov', 'msg_flags?', 'msg_control?'], build: msghdr },
  msg_iov: { members: ['msg_iov', 'msg_flags?', 'msg_control?'], build: msghdr },
  iov_base: { members: ['iov_base', 'iov_len'], build: iovec },
  cmsg_level: { members: ['cmsg_level', 'cmsg_type', 'cmsg_data'], build: cmsghdr },
  ee_errno: { members: ['ee_errno', 'ee_origin', 'ee_type', 'ee_code', 'ee_info', 'ee_data'], build: extendedError },
  scm_sec: { members: ['scm_sec', 'scm_nsec'], build: timestamp },
  fd: { members: ['fd', 'events', 'revents?'], build: pollfd },
  onoff: { members: ['onoff', 'linger'], build: linger },
};

function structure(c: Cursor, members: readonly Member[], at: number): Expression {
  const names = members.map(({ name }) => name);
  if (names.every((name) => name === '')) return positional(members, at);
  if (names[0] === 'events') return epollEvent(c, members, at);
  const shape = Object.hasOwn(SHAPES, names[0]!) ? SHAPES[names[0]!] : undefined;
  if (shape === undefined) return c.refuse(`the structure {${names.map((name) => name || '...').join(', ')}}`, at);
  const byName = new Map<string, Expression>();
  for (const member of members) {
    if (!shape.members.includes(member.name) && !shape.members.includes(`${member.name}?`)) {
      c.fail(`expected one of ${shape.members.join(', ').replace(/\?/g, '')}, found "${member.name}"`, member.at);
    }
    byName.set(member.name, member.value);
  }
  for (const name of shape.members) {
    if (!name.endsWith('?') && !byName.has(name)) c.fail(`expected ${name} in the structure`, at);
  }
  return shape.build(c, byName, at);
}

/** `{..., 1000}` is a buffer and its length; anything else without names a list. */
function positional(members: readonly Member[], at: number): Expression {
  const items = members.map(({ value }) => value);
  const [base, length] = items;
  if (items.length === 2 && base !== undefined && length?.kind === 'integer' && base.kind !== 'integer') {
    return { kind: 'iovec', base, length: length.value, at };
  }
  return { kind: 'list', items, at };
}

function integerOf(c: Cursor, node: Expression, what: string): number {
  return node.kind === 'integer' ? node.value : c.fail(`expected a number for ${what}`, node.at);
}

function sockaddr(c: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  const family = members.get('sa_family')!;
  const port = members.get('sin_port')!;
  const address = members.get('sin_addr')!;
  if (family.kind !== 'word') return c.fail('expected AF_INET or AF_INET6', family.at);
  if (port.kind !== 'conversion' || port.name !== 'htons') return c.fail('expected htons(port)', port.at);
  if (address.kind !== 'conversion' || address.name === 'htons') {
    return c.fail('expected inet_addr("address")', address.at);
  }
  return { kind: 'sockaddr', family: family.name, port: Number(port.value), address: String(address.value), at };
}

function msghdr(c: Cursor, members: ReadonlyMap<string, Expression>, at: number): MsghdrNode {
  const iov = members.get('msg_iov')!;
  const control = members.get('msg_control');
  if (iov.kind !== 'array') return c.fail('expected [{..., length}, ...] for msg_iov', iov.at);
  if (control !== undefined && control.kind !== 'array') return c.fail('expected [...] for msg_control', control.at);
  const messages = control?.items ?? [];
  for (const message of messages) {
    if (message.kind !== 'cmsghdr') c.fail('expected {cmsg_level=..., cmsg_type=..., cmsg_data=...}', message.at);
  }
  return {
    kind: 'msghdr',
    name: members.get('msg_name') ?? null,
    iov: iov.items,
    flags: members.get('msg_flags') ?? null,
    control: control === undefined ? null : (messages as CmsghdrNode[]),
    at,
  };
}

function iovec(c: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  const length = integerOf(c, members.get('iov_len')!, 'iov_len');
  return { kind: 'iovec', base: members.get('iov_base')!, length, at };
}

function cmsghdr(_: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  return {
    kind: 'cmsghdr',
    level: members.get('cmsg_level')!,
    type: members.get('cmsg_type')!,
    data: members.get('cmsg_data')!,
    at,
  };
}

function extendedError(_: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  return {
    kind: 'sock_extended_err',
    errno: members.get('ee_errno')!,
    origin: members.get('ee_origin')!,
    type: members.get('ee_type')!,
    code: members.get('ee_code')!,
    info: members.get('ee_info')!,
    data: members.get('ee_data')!,
    at,
  };
}

function timestamp(c: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  const seconds = integerOf(c, members.get('scm_sec')!, 'scm_sec');
  return { kind: 'scm_timestamping', seconds, nanoseconds: integerOf(c, members.get('scm_nsec')!, 'scm_nsec'), at };
}

function pollfd(_: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  const revents = members.get('revents') ?? null;
  return { kind: 'pollfd', fd: members.get('fd')!, events: members.get('events')!, revents, at };
}

function linger(c: Cursor, members: ReadonlyMap<string, Expression>, at: number): Expression {
  const onoff = integerOf(c, members.get('onoff')!, 'onoff');
  return { kind: 'linger', onoff, linger: integerOf(c, members.get('linger')!, 'linger'), at };
}

function epollEvent(c: Cursor, members: readonly Member[], at: number): EpollEventNode {
  const data = members[1];
  const member = (['fd', 'ptr', 'u32', 'u64'] as const).find((name) => name === data?.name);
  if (members.length !== 2 || data === undefined || member === undefined) {
    return c.fail('expected {events=..., fd=...} with one of fd, ptr, u32 and u64', at);
  }
  return { kind: 'epoll_event', events: members[0]!.value, member, data: data.value, at };
}
