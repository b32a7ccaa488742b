import dns from 'node:dns';
import { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { ConnectOptions } from './arguments';
import { attemptTimeoutOf, autoSelectOf } from './defaults';
import { addressException, aggregateError, invalidArgType, nodeError, type SystemError } from './errors';
import { TcpHandle } from './handle';
import { KernelHandle } from './kernel-handle';
import { lookup } from './names';
import { entryBegins, entryEnds, observers } from './observed';
import type { Socket } from './socket';
import { adopt } from './socket-handle';
import { nextTick, time } from './time';
import { validateFunction, validateNumber, validatePort, validateString } from './validate';

/** One address to try. */
interface Target {
  address: string;
  family: 4 | 6;
}

type LookupDone = (error: Error | null, found?: unknown, family?: number) => void;

/** Where a connecting socket is: the addresses to try in turn, and what became of them. */
export interface ConnectAttempt {
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** Several addresses: one error does not end it. */
  readonly several: boolean;
  readonly targets: readonly Target[];
  /** Milliseconds that an address has before the next one is tried. */
  readonly timeout: number;
  readonly errors: Error[];
  current: number;
  timer: NodeJS.Timeout | null;
  cancel(): void;
}

/** Finds out where to, and sets out. Wrong arguments throw; everything else is an 'error' event. */
export function beginConnect(socket: Socket, options: ConnectOptions): void {
  if (options.path) {
    validateString(options.path, 'options.path');
    connectPath(socket, options.path);
    return;
  }
  const { localAddress, localPort } = options;
  if (localAddress && !isIP(localAddress)) {
    throw nodeError(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${localAddress}`);
  }
  if (localPort) validateNumber(localPort, 'options.localPort');
  const port = portOf(options.port);
  const autoSelect = autoSelectOf(options.autoSelectFamily);
  const timeout = attemptTimeoutOf(options.autoSelectFamilyAttemptTimeout);
  const plan = { port, localAddress, localPort, timeout };
  const host = options.host || 'localhost';
  const family = isIP(host);
  if (family !== 0) {
    nextTick(() => {
      if (socket.connecting) tryTargets(socket, plan, [{ address: host, family: family as 4 | 6 }]);
    });
    return;
  }
  if (options.lookup != null) validateFunction(options.lookup, 'options.lookup');
  socket._host = host;
  const wanted = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : options.family;
  const anyFamily = wanted !== 4 && wanted !== 6;
  const question = { family: wanted, hints: options.hints || (anyFamily ? dns.ADDRCONFIG : 0) };
  const ask = (query: object, done: LookupDone): void => {
    if (options.lookup) (options.lookup as (name: string, query: object, done: LookupDone) => void)(host, query, done);
    else lookup(socket._stackHost, host, query, done);
  };
  if (anyFamily && !localAddress && autoSelect) {
    ask({ ...question, all: true }, (error, found) =>
      foundSeveral(socket, options, plan, host, error, found as Target[]),
    );
  } else {
    ask(question, (error, address, kind) => foundOne(socket, options, plan, host, error, address as string, kind));
  }
}

/** Unix sockets are the kernel's. */
function connectPath(socket: Socket, path: string): void {
  const handle = new KernelHandle();
  adopt(socket, handle);
  socket.emit('connectionAttempt', path, undefined, undefined);
  handle.connect(path);
}

type Plan = Pick<ConnectAttempt, 'port' | 'localAddress' | 'localPort' | 'timeout'>;

function portOf(port: unknown): number {
  if (port === undefined) return 0;
  if (typeof port !== 'number' && typeof port !== 'string')
    throw invalidArgType('options.port', ['number', 'string'], port);
  return validatePort(port);
}

/** The caller had no chance to listen for 'error' yet, if the look-up called back at once. */
const failSoon = (socket: Socket, error: Error): void => nextTick(() => socket.destroy(error));

function addressError(address: unknown, family: unknown, options: ConnectOptions): Error | null {
  if (typeof address !== 'string' || isIP(address) === 0) {
    return nodeError(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${address}`);
  }
  if (family === 4 || family === 6) return null;
  const { host, port } = options;
  const error = nodeError(
    RangeError,
    'ERR_INVALID_ADDRESS_FAMILY',
    `Invalid address family: ${family} ${host}:${port}`,
  );
  return Object.assign(error, { host, port });
}

function foundOne(
  socket: Socket,
  options: ConnectOptions,
  plan: Plan,
  host: string,
  error: Error | null,
  address: string,
  family: number | undefined,
): void {
  socket.emit('lookup', error, address, family, host);
  if (!socket.connecting) return;
  const wrong = error ?? addressError(address, family, options);
  if (wrong !== null) return failSoon(socket, wrong);
  socket._unrefTimer();
  tryTargets(socket, plan, [{ address, family: family as 4 | 6 }]);
}

function foundSeveral(
  socket: Socket,
  options: ConnectOptions,
  plan: Plan,
  host: string,
  error: Error | null,
  found: readonly Target[],
): void {
  if (!socket.connecting) return;
  if (error) {
    socket.emit('lookup', error, undefined, undefined, host);
    return failSoon(socket, error);
  }
  const usable: Target[] = [];
  for (const { address, family } of found) {
    socket.emit('lookup', null, address, family, host);
    if (!socket.connecting) return;
    if (addressError(address, family, options) === null && !usable.some((other) => other.address === address)) {
      usable.push({ address, family });
    }
  }
  if (usable.length === 0) {
    const wrong = addressError(found[0]?.address, found[0]?.family, options);
    if (wrong !== null) failSoon(socket, wrong);
    return;
  }
  const targets = interleaved(usable);
  socket._unrefTimer();
  if (targets.length > 1) socket.autoSelectFamilyAttemptedAddresses = [];
  tryTargets(socket, plan, targets);
}

/** The families alternate, the first answer's first (RFC 8305 §4). */
function interleaved(found: readonly Target[]): Target[] {
  const preferred = found.filter((target) => target.family === found[0]!.family);
  const others = found.filter((target) => target.family !== found[0]!.family);
  const result: Target[] = [];
  for (let i = 0; i < Math.max(preferred.length, others.length); i++) {
    if (i < preferred.length) result.push(preferred[i]!);
    if (i < others.length) result.push(others[i]!);
  }
  return result;
}

function tryTargets(socket: Socket, plan: Plan, targets: readonly Target[]): void {
  socket._attempt = {
    ...plan,
    several: targets.length > 1,
    targets,
    errors: [],
    current: -1,
    timer: null,
    cancel(): void {
      if (this.timer !== null) time.clearTimeout(this.timer);
      this.timer = null;
    },
  };
  tryNext(socket, socket._attempt);
}

/** Sets out for the next address; when none is left the socket fails. */
function tryNext(socket: Socket, attempt: ConnectAttempt): void {
  attempt.cancel();
  if (socket._aborted && attempt.several) return;
  attempt.current++;
  const target = attempt.targets[attempt.current];
  if (target === undefined) return allFailed(socket, attempt);
  if (attempt.current > 0) {
    socket._handle?.close();
    adopt(socket, new TcpHandle(socket._stackHost));
  }
  const handle = socket._handle as TcpHandle;
  const unbound = bindFor(handle, attempt, target);
  if (unbound !== null) return attemptFailed(socket, attempt, target, unbound, false);
  socket.emit('connectionAttempt', target.address, attempt.port, target.family);
  if (!socket.connecting) return;
  if (attempt.several) socket.autoSelectFamilyAttemptedAddresses!.push(`${target.address}:${attempt.port}`);
  if (observers.net !== null) entryBegins(socket, 'connect', { host: target.address, port: attempt.port });
  const code = codeOf(handle.connect(target.address, attempt.port));
  if (code !== null) {
    const { address, port } = localNameOf(handle, target);
    const error = addressException(code, 'connect', target.address, attempt.port, `${address}:${port}`);
    return attemptFailed(socket, attempt, target, error, attempt.several);
  }
  if (attempt.current < attempt.targets.length - 1) {
    attempt.timer = time.setTimeout(() => attemptTimedOut(socket, attempt, target), attempt.timeout);
  }
}

function bindFor(handle: TcpHandle, attempt: ConnectAttempt, target: Target): SystemError | null {
  const { localPort } = attempt;
  const localAddress = attempt.several ? undefined : attempt.localAddress;
  if (!localAddress && !localPort) return null;
  const address = localAddress || (target.family === 4 ? '0.0.0.0' : '::');
  if (isIP(address) !== target.family) return addressException('EINVAL', 'bind', address, localPort);
  const code = handle.bind(address, localPort ?? 0);
  return code === null ? null : addressException(code, 'bind', address, localPort);
}

/** Handles that programs put in the place of ours answer as Node's do: with a number. */
function codeOf(answer: unknown): string | null {
  return typeof answer === 'number' ? getSystemErrorName(answer) : (answer as string | null);
}

function localNameOf(handle: TcpHandle, target: Target): { address: string; port: number } {
  const name: { address?: string; port?: number } = {};
  handle.getsockname?.(name);
  return { address: name.address ?? (target.family === 4 ? '0.0.0.0' : '::'), port: name.port ?? 0 };
}

function connectError(attempt: ConnectAttempt, target: Target, code: string): SystemError {
  const localAddress = attempt.localAddress || (target.family === 4 ? '0.0.0.0' : '::');
  const { localPort } = attempt;
  const details = localPort ? `${localAddress}:${localPort}` : undefined;
  const error = addressException(code, 'connect', target.address, attempt.port, details);
  if (localPort) Object.assign(error, { localAddress, localPort });
  return error;
}

function attemptFailed(socket: Socket, attempt: ConnectAttempt, target: Target, error: Error, told: boolean): void {
  if (told) socket.emit('connectionAttemptFailed', target.address, attempt.port, target.family, error);
  if (!attempt.several) {
    socket.destroy(error);
    return;
  }
  attempt.errors.push(error);
  if (socket.connecting) tryNext(socket, attempt);
}

function attemptTimedOut(socket: Socket, attempt: ConnectAttempt, target: Target): void {
  attempt.timer = null;
  socket.emit('connectionAttemptTimeout', target.address, attempt.port, target.family);
  attempt.errors.push(connectError(attempt, target, 'ETIMEDOUT'));
  if (socket.connecting) tryNext(socket, attempt);
}

function allFailed(socket: Socket, attempt: ConnectAttempt): void {
  const { errors } = attempt;
  socket.destroy(
    errors.length === 0
      ? nodeError(Error, 'ERR_SOCKET_CONNECTION_TIMEOUT', 'Socket connection timeout')
      : aggregateError(errors),
  );
}

/** The handle that set out is connected, or `code` says why it is not. */
export function connectFinished(socket: Socket, handle: object, code: string | null, path?: string): void {
  const attempt = socket._attempt;
  if (socket.destroyed || handle !== socket._handle) return;
  attempt?.cancel();
  if (code === null) {
    socket._attempt = null;
    if (observers.net !== null) entryEnds('net', socket);
    socket._opened();
    return;
  }
  if (attempt === null) {
    const error = addressException(code, 'connect', path ?? '');
    socket.emit('connectionAttemptFailed', path, undefined, undefined, error);
    socket.destroy(error);
    return;
  }
  const target = attempt.targets[attempt.current]!;
  attemptFailed(socket, attempt, target, connectError(attempt, target, code), true);
}
