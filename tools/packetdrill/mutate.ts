import type { Call, Event, PacketLine, Script, TcpLine } from './ast';
import { FIN, RST, SYN } from './packet';
import { type PythonExpression, parsePython } from './python/parse';
import { PythonError } from './python/tokens';

/** What was falsified. */
export type MutantKind = 'ack' | 'len' | 'flag' | 'missing' | 'time' | 'ret' | 'errno' | 'assert';

/** A copy of a script with one expectation falsified: it must fail, or the script does not test that expectation. */
export interface Mutant {
  readonly kind: MutantKind;
  /** Of the expectation. */
  readonly line: number;
  /** "expects ack 1008 instead of 1001". */
  readonly what: string;
  readonly script: Script;
}

interface Change {
  readonly kind: MutantKind;
  readonly what: string;
  readonly event: Event;
}

/** Tries to falsify an event; null when it has nothing of the kind. */
type Falsify = (event: Event, script: Script) => Change | null;

const ACK_SHIFT = 7;
const LENGTH_SHIFT = 3;
const TIME_SHIFT_US = 700_000;

const outbound = (event: Event): TcpLine | null => {
  const { action } = event;
  return action.kind === 'tcp' && action.direction === 'out' ? action : null;
};

const changed = (event: Event, action: PacketLine | Call): Event => ({ ...event, action });

const falsifyAck: Falsify = (event) => {
  const line = outbound(event);
  if (line === null || line.ack === null || line.ack === 0) return null;
  const ack = (line.ack + ACK_SHIFT) >>> 0;
  return { kind: 'ack', what: `expects ack ${ack} instead of ${line.ack}`, event: changed(event, { ...line, ack }) };
};

const falsifyLength: Falsify = (event) => {
  const { action } = event;
  if (action.kind === 'udp' && action.direction === 'out') {
    const length = action.length + LENGTH_SHIFT;
    return {
      kind: 'len',
      what: `expects ${length} bytes instead of ${action.length}`,
      event: changed(event, { ...action, length }),
    };
  }
  const line = outbound(event);
  if (line === null || line.length === 0 || (line.flags & SYN) !== 0) return null;
  const length = line.length + LENGTH_SHIFT;
  return {
    kind: 'len',
    what: `expects ${length} bytes instead of ${line.length}`,
    event: changed(event, { ...line, length }),
  };
};

const falsifyFlag: Falsify = (event) => {
  const line = outbound(event);
  if (line === null || (line.flags & (FIN | RST)) === 0) return null;
  const flags = line.flags ^ (FIN | RST);
  const what = (line.flags & FIN) !== 0 ? 'expects RST instead of FIN' : 'expects FIN instead of RST';
  return { kind: 'flag', what, event: changed(event, { ...line, flags }) };
};

/** Late by 0.7 s, and by more where the tolerance is so wide that this would pass. */
const falsifyTime: Falsify = (event, { config }) => {
  const { action, time } = event;
  if (!('direction' in action) || action.direction !== 'out' || time.kind === 'any') return null;
  const part = Math.min(config.tolerancePercent / 100, 0.9);
  const shiftUs = Math.max(TIME_SHIFT_US, 2 * config.toleranceUs, Math.ceil((2 * part * time.us) / (1 - part)));
  const later = { ...time, us: time.us + shiftUs };
  const moved = 'toUs' in later ? { ...later, toUs: later.toUs + shiftUs } : later;
  return { kind: 'time', what: `expects the packet ${shiftUs / 1e6} s later`, event: { ...event, time: moved } };
};

const COUNTING = new Set([
  'write',
  'writev',
  'send',
  'sendto',
  'sendmsg',
  'read',
  'readv',
  'recv',
  'recvfrom',
  'recvmsg',
]);

const falsifyResult: Falsify = (event) => {
  const { action } = event;
  if (action.kind !== 'call' || !COUNTING.has(action.name)) return null;
  const { result } = action;
  if (result.kind !== 'integer' || result.value <= 0) return null;
  const value = result.value - 1;
  const what = `expects ${action.name} to return ${value} instead of ${result.value}`;
  return { kind: 'ret', what, event: changed(event, { ...action, result: { ...result, value } }) };
};

const falsifyErrno: Falsify = (event) => {
  const { action } = event;
  if (action.kind !== 'call' || action.errno === null || action.errno === 'EBADF') return null;
  const what = `expects EBADF instead of ${action.errno}`;
  return { kind: 'errno', what, event: changed(event, { ...action, errno: 'EBADF' }) };
};

const falsifyAssert: Falsify = (event) => {
  const { action } = event;
  if (action.kind !== 'code' || action.program instanceof PythonError) return null;
  for (const statement of [...action.program.statements].reverse()) {
    if (statement.kind !== 'assert') continue;
    const number = assertedNumber(statement.test);
    if (number === null) continue;
    const text = `${action.text.slice(0, number.at)}${number.value + 2}${action.text.slice(number.end)}`;
    const what = `asserts ${number.value + 2} instead of ${number.value}`;
    return { kind: 'assert', what, event: { ...event, action: { ...action, text, program: parsePython(text) } } };
  }
  return null;
};

/** The number in `tcpi_name == number`. */
function assertedNumber(test: PythonExpression): { at: number; end: number; value: number } | null {
  if (test.kind !== 'compare' || test.first.kind !== 'name' || !test.first.name.startsWith('tcpi_')) return null;
  const [only] = test.rest;
  if (test.rest.length !== 1 || only === undefined || only.operator !== '==') return null;
  const { operand } = only;
  if (operand.kind !== 'constant' || typeof operand.value !== 'number') return null;
  return { at: operand.at, end: operand.end, value: operand.value };
}

/** Each kind, and whether the first or the last place says most about the script. */
const KINDS: readonly { readonly falsify: Falsify; readonly last: boolean }[] = [
  { falsify: falsifyAck, last: true },
  { falsify: falsifyLength, last: false },
  { falsify: falsifyFlag, last: false },
  { falsify: falsifyTime, last: true },
  { falsify: falsifyResult, last: true },
  { falsify: falsifyErrno, last: true },
  { falsify: falsifyAssert, last: true },
];

/**
 * Falsified copies of a script: one of each kind that it has, or with `every` one for each place, and one in which a
 * packet is expected at the end that never comes.
 */
export function mutants(script: Script, every = false): Mutant[] {
  const list: Mutant[] = [];
  for (const { falsify, last } of KINDS) {
    const found: Mutant[] = [];
    script.events.forEach((event, i) => {
      const change = falsify(event, script);
      if (change === null) return;
      const events = script.events.with(i, change.event);
      found.push({ kind: change.kind, line: event.line, what: change.what, script: { ...script, events } });
    });
    const [one] = found.slice(last ? -1 : 0);
    if (every) list.push(...found);
    else if (one !== undefined) list.push(one);
  }
  const phantom = neverComing(script);
  return phantom === null ? list : [...list, phantom];
}

/** Expects a reset that no stack sends. Only where the script expects packets at all. */
function neverComing(script: Script): Mutant | null {
  if (!script.events.some((event) => outbound(event) !== null)) return null;
  const last = script.events[script.events.length - 1]!;
  const line: TcpLine = {
    kind: 'tcp',
    direction: 'out',
    ip: { ecn: null, tos: null, ttl: null, flowLabel: null },
    ports: null,
    flags: RST,
    ace: null,
    from: 987_654,
    length: 0,
    ack: null,
    window: null,
    urgent: null,
    options: [],
    at: last.at,
  };
  const event: Event = { ...last, time: { kind: 'relative', us: 200_000 }, action: line };
  const what = 'expects one more packet, which never comes';
  return { kind: 'missing', line: last.line, what, script: { ...script, events: [...script.events, event] } };
}
