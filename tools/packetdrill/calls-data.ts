import type { CmsghdrNode, Expression, MsghdrNode } from './ast';
import {
  type CallContext,
  type CallHandler,
  expectArgs,
  isBlocking,
  liveFd,
  type OutputDifference,
  type SocketDescription,
  type Started,
  socketOf,
  takeError,
  waiting,
} from './call-context';
import { destinationOf } from './calls-connection';
import {
  type Errno,
  MSG_ERRQUEUE,
  MSG_FASTOPEN,
  MSG_PEEK,
  MSG_SPLICE_PAGES,
  MSG_WAITALL,
  O_NONBLOCK,
} from './constants';
import { failed, type Outcome, succeeded } from './descriptors';
import { Unsupported } from './source';
import type { ControlData, ControlMessage, Received } from './target';
import { bufferOf, describe, numberOf, zeroBytes } from './values';

/** What is to be written, with the flags and the address arguments. */
interface Send {
  readonly fd: Expression;
  readonly data: Uint8Array | null;
  readonly flags: number;
  readonly to: Expression | undefined;
}

/** Writes everything on a socket that waits, what fits on one that does not. */
function startSend(send: Send, x: CallContext): Started {
  const { data } = send;
  let { flags } = send;
  let sent = 0;
  let awaitsConnection = false;
  if (data?.some((byte) => byte !== 0)) x.hooks.wroteText();
  const attempt = (entry: SocketDescription, bytes: Uint8Array): Outcome | null => {
    const { socket } = entry;
    const blocking = isBlocking(entry, flags);
    for (;;) {
      // A Fast Open write waits for the handshake, and so does any write on a connection that is being made.
      if (blocking && socket.connecting()) {
        awaitsConnection = true;
        if (sent < bytes.length) {
          const early = socket.send({ data: bytes.subarray(sent), flags, to: null, waits: true });
          if (typeof early === 'number') sent += early;
        }
        return null;
      }
      const error: Errno | null = awaitsConnection ? takeError(socket) : null;
      if (error !== null) return failed(error);
      if (awaitsConnection && sent > 0 && sent >= bytes.length) return succeeded(sent);
      awaitsConnection = false;
      const to = destinationOf(send.to, flags, entry, x);
      const begins = socket.remoteAddress() === null;
      const taken = socket.send({ data: bytes.subarray(sent), flags, to, waits: false });
      if (begins && to !== null && to !== 'unspec' && (typeof taken === 'number' || taken === 'EINPROGRESS')) {
        x.hooks.connecting(socket, to);
      }
      if (taken === 'EINPROGRESS' && blocking) {
        flags &= ~MSG_FASTOPEN;
        awaitsConnection = true;
        continue;
      }
      if (taken === 'EAGAIN' && blocking) return null;
      if (typeof taken === 'string') return sent > 0 ? succeeded(sent) : failed(taken);
      flags &= ~MSG_FASTOPEN;
      sent += taken;
      if (blocking && socket.connecting()) continue;
      if (!blocking || sent >= bytes.length || socket.type === 'dgram') return succeeded(sent);
    }
  };
  return waiting(() => {
    const entry = x.descriptors.get(liveFd(send.fd, x));
    if (entry?.kind === 'pipe') return writePipe(entry, data);
    const open = socketOf(send.fd, x);
    if (typeof open === 'string') return failed(open);
    return data === null ? failed('EFAULT') : attempt(open, data);
  });
}

function writePipe(
  pipe: { readonly end: 'read' | 'write'; readonly buffer: { bytes: number } },
  data: Uint8Array | null,
): Outcome {
  if (pipe.end !== 'write') return failed('EBADF');
  if (data === null) return failed('EFAULT');
  pipe.buffer.bytes += data.length;
  return succeeded(data.length);
}

const write: CallHandler = (args, x) => {
  expectArgs('write', args, 3);
  const data = bufferOf(args[1]!, numberOf(args[2]!));
  return startSend({ fd: args[0]!, data, flags: 0, to: undefined }, x);
};

const send: CallHandler = (args, x) => {
  expectArgs('send', args, 4);
  const data = bufferOf(args[1]!, numberOf(args[2]!));
  return startSend({ fd: args[0]!, data, flags: numberOf(args[3]!), to: undefined }, x);
};

const sendto: CallHandler = (args, x) => {
  expectArgs('sendto', args, 6);
  const data = bufferOf(args[1]!, numberOf(args[2]!));
  return startSend({ fd: args[0]!, data, flags: numberOf(args[3]!), to: args[4] }, x);
};

/** The bytes of an iovec, one buffer behind the other; null when one is a null pointer that is not empty. */
function gather(iov: readonly Expression[]): Uint8Array | null {
  const parts = iov.map((part) => {
    if (part.kind !== 'iovec') throw new Unsupported(`${describe(part)} in an iovec`);
    return part.length === 0 ? zeroBytes(0) : bufferOf(part.base, part.length);
  });
  if (parts.some((part) => part === null)) return null;
  const whole = parts as Uint8Array[];
  if (whole.every((part) => !part.some((byte) => byte !== 0))) {
    return zeroBytes(whole.reduce((bytes, part) => bytes + part.length, 0));
  }
  const joined = new Uint8Array(whole.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of whole) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const writev: CallHandler = (args, x) => {
  expectArgs('writev', args, 3);
  return startSend({ fd: args[0]!, data: gather(vectorOf(args[1]!)), flags: 0, to: undefined }, x);
};

function vectorOf(e: Expression): readonly Expression[] {
  if (e.kind === 'array' || e.kind === 'list') return e.items;
  if (e.kind === 'iovec') return [e];
  throw new Unsupported(`${describe(e)} as an iovec`);
}

function msghdrOf(e: Expression): MsghdrNode {
  if (e.kind === 'msghdr') return e;
  throw new Unsupported(`${describe(e)} as a msghdr`);
}

const sendmsg: CallHandler = (args, x) => {
  expectArgs('sendmsg', args, 3);
  const message = msghdrOf(args[1]!);
  if (message.control !== null && message.control.length > 0) throw new Unsupported('msg_control of sendmsg');
  const to = message.name ?? undefined;
  return startSend({ fd: args[0]!, data: gather(message.iov), flags: numberOf(args[2]!), to }, x);
};

/** What is to be read and where it goes. */
interface Receive {
  readonly fd: Expression;
  /** Null for a null pointer. */
  readonly bytes: number | null;
  readonly flags: number;
}

function startReceive(request: Receive, x: CallContext, done?: (received: Received) => void): Started {
  const { flags } = request;
  let got = 0;
  const attempt = (entry: SocketDescription, bytes: number): Outcome | null => {
    const blocking = isBlocking(entry, flags) && (flags & MSG_ERRQUEUE) === 0;
    for (;;) {
      const received = entry.socket.receive({ bytes: bytes - got, flags });
      if (received === 'EAGAIN' && blocking) return null;
      if (typeof received === 'string') return got > 0 ? succeeded(got) : failed(received);
      got += received.bytes;
      done?.(received);
      const isWhole = got >= bytes || received.bytes === 0;
      if (isWhole || !blocking || (flags & MSG_WAITALL) === 0 || (flags & MSG_PEEK) !== 0) return succeeded(got);
    }
  };
  return waiting(() => {
    const fd = liveFd(request.fd, x);
    const entry = x.descriptors.get(fd);
    if (entry?.kind === 'file') return request.bytes === null ? failed('EFAULT') : succeeded(request.bytes);
    if (entry?.kind === 'pipe') return readPipe(entry, request.bytes);
    const open = socketOf(request.fd, x);
    if (typeof open === 'string') return failed(open);
    return request.bytes === null ? failed('EFAULT') : attempt(open, request.bytes);
  });
}

function readPipe(
  pipe: { readonly end: 'read' | 'write'; readonly buffer: { bytes: number }; readonly flags: number },
  bytes: number | null,
): Outcome | null {
  if (pipe.end !== 'read') return failed('EBADF');
  if (bytes === null) return failed('EFAULT');
  if (pipe.buffer.bytes === 0) return (pipe.flags & O_NONBLOCK) !== 0 ? failed('EAGAIN') : null;
  const taken = Math.min(bytes, pipe.buffer.bytes);
  pipe.buffer.bytes -= taken;
  return succeeded(taken);
}

/** The room that a buffer argument and a length give; null for a null pointer. */
const roomOf = (buffer: Expression, length: Expression): number | null => {
  if (buffer.kind === 'word' && buffer.name === 'NULL') return null;
  return numberOf(length);
};

const read: CallHandler = (args, x) => {
  expectArgs('read', args, 3);
  return startReceive({ fd: args[0]!, bytes: roomOf(args[1]!, args[2]!), flags: 0 }, x);
};

const recv: CallHandler = (args, x) => {
  expectArgs('recv', args, 4);
  return startReceive({ fd: args[0]!, bytes: roomOf(args[1]!, args[2]!), flags: numberOf(args[3]!) }, x);
};

const recvfrom: CallHandler = (args, x) => {
  expectArgs('recvfrom', args, 6);
  return startReceive({ fd: args[0]!, bytes: roomOf(args[1]!, args[2]!), flags: numberOf(args[3]!) }, x);
};

const vectorBytes = (iov: readonly Expression[]): number =>
  iov.reduce((bytes, part) => {
    if (part.kind !== 'iovec') throw new Unsupported(`${describe(part)} in an iovec`);
    return bytes + part.length;
  }, 0);

const readv: CallHandler = (args, x) => {
  expectArgs('readv', args, 3);
  return startReceive({ fd: args[0]!, bytes: vectorBytes(vectorOf(args[1]!)), flags: 0 }, x);
};

const recvmsg: CallHandler = (args, x) => {
  expectArgs('recvmsg', args, 3);
  const message = msghdrOf(args[1]!);
  const flags = numberOf(args[2]!);
  let last: Received | null = null;
  const started = startReceive({ fd: args[0]!, bytes: vectorBytes(message.iov), flags }, x, (received) => {
    last = received;
  });
  return { ...started, check: () => (last === null ? null : checkMessage(message, last, x)) };
};

function checkMessage(expected: MsghdrNode, received: Received, x: CallContext): OutputDifference | null {
  if (expected.flags !== null && expected.flags.kind !== 'ellipsis') {
    const flags = numberOf(expected.flags);
    if (flags !== received.flags) return { what: 'msg_flags', expected: hex(flags), actual: hex(received.flags) };
  }
  if (expected.control === null) return null;
  const { control } = received;
  if (control.length !== expected.control.length) {
    const actual = control.map(({ level, type }) => `level ${level} type ${type}`).join(', ') || 'none';
    return { what: 'control messages', expected: String(expected.control.length), actual };
  }
  for (const [i, message] of expected.control.entries()) {
    const difference = checkControl(message, control[i]!, i, x);
    if (difference !== null) return difference;
  }
  return null;
}

const hex = (n: number): string => `0x${n.toString(16)}`;

function checkControl(e: CmsghdrNode, actual: ControlMessage, i: number, x: CallContext): OutputDifference | null {
  const what = `control message ${i + 1}`;
  const level = numberOf(e.level);
  const type = numberOf(e.type);
  if (level !== actual.level || type !== actual.type) {
    const expected = `level ${level} type ${type}`;
    return { what, expected, actual: `level ${actual.level} type ${actual.type}` };
  }
  return checkControlData(e.data, actual.data, what, x);
}

function checkControlData(e: Expression, data: ControlData, what: string, x: CallContext): OutputDifference | null {
  if (e.kind === 'ellipsis') return null;
  if (e.kind === 'scm_timestamping') {
    const us = e.seconds * 1e6 + e.nanoseconds / 1e3;
    if (data.kind === 'timestamp' && Math.abs(data.us - us) <= x.config.toleranceUs) return null;
    return { what, expected: `${us / 1e6} s`, actual: data.kind === 'timestamp' ? `${data.us / 1e6} s` : data.kind };
  }
  if (e.kind === 'sock_extended_err') {
    const { errno, origin, type, code, info } = e;
    const wanted = { errno, origin, type, code, info, data: e.data };
    for (const name of ['errno', 'origin', 'type', 'code', 'info', 'data'] as const) {
      const expected = numberOf(wanted[name]);
      const actual = data.kind === 'error' ? data[name] : Number.NaN;
      if (actual !== expected)
        return { what: `ee_${name} of ${what}`, expected: String(expected), actual: String(actual) };
    }
    return null;
  }
  const expected = numberOf(e);
  const actual = data.kind === 'number' ? data.value : Number.NaN;
  return actual === expected ? null : { what, expected: String(expected), actual: String(actual) };
}

/** `sendfile(out, in, [offset], count)` from a file of zeros. */
const sendfile: CallHandler = (args, x) => {
  expectArgs('sendfile', args, 4);
  const from = x.descriptors.get(liveFd(args[1]!, x));
  const started = startSend({ fd: args[0]!, data: zeroBytes(numberOf(args[3]!)), flags: 0, to: undefined }, x);
  if (from === undefined) return waiting(() => failed('EBADF'));
  return from.kind === 'file' ? started : waiting(() => failed('EINVAL'));
};

/** `splice(from, NULL, to, NULL, bytes, flags)`: one of the two is a pipe. */
const splice: CallHandler = (args, x) => {
  expectArgs('splice', args, 6);
  const bytes = numberOf(args[4]!);
  const from = x.descriptors.get(liveFd(args[0]!, x));
  const to = x.descriptors.get(liveFd(args[2]!, x));
  if (from === undefined || to === undefined) return waiting(() => failed('EBADF'));
  if (to.kind === 'pipe' && to.end === 'write') {
    return startReceive({ fd: args[0]!, bytes, flags: MSG_SPLICE_PAGES }, x, (received) => {
      to.buffer.bytes += received.bytes;
    });
  }
  if (from.kind !== 'pipe' || from.end !== 'read') return waiting(() => failed('EINVAL'));
  const data = zeroBytes(Math.min(bytes, from.buffer.bytes));
  const started = startSend({ fd: args[2]!, data, flags: 0, to: undefined }, x);
  return waiting(() => {
    const outcome = started.attempt();
    if (outcome !== null && outcome.value > 0) from.buffer.bytes -= outcome.value;
    return outcome;
  });
};

/** Calls that move data. */
export const dataCalls: Readonly<Record<string, CallHandler>> = {
  write,
  writev,
  send,
  sendto,
  sendmsg,
  read,
  readv,
  recv,
  recvfrom,
  recvmsg,
  sendfile,
  splice,
};
