import type { EpollEventNode, Expression, PollfdNode } from './ast';
import {
  atOnce,
  type CallContext,
  type CallHandler,
  expectArgs,
  liveFd,
  type OutputDifference,
  onSocket,
} from './call-context';
import {
  EPOLL_CTL_DEL,
  F_GETFL,
  F_SETFL,
  FIONBIO,
  O_NONBLOCK,
  POLLERR,
  POLLHUP,
  POLLNVAL,
  SIOCINQ,
  SIOCOUTQ,
  SIOCOUTQNSD,
  SOCKET_OPTIONS,
  type SocketOptionName,
  socketOption,
} from './constants';
import { type EpollReport, failed, type Outcome, outcomeOf, succeeded } from './descriptors';
import { Unsupported } from './source';
import type { OptionValue } from './target';
import { describe, numberOf } from './values';

const NEVER = Number.POSITIVE_INFINITY;

/** The only element of an array, or the value itself. */
const inner = (e: Expression): Expression => (e.kind === 'array' && e.items.length === 1 ? e.items[0]! : e);

/** The option that a level and a name give. A name of another level, as a number, may still be one of this level. */
function optionOf(level: Expression, name: Expression): SocketOptionName {
  const levelNumber = numberOf(level);
  if (name.kind === 'word' && Object.hasOwn(SOCKET_OPTIONS, name.name)) {
    const known = name.name as SocketOptionName;
    if (SOCKET_OPTIONS[known][0] === levelNumber) return known;
  }
  const found = socketOption(levelNumber, numberOf(name));
  if (found === null) throw new Unsupported(`the socket option ${describe(name)} of level ${describe(level)}`);
  return found;
}

function optionValue(e: Expression): OptionValue {
  const value = inner(e);
  if (value.kind === 'string') return value.value;
  if (value.kind === 'linger') return { onoff: value.onoff, linger: value.linger };
  return numberOf(value);
}

const setsockopt: CallHandler = (args, x) => {
  expectArgs('setsockopt', args, 5);
  const name = optionOf(args[1]!, args[2]!);
  if (args[3]!.kind === 'word' && args[3].name === 'NULL') return onSocket(args[0]!, x, () => 'EFAULT');
  const value = optionValue(args[3]!);
  return onSocket(args[0]!, x, (entry) => {
    const result = entry.socket.setOption(name, value);
    if (result === 0 && typeof value === 'object') entry.linger = value.onoff !== 0 ? value.linger : null;
    return result;
  });
};

const getsockopt: CallHandler = (args, x) => {
  expectArgs('getsockopt', args, 5);
  const name = optionOf(args[1]!, args[2]!);
  let got: OptionValue = 0;
  const started = onSocket(args[0]!, x, (entry) => {
    const value = entry.socket.getOption(name);
    if (typeof value === 'object' && 'error' in value) return value.error;
    got = value;
    return 0;
  });
  return { ...started, check: () => checkOption(name, args[3]!, args[4]!, got) };
};

function checkOption(name: string, value: Expression, length: Expression, got: OptionValue): OutputDifference | null {
  const show = (v: OptionValue): string =>
    typeof v === 'object' ? `{onoff=${v.onoff}, linger=${v.linger}}` : String(v);
  if (inner(value).kind !== 'ellipsis') {
    const expected = show(optionValue(value));
    if (show(got) !== expected) return { what: name, expected, actual: show(got) };
  }
  const lengthNode = inner(length);
  if (lengthNode.kind === 'ellipsis') return null;
  const bytes = typeof got === 'string' ? got.length : typeof got === 'object' ? 8 : 4;
  const expected = numberOf(lengthNode);
  if (typeof got !== 'string' && expected !== bytes) {
    return { what: `the length of ${name}`, expected: String(expected), actual: String(bytes) };
  }
  return null;
}

const fcntl: CallHandler = (args, x) => {
  expectArgs('fcntl', args, 2, 3);
  const command = numberOf(args[1]!);
  const flags = args[2] === undefined ? 0 : numberOf(args[2]);
  if (command !== F_GETFL && command !== F_SETFL) throw new Unsupported(`fcntl ${describe(args[1]!)}`);
  return atOnce(() => {
    const entry = x.descriptors.get(liveFd(args[0]!, x));
    if (entry === undefined) return failed('EBADF');
    if (command === F_GETFL) return succeeded(entry.flags);
    entry.flags = (entry.flags & ~O_NONBLOCK) | (flags & O_NONBLOCK);
    return succeeded(0);
  });
};

const ioctl: CallHandler = (args, x) => {
  expectArgs('ioctl', args, 2, 3);
  const request = numberOf(args[1]!);
  const which = request === SIOCINQ ? 'in' : request === SIOCOUTQ ? 'out' : request === SIOCOUTQNSD ? 'unsent' : null;
  const argument = args[2] === undefined ? null : inner(args[2]);
  if (which === null) {
    if (request !== FIONBIO || argument === null) throw new Unsupported(`ioctl ${describe(args[1]!)}`);
    return onSocket(args[0]!, x, (entry) => {
      entry.flags = (entry.flags & ~O_NONBLOCK) | (numberOf(argument) !== 0 ? O_NONBLOCK : 0);
      return 0;
    });
  }
  let got = 0;
  const started = onSocket(args[0]!, x, (entry) => {
    const queued = entry.socket.queued(which);
    if (typeof queued === 'string') return queued;
    got = queued;
    return 0;
  });
  const check = (): OutputDifference | null => {
    if (argument === null || argument.kind === 'ellipsis' || numberOf(argument) === got) return null;
    return { what: describe(args[1]!), expected: String(numberOf(argument)), actual: String(got) };
  };
  return { ...started, check };
};

/** When a time-out of milliseconds from now is over; never for a negative one. */
const timeoutUs = (e: Expression, x: CallContext): number => {
  const ms = numberOf(e);
  return ms < 0 ? NEVER : x.clock.nowUs + ms * 1000;
};

const poll: CallHandler = (args, x) => {
  expectArgs('poll', args, 3);
  const list = args[0]!.kind === 'array' ? args[0].items : [args[0]!];
  const fds = list.map((item): PollfdNode => {
    if (item.kind !== 'pollfd') throw new Unsupported(`${describe(item)} in poll`);
    return item;
  });
  const deadlineUs = timeoutUs(args[2]!, x);
  let revents: number[] = [];
  const attempt = (): Outcome | null => {
    revents = fds.map((item) => {
      const ready = x.descriptors.readiness(liveFd(item.fd, x));
      return ready & (numberOf(item.events) | POLLERR | POLLHUP | POLLNVAL);
    });
    const count = revents.filter((bits) => bits !== 0).length;
    return count > 0 || x.clock.nowUs >= deadlineUs ? succeeded(count) : null;
  };
  const check = (): OutputDifference | null => {
    for (const [i, item] of fds.entries()) {
      if (item.revents === null || item.revents.kind === 'ellipsis') continue;
      const expected = numberOf(item.revents);
      if (expected !== revents[i]) {
        const what = `revents of descriptor ${describe(item.fd)}`;
        return { what, expected: bits(expected), actual: bits(revents[i]!) };
      }
    }
    return null;
  };
  return { attempt, deadlineUs, check };
};

const NAMES: readonly (readonly [string, number])[] = [
  ['POLLIN', 0x1],
  ['POLLPRI', 0x2],
  ['POLLOUT', 0x4],
  ['POLLERR', 0x8],
  ['POLLHUP', 0x10],
  ['POLLNVAL', 0x20],
  ['POLLRDNORM', 0x40],
  ['POLLWRNORM', 0x100],
  ['POLLRDHUP', 0x2000],
];

/** Poll bits by name. */
function bits(value: number): string {
  const names = NAMES.filter(([, bit]) => (value & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? String(value) : names.join('|');
}

const epollCreate =
  (name: string): CallHandler =>
  (args, x) => {
    expectArgs(name, args, 1);
    const started = atOnce(() => {
      if (name === 'epoll_create' && numberOf(args[0]!) <= 0) return failed('EINVAL');
      const fd = x.descriptors.open({ kind: 'epoll', interests: new Map(), flags: 2 });
      return fd < 0 ? failed('EMFILE') : succeeded(fd);
    });
    return { ...started, opens: true };
  };

function epollEventOf(e: Expression): EpollEventNode {
  if (e.kind === 'epoll_event') return e;
  throw new Unsupported(`${describe(e)} as an epoll event`);
}

const epollCtl: CallHandler = (args, x) => {
  expectArgs('epoll_ctl', args, 3, 4);
  const operation = numberOf(args[1]!);
  const event = args[3] === undefined || operation === EPOLL_CTL_DEL ? null : epollEventOf(inner(args[3]));
  return atOnce(() => {
    const events = event === null ? 0 : numberOf(event.events);
    const data = event === null ? 0 : numberOf(event.data);
    return x.descriptors.epollControl(liveFd(args[0]!, x), operation, liveFd(args[2]!, x), events, data);
  });
};

const epollWait: CallHandler = (args, x) => {
  expectArgs('epoll_wait', args, 4);
  const expected = args[1]!.kind === 'array' ? args[1].items : [args[1]!];
  const max = numberOf(args[2]!);
  const deadlineUs = timeoutUs(args[3]!, x);
  let reports: EpollReport[] = [];
  const attempt = (): Outcome | null => {
    const fd = liveFd(args[0]!, x);
    if (x.descriptors.get(fd) === undefined) return failed('EBADF');
    const found = max > 0 ? x.descriptors.epollWait(fd, max) : null;
    if (found === null) return failed('EINVAL');
    reports = found;
    return reports.length > 0 || x.clock.nowUs >= deadlineUs ? succeeded(reports.length) : null;
  };
  const check = (): OutputDifference | null => {
    for (const [i, report] of reports.entries()) {
      const e = expected[i];
      if (e === undefined || e.kind === 'ellipsis') continue;
      const event = epollEventOf(e);
      const events = numberOf(event.events);
      const data = numberOf(event.data);
      if (events !== report.events) {
        return { what: `events of report ${i + 1}`, expected: bits(events), actual: bits(report.events) };
      }
      if (data !== report.data) {
        return { what: `data of report ${i + 1}`, expected: String(data), actual: String(report.data) };
      }
    }
    return null;
  };
  return { attempt, deadlineUs, check };
};

/** A file of endless zeros, whatever the name: scripts never reach the disk. */
const open: CallHandler = (args, x) => {
  expectArgs('open', args, 2, 3);
  const started = atOnce(() => {
    const fd = x.descriptors.open({ kind: 'file', flags: numberOf(args[1]!) });
    return fd < 0 ? failed('EMFILE') : succeeded(fd);
  });
  return { ...started, opens: true };
};

const pipe: CallHandler = (args, x) => {
  expectArgs('pipe', args, 1);
  const ends = args[0]!;
  if (ends.kind !== 'array' || ends.items.length !== 2)
    throw new Unsupported(`${describe(ends)} as the ends of a pipe`);
  const [readEnd, writeEnd] = ends.items as [Expression, Expression];
  return atOnce(() => {
    const buffer = { bytes: 0 };
    const from = x.descriptors.open({ kind: 'pipe', end: 'read', buffer, flags: 0 });
    const to = x.descriptors.open({ kind: 'pipe', end: 'write', buffer, flags: 1 });
    if (to < 0) return failed('EMFILE');
    x.fds.set(numberOf(readEnd), from);
    x.fds.set(numberOf(writeEnd), to);
    return outcomeOf(0);
  });
};

/** Calls on descriptors: options, flags, readiness, and descriptors that are no sockets. */
export const descriptorCalls: Readonly<Record<string, CallHandler>> = {
  setsockopt,
  getsockopt,
  fcntl,
  ioctl,
  poll,
  epoll_create: epollCreate('epoll_create'),
  epoll_create1: epollCreate('epoll_create1'),
  epoll_ctl: epollCtl,
  epoll_wait: epollWait,
  open,
  pipe,
};
