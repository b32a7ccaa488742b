import type { Call, Event } from './ast';
import type { CallContext, CallHooks, Started } from './call-context';
import { startCall } from './calls';
import { Connection } from './connection';
import { errnoOf } from './constants';
import { Descriptors, type Outcome } from './descriptors';
import { seconds } from './report';
import { Unsupported } from './source';
import { canonicalAddress, type Stage } from './stage';
import type { SocketAddress, TargetSocket } from './target';
import { numberOf } from './values';

/** A call under way. */
interface Pending {
  readonly event: Event;
  readonly call: Call;
  readonly started: Started;
  /** When it must return: for one that is not marked as blocking, when it began. */
  readonly endUs: number;
  readonly allowedUs: number;
}

/** Makes the script's system calls, at most one of them waiting, and judges what they return and when. */
export class Calling implements CallHooks {
  private readonly context: CallContext;
  private pending: Pending | null = null;

  constructor(private readonly stage: Stage) {
    const { world, script } = stage;
    const { target } = world;
    const { config } = script;
    this.context = { target, clock: world, config, descriptors: new Descriptors(), fds: new Map(), hooks: this };
  }

  /** Runs a call line. `baseUs` is what its relative times count from. */
  run(event: Event, call: Call, baseUs: number): void {
    const { stage } = this;
    const { world } = stage;
    this.finishPending();
    const endUs = call.endUs === null ? world.nowUs : baseUs + call.endUs;
    const started = startCall(call, this.context);
    this.pending = { event, call, started, endUs, allowedUs: stage.allowedUs(endUs) };
    if (!this.retry()) world.waiter = { deadlineUs: started.deadlineUs, retry: () => this.retry() };
    world.settle();
    // A call that is not marked as blocking has to be back within the tolerance.
    if (call.endUs === null) this.finishPending();
  }

  /** True when no call waits any more. */
  private retry(): boolean {
    const { pending } = this;
    if (pending === null) return true;
    const outcome = pending.started.attempt();
    if (outcome === null) return false;
    this.pending = null;
    this.judge(pending, outcome);
    return true;
  }

  /** Lets a call that is under way come back, as late as the script allows. */
  finishPending(): void {
    const { pending } = this;
    if (pending === null) return;
    const { world } = this.stage;
    const limitUs = pending.endUs + pending.allowedUs;
    while (this.pending !== null && world.step(limitUs));
    if (this.pending === null) return;
    world.nowUs = Math.max(world.nowUs, limitUs);
    this.failOverdue(pending);
  }

  /** Fails a call that has not returned though its time is over. */
  checkOverdue(): void {
    const { pending } = this;
    if (pending !== null && this.stage.world.nowUs > pending.endUs + pending.allowedUs) this.failOverdue(pending);
  }

  private failOverdue({ event, call, endUs }: Pending): void {
    const expected = `return at ${seconds(endUs)} s`;
    const message = `${call.name} did not return`;
    this.stage.fail({ kind: 'time', message, expected, actual: 'still waiting', hint: this.hint(call) }, event);
  }

  /** Why a call may still be waiting. */
  private hint(call: Call): string {
    const untaken = this.stage.untaken()[0];
    if (untaken !== undefined) return `the stack has sent  ${untaken}  which no line has expected so far`;
    if (call.endUs !== null) return '';
    return `a call that waits has both times: +0...0.1 ${call.name}(…); one of O_NONBLOCK does not wait`;
  }

  private judge(pending: Pending, outcome: Outcome): void {
    if (!this.checkResult(pending, outcome)) return;
    const { call, event, started, endUs, allowedUs } = pending;
    const difference = outcome.errno === null ? (started.check?.() ?? null) : null;
    if (difference !== null) {
      const { what, expected, actual } = difference;
      const message = `${call.name}: ${what} is ${actual}, not ${expected}`;
      this.stage.fail({ kind: 'syscall', message, expected, actual }, event);
    }
    const { nowUs } = this.stage.world;
    const offUs = Math.abs(nowUs - endUs);
    if (offUs <= allowedUs) return;
    const message = `${call.name} returned ${seconds(offUs)} s too ${nowUs < endUs ? 'early' : 'late'}`;
    const expected = `return at ${seconds(endUs)} s`;
    this.stage.fail({ kind: 'time', message, expected, actual: `return at ${seconds(nowUs)} s` }, event);
  }

  private checkResult({ call, event, started }: Pending, outcome: Outcome): boolean {
    if (call.result.kind === 'ellipsis') return true;
    const expected = numberOf(call.result);
    const errno = call.errno === null ? null : errnoOf(call.errno);
    if (call.errno !== null && errno === null) throw new Unsupported(`the error ${call.errno}`);
    if (started.opens === true && expected >= 0 && outcome.errno === null) {
      this.checkFree(expected, outcome.value, call, event);
      this.context.fds.set(expected, outcome.value);
      return true;
    }
    if (outcome.value === expected && (errno === null || errno === outcome.errno)) return true;
    const wanted = `${expected}${call.errno === null ? '' : ` ${call.errno}`}`;
    const got = `${outcome.value}${outcome.errno === null ? '' : ` ${outcome.errno}`}`;
    const message = `${call.name} returned ${got}, not ${wanted}`;
    this.stage.fail({ kind: 'syscall', message, expected: `= ${wanted}`, actual: `= ${got}` }, event);
    return false;
  }

  /** A descriptor of the script's that is open stands for one thing: typing its number again is a mistake. */
  private checkFree(fd: number, made: number, call: Call, event: Event): void {
    const live = this.context.fds.get(fd);
    if (live === undefined || live === made || this.context.descriptors.get(live) === undefined) return;
    const message = `${call.name} cannot return ${fd}: that descriptor is open, the script opened it before`;
    this.stage.fail({ kind: 'parse', message }, event);
  }

  opened(socket: TargetSocket): void {
    this.stage.underTest = socket;
    this.stage.connection = null;
  }

  listening(socket: TargetSocket): void {
    this.stage.underTest = socket;
    this.stage.connection = null;
  }

  connecting(socket: TargetSocket, to: SocketAddress): void {
    const { stage } = this;
    const { connection } = stage;
    const protocol = socket.type === 'dgram' ? 'udp' : 'tcp';
    const isSameFlow = protocol === 'udp' && stage.underTest === socket && connection?.remote.port === to.port;
    if (isSameFlow) return;
    // The stack may choose its port only when it sends: 0 until then.
    const local = { ip: canonicalAddress(stage.script.config.localIp), port: socket.localAddress()?.port ?? 0 };
    stage.underTest = socket;
    stage.connection = new Connection(protocol, true, local, { ip: onWire(to.ip), port: to.port });
  }

  accepted(socket: TargetSocket): void {
    const { connection } = this.stage;
    const port = socket.remoteAddress()?.port;
    if (connection === null || port === connection.remote.port) this.stage.underTest = socket;
  }

  wroteText(): void {
    this.stage.zeroPayload = false;
  }
}

/** The address on the wire of one that an IPv6 socket uses for IPv4. */
const onWire = (ip: string): string => canonicalAddress(ip.replace(/^::ffff:(?=\d+\.)/i, ''));
