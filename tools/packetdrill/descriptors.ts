import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  type Errno,
  O_NONBLOCK,
  O_RDWR,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
} from './constants';
import type { TargetSocket } from './target';

/** What a system call came to: `value` -1 with an error's name, or a number that is not negative. */
export interface Outcome {
  readonly value: number;
  readonly errno: Errno | null;
}

export const failed = (errno: Errno): Outcome => ({ value: -1, errno });
export const succeeded = (value: number): Outcome => ({ value, errno: null });
/** The outcome of a target's call that returns 0 or an error. */
export const outcomeOf = (result: number | Errno): Outcome =>
  typeof result === 'string' ? failed(result) : succeeded(result);

interface Interest {
  events: number;
  readonly data: number;
  /** The socket's count of wake-ups when it was last reported; -1 before. */
  reported: number;
}

/** What an open file descriptor stands for. */
export type Description =
  | { readonly kind: 'socket'; readonly socket: TargetSocket; flags: number; linger: number | null }
  | { readonly kind: 'epoll'; readonly interests: Map<number, Interest>; flags: number }
  /** A file of endless zeros: no script reaches the disk. */
  | { readonly kind: 'file'; flags: number }
  | { readonly kind: 'pipe'; readonly end: 'read' | 'write'; readonly buffer: { bytes: number }; flags: number };

export interface EpollReport {
  readonly events: number;
  readonly data: number;
}

const DESCRIPTORS_MAX = 1024;
const FIRST = 3;

/** The file descriptors of the process that a script plays, with what a kernel does above its sockets. */
export class Descriptors {
  private readonly table: (Description | undefined)[] = [];

  /** The lowest free descriptor, as everywhere; -1 when there is none. */
  open(description: Description): number {
    for (let fd = FIRST; fd < DESCRIPTORS_MAX; fd++) {
      if (this.table[fd] !== undefined) continue;
      this.table[fd] = description;
      return fd;
    }
    return -1;
  }

  openSocket(socket: TargetSocket, nonBlocking: boolean): number {
    const flags = O_RDWR | (nonBlocking ? O_NONBLOCK : 0);
    return this.open({ kind: 'socket', socket, flags, linger: null });
  }

  get(fd: number): Description | undefined {
    return this.table[fd];
  }

  /** The descriptor with which a socket is open, or -1. */
  find(socket: TargetSocket): number {
    return this.table.findIndex((entry) => entry?.kind === 'socket' && entry.socket === socket);
  }

  /** Frees a descriptor; a socket is let go by the caller. */
  remove(fd: number): void {
    this.table[fd] = undefined;
    for (const entry of this.table) if (entry?.kind === 'epoll') entry.interests.delete(fd);
  }

  /** Everything that is still open, to be closed at the end. */
  openSockets(): TargetSocket[] {
    return this.table.flatMap((entry) => (entry?.kind === 'socket' ? [entry.socket] : []));
  }

  /** POLL* bits of a descriptor; POLLNVAL when it is not open. */
  readiness(fd: number): number {
    const entry = this.table[fd];
    if (entry === undefined) return POLLNVAL;
    if (entry.kind === 'socket') return entry.socket.readiness();
    if (entry.kind === 'file') return POLLIN | POLLOUT;
    if (entry.kind === 'pipe') return entry.end === 'write' ? POLLOUT : entry.buffer.bytes > 0 ? POLLIN : 0;
    return this.epollReady(entry.interests, 1, false).length > 0 ? POLLIN : 0;
  }

  epollControl(fd: number, operation: number, target: number, events: number, data: number): Outcome {
    const entry = this.table[fd];
    if (entry === undefined || this.table[target] === undefined) return failed('EBADF');
    if (entry.kind !== 'epoll' || fd === target) return failed('EINVAL');
    const has = entry.interests.has(target);
    switch (operation) {
      case EPOLL_CTL_ADD:
        if (has) return failed('EEXIST');
        if (this.table[target].kind === 'file') return failed('EPERM');
        entry.interests.set(target, { events, data, reported: -1 });
        return succeeded(0);
      case EPOLL_CTL_MOD:
        if (!has) return failed('ENOENT');
        entry.interests.set(target, { events, data, reported: -1 });
        return succeeded(0);
      case EPOLL_CTL_DEL:
        return entry.interests.delete(target) ? succeeded(0) : failed('ENOENT');
    }
    return failed('EINVAL');
  }

  /** What `epoll_wait` reports now, at most `max` of them; null when `fd` is no epoll. */
  epollWait(fd: number, max: number): EpollReport[] | null {
    const entry = this.table[fd];
    return entry?.kind === 'epoll' ? this.epollReady(entry.interests, max, true) : null;
  }

  private epollReady(interests: Map<number, Interest>, max: number, consume: boolean): EpollReport[] {
    const reports: EpollReport[] = [];
    for (const [fd, interest] of interests) {
      if (reports.length === max) break;
      const entry = this.table[fd];
      // Errors and hang-ups are reported whether asked for or not.
      const ready =
        this.readiness(fd) & (interest.events | POLLERR | POLLHUP) & ~(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE);
      if (interest.events === 0 || ready === 0 || entry === undefined) continue;
      const wakeups = entry.kind === 'socket' ? entry.socket.wakeups() : interest.reported + 1;
      if ((interest.events & EPOLLET) !== 0 && wakeups === interest.reported) continue;
      reports.push({ events: ready, data: interest.data });
      if (!consume) continue;
      interest.reported = wakeups;
      if ((interest.events & EPOLLONESHOT) !== 0) interest.events = 0;
    }
    return reports;
  }
}
