import type { Expression } from './ast';
import {
  atOnce,
  type CallContext,
  type CallHandler,
  expectArgs,
  isBlocking,
  liveFd,
  onSocket,
  type SocketDescription,
  socketOf,
  takeError,
  waiting,
} from './call-context';
import {
  AF_INET,
  AF_INET6,
  constant,
  MSG_FASTOPEN,
  SHUT_RD,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from './constants';
import { failed, type Outcome, outcomeOf, succeeded } from './descriptors';
import { Unsupported } from './source';
import type { SocketAddress } from './target';
import { describe, isUnspec, numberOf } from './values';

/** An IPv4 address as a socket of the script's family writes it. */
function inFamily(ip: string, x: CallContext): string {
  return x.config.family === 'ipv4-mapped-ipv6' && !ip.includes(':') ? `::ffff:${ip}` : ip;
}

/** The address that an argument stands for; `natural` for `...`. Null for AF_UNSPEC. */
export function addressOf(e: Expression | undefined, natural: SocketAddress, x: CallContext): SocketAddress | null {
  if (e === undefined || e.kind === 'ellipsis') return { ip: inFamily(natural.ip, x), port: natural.port };
  if (isUnspec(e)) return null;
  if (e.kind === 'sockaddr') {
    if (constant(e.family) === 0) return null;
    return { ip: inFamily(e.address, x), port: e.port };
  }
  throw new Unsupported(`${describe(e)} as an address`);
}

export const remoteAddress = (x: CallContext): SocketAddress => ({ ip: x.config.remoteIp, port: x.config.connectPort });

const socket: CallHandler = (args, x) => {
  expectArgs('socket', args, 3);
  const [domainArg, typeArg, protocolArg] = args as [Expression, Expression, Expression];
  const natural = x.config.family === 'ipv4' ? AF_INET : AF_INET6;
  const domain = domainArg.kind === 'ellipsis' ? natural : numberOf(domainArg);
  const typeBits = numberOf(typeArg);
  const type = typeBits & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  const protocol = protocolArg.kind === 'ellipsis' ? 0 : numberOf(protocolArg);
  return {
    ...atOnce(() => {
      if (domain !== AF_INET && domain !== AF_INET6) return failed('EAFNOSUPPORT');
      if (type !== SOCK_STREAM && type !== SOCK_DGRAM) return failed('ESOCKTNOSUPPORT');
      const family = domain === AF_INET ? 'inet' : 'inet6';
      const made = x.target.socket(family, type === SOCK_STREAM ? 'stream' : 'dgram', protocol);
      if (typeof made === 'string') return failed(made);
      const fd = x.descriptors.openSocket(made, (typeBits & SOCK_NONBLOCK) !== 0);
      if (fd < 0) return failed('EMFILE');
      x.hooks.opened(made);
      return succeeded(fd);
    }),
    opens: true,
  };
};

const bind: CallHandler = (args, x) => {
  expectArgs('bind', args, 3);
  return onSocket(args[0]!, x, (entry) => {
    const address = addressOf(args[1], { ip: x.config.localIp, port: x.config.bindPort }, x);
    return address === null ? 'EAFNOSUPPORT' : entry.socket.bind(address);
  });
};

const listen: CallHandler = (args, x) => {
  expectArgs('listen', args, 2);
  return onSocket(args[0]!, x, (entry) => {
    const result = entry.socket.listen(numberOf(args[1]!));
    if (result === 0) x.hooks.listening(entry.socket);
    return result;
  });
};

const accept =
  (name: string, flagsAt: number): CallHandler =>
  (args, x) => {
    expectArgs(name, args, flagsAt === 0 ? 3 : 4);
    const flags = flagsAt === 0 ? 0 : numberOf(args[flagsAt]!);
    const attempt = (): Outcome | null => {
      const entry = socketOf(args[0]!, x);
      if (typeof entry === 'string') return failed(entry);
      const made = entry.socket.accept();
      if (made === 'EAGAIN' && isBlocking(entry)) return null;
      if (typeof made === 'string') return failed(made);
      const fd = x.descriptors.openSocket(made, (flags & SOCK_NONBLOCK) !== 0);
      if (fd < 0) return failed('EMFILE');
      x.hooks.accepted(made);
      return succeeded(fd);
    };
    return { ...waiting(attempt), opens: true };
  };

const connect: CallHandler = (args, x) => {
  expectArgs('connect', args, 3);
  const address = addressOf(args[1], remoteAddress(x), x);
  let begun: SocketDescription | null = null;
  return waiting(() => {
    if (begun !== null) return begun.socket.connecting() ? null : outcomeOf(takeError(begun.socket) ?? 0);
    const entry = socketOf(args[0]!, x);
    if (typeof entry === 'string') return failed(entry);
    const begins = entry.socket.remoteAddress() === null;
    const result = entry.socket.connect(address);
    // A second call on a stream tells only that the first has succeeded.
    if (address !== null && (result === 'EINPROGRESS' || (result === 0 && (begins || entry.socket.type === 'dgram')))) {
      x.hooks.connecting(entry.socket, address);
    }
    if (result !== 'EINPROGRESS' || !isBlocking(entry)) return outcomeOf(result);
    begun = entry;
    return null;
  });
};

const shutdown: CallHandler = (args, x) => {
  expectArgs('shutdown', args, 2);
  const how = numberOf(args[1]!);
  return onSocket(args[0]!, x, (entry) => {
    if (how < SHUT_RD || how > 2) return 'EINVAL';
    return entry.socket.shutdown(how === SHUT_RD ? 'rd' : how === SHUT_WR ? 'wr' : 'rdwr');
  });
};

/** `close` waits when SO_LINGER has a time and something written is not acknowledged yet. */
const close: CallHandler = (args, x) => {
  expectArgs('close', args, 1);
  const fd = liveFd(args[0]!, x);
  const entry = x.descriptors.get(fd);
  const lingers = entry?.kind === 'socket' && isBlocking(entry) && entry.linger !== null && entry.linger > 0;
  const deadlineUs = lingers ? x.clock.nowUs + entry.linger! * 1e6 : Number.POSITIVE_INFINITY;
  let closed = false;
  const attempt = (): Outcome | null => {
    if (entry === undefined) return failed('EBADF');
    if (!closed && entry.kind === 'socket') entry.socket.close();
    if (!closed) x.descriptors.remove(fd);
    closed = true;
    if (!lingers || x.clock.nowUs >= deadlineUs) return succeeded(0);
    const left = entry.socket.queued('out');
    return typeof left === 'number' && left > 0 ? null : succeeded(0);
  };
  return { attempt, deadlineUs };
};

/** Calls that make, join and end connections. */
export const connectionCalls: Readonly<Record<string, CallHandler>> = {
  socket,
  bind,
  listen,
  accept: accept('accept', 0),
  accept4: accept('accept4', 3),
  connect,
  shutdown,
  close,
};

/** Where a `sendto` or `sendmsg` goes: only Fast Open and datagrams look at the address. */
export function destinationOf(
  e: Expression | undefined,
  flags: number,
  entry: SocketDescription,
  x: CallContext,
): SocketAddress | 'unspec' | null {
  const isDatagram = entry.socket.type === 'dgram';
  if (!isDatagram && (flags & MSG_FASTOPEN) === 0) return null;
  if (isDatagram && entry.socket.remoteAddress() !== null) return null;
  return addressOf(e, remoteAddress(x), x) ?? 'unspec';
}
