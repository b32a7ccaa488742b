import type { Expression } from './ast';
import { ERRNO, type Errno, MSG_DONTWAIT, O_NONBLOCK } from './constants';
import { type Description, type Descriptors, failed, type Outcome, outcomeOf } from './descriptors';
import type { ScriptConfig } from './options';
import { Unsupported } from './source';
import type { Clock, SocketAddress, Target, TargetSocket } from './target';
import { numberOf } from './values';

/** What the calls work on. */
export interface CallContext {
  readonly target: Target;
  readonly clock: Clock;
  readonly config: ScriptConfig;
  readonly descriptors: Descriptors;
  /** Script descriptor to live descriptor. */
  readonly fds: Map<number, number>;
  readonly hooks: CallHooks;
}

/** What the runner wants to know of calls, to follow the connection under test. */
export interface CallHooks {
  opened(socket: TargetSocket): void;
  listening(socket: TargetSocket): void;
  /** A connection, or a datagram, was begun towards an address. */
  connecting(socket: TargetSocket, to: SocketAddress): void;
  accepted(socket: TargetSocket): void;
  /** Bytes that are not all zero were written: payloads cannot be checked to be zero any more. */
  wroteText(): void;
}

/** Something that a call wrote into its arguments and that is not as the script says. */
export interface OutputDifference {
  /** "revents of descriptor 4". */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** A call that has begun. */
export interface Started {
  /** Tries to finish; null while it has to wait. Not called again after an outcome. */
  attempt(): Outcome | null;
  /** When a waiting call finishes by itself, in microseconds; Infinity for never. */
  readonly deadlineUs: number;
  /** What the call wrote and the script does not expect; called when it succeeded as expected. */
  check?(): OutputDifference | null;
  /** The result is a new descriptor, to be compared through the map. */
  readonly opens?: boolean;
}

export type CallHandler = (args: readonly Expression[], x: CallContext) => Started;

/** A call that finishes at once. */
export const atOnce = (run: () => Outcome): Started => ({ attempt: run, deadlineUs: Number.POSITIVE_INFINITY });

/** A call that may wait, without a time-out of its own. */
export const waiting = (attempt: () => Outcome | null): Started => ({ attempt, deadlineUs: Number.POSITIVE_INFINITY });

/** Throws Unsupported unless there are as many arguments as the call takes. */
export function expectArgs(name: string, args: readonly Expression[], least: number, most = least): void {
  if (args.length >= least && args.length <= most) return;
  const takes = least === most ? String(least) : `${least} to ${most}`;
  throw new Unsupported(`${name} with ${args.length} arguments: it takes ${takes}`);
}

/** The live descriptor behind a script's; -1 when the script never got it. */
export const liveFd = (e: Expression, x: CallContext): number => {
  const fd = numberOf(e);
  return x.fds.get(fd) ?? (fd < 0 ? fd : -1);
};

export type SocketDescription = Extract<Description, { kind: 'socket' }>;

/** The open socket that an argument names, or why it names none. */
export function socketOf(e: Expression, x: CallContext): SocketDescription | Errno {
  const entry = x.descriptors.get(liveFd(e, x));
  if (entry === undefined) return 'EBADF';
  return entry.kind === 'socket' ? entry : 'ENOTSOCK';
}

/** A call on one socket that finishes at once. */
export function onSocket(e: Expression, x: CallContext, run: (entry: SocketDescription) => number | Errno): Started {
  return atOnce(() => {
    const entry = socketOf(e, x);
    return typeof entry === 'string' ? failed(entry) : outcomeOf(run(entry));
  });
}

/** Whether a call on the socket waits when it cannot be done. */
export const isBlocking = (entry: SocketDescription, flags = 0): boolean =>
  (entry.flags & O_NONBLOCK) === 0 && (flags & MSG_DONTWAIT) === 0;

/** Reads and clears the pending error of a socket. */
export function takeError(socket: TargetSocket): Errno | null {
  const number = socket.getOption('SO_ERROR');
  if (typeof number !== 'number' || number === 0) return null;
  for (const [name, value] of Object.entries(ERRNO)) if (value === number) return name as Errno;
  throw new Unsupported(`the error number ${number}`);
}
