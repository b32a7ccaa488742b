import { formatAddress, parseAddress } from './address';
import type { Call, Code, Command, Event, PacketLine, Script } from './ast';
import type { CallContext, CallHooks, Started } from './call-context';
import { startCall } from './calls';
import { parseCommandText } from './commands';
import { type CompareOptions, type Difference, Gathering } from './compare';
import { Connection } from './connection';
import { CODE_CONSTANTS, errnoOf } from './constants';
import { decodeFrame } from './decode';
import { Descriptors, type Outcome } from './descriptors';
import { linePieces, marks, recordPieces, text } from './notation';
import type { PacketRecord } from './packet';
import { type PythonScope, type PythonValue, runPython } from './python/evaluate';
import { PythonError } from './python/tokens';
import type { Failure, FailureKind, LoggedPacket, ScriptResult } from './report';
import { seconds } from './report';
import { Unsupported } from './source';
import type { Profile, SocketAddress, TargetFactory, TargetSocket } from './target';
import { numberOf } from './values';
import { buildInbound } from './wire';
import { type Emitted, World } from './world';

export interface RunOptions {
  readonly factory: TargetFactory;
  readonly profile: Profile;
  /** No tolerance: see CompareOptions; times must be exact unless the script sets a tolerance. */
  readonly strict: boolean;
  readonly seed: number;
  /** Hears of each event as it begins, and what code blocks print. */
  readonly trace?: (line: string) => void;
}

/** An outbound packet is waited for until so long after its time. */
const PATIENCE_US = 2_000_000;
/** How long `*` waits when nothing comes: a day. */
const ANY_TIME_US = 86_400_000_000;
const FIRST_EPHEMERAL_PORT = 40_000;

/** What is wrong, without what the runner adds. */
interface Wrong {
  readonly kind: FailureKind;
  readonly message: string;
  readonly expected?: string;
  readonly actual?: string;
  readonly marks?: string;
  readonly cause?: string;
  /** Where, when it is not the event's line. */
  readonly line?: number;
}

class Mismatch extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** A blocking call under way. */
interface Pending {
  readonly event: Event;
  readonly call: Call;
  readonly started: Started;
  readonly endUs: number;
  readonly allowedUs: number;
}

/** Runs a script on a stack. Never throws for what the script or the stack does wrong: that is the result. */
export function runScript(script: Script, options: RunOptions): ScriptResult {
  if (script.config.dryRun) {
    return { file: script.source.file, ok: true, virtualUs: 0, wallMs: 0, warnings: script.warnings, packets: [] };
  }
  return new Runner(script, options).run();
}

class Runner implements CallHooks {
  private readonly world: World;
  private readonly context: CallContext;
  private readonly descriptors = new Descriptors();
  private readonly warnings: string[];
  private readonly packets: LoggedPacket[] = [];
  private readonly variables = new Map<string, PythonValue>();
  private readonly compareOptions: CompareOptions;
  private connection: Connection | null = null;
  /** The socket that code blocks look at. */
  private underTest: TargetSocket | null = null;
  private pending: Pending | null = null;
  /** Payloads are all zeros as long as the script writes nothing else. */
  private zeroPayload = true;
  private nextPort = FIRST_EPHEMERAL_PORT;
  private event: Event;
  /** The scripted time of the event before, and whether it was a packet to the stack. */
  private previousUs = 0;
  private previousInbound = false;

  constructor(
    private readonly script: Script,
    private readonly options: RunOptions,
  ) {
    const { config } = script;
    const { strict, factory, profile, seed } = options;
    const { family, wireVersion, localIp, remoteIp, gatewayIp, netmaskIp, mtu, mss } = config;
    const addresses = { family, wireVersion, localIp, remoteIp, gatewayIp, netmaskIp };
    this.world = new World(factory, { profile, seed, ...addresses, mtu, mss });
    this.warnings = [...script.warnings];
    this.event = script.events[0]!;
    const strictSegments = strict || config.strictSegments;
    this.compareOptions = { strict, strictSegments, tsTickUs: config.tsTickUs, toleranceUs: config.toleranceUs };
    const { world, descriptors } = this;
    this.context = { target: world.target, clock: world, config, descriptors, fds: new Map(), hooks: this };
  }

  run(): ScriptResult {
    let failure: Failure | undefined;
    try {
      this.runEvents();
    } catch (error) {
      if (error instanceof Mismatch) failure = error.failure;
      else if (error instanceof Unsupported) failure = this.failure({ kind: 'unsupported', message: error.message });
      else throw error;
    }
    for (const emitted of this.world.sent) this.logLeftover(emitted);
    const { nowUs } = this.world;
    this.world.target.close();
    const result = { file: this.script.source.file, virtualUs: nowUs, wallMs: 0, warnings: this.warnings };
    return failure === undefined
      ? { ...result, ok: true, packets: this.packets }
      : { ...result, ok: false, failure, packets: this.packets };
  }

  private runEvents(): void {
    const { setUp, events, cleanUp } = this.script;
    if (setUp !== null) this.runCommand(setUp);
    for (const event of events) {
      this.event = event;
      this.options.trace?.(`${seconds(this.world.nowUs)}  ${this.sourceOf(event)}`);
      this.runEvent(event);
      this.checkOverdue();
    }
    this.finishPending();
    if (cleanUp !== null) this.runCommand(cleanUp);
  }

  /** An event as written, on one line. */
  private sourceOf(event: Event): string {
    return this.script.source.text.slice(event.at, event.end).replace(/\s+/g, ' ');
  }

  private failure(wrong: Wrong, event = this.event): Failure {
    return {
      line: wrong.line ?? event.line,
      kind: wrong.kind,
      message: wrong.message,
      expected: wrong.expected ?? '',
      actual: wrong.actual ?? '',
      marks: wrong.marks ?? '',
      atUs: this.world.nowUs,
      state: this.underTest?.state() ?? '',
      cause: wrong.cause ?? '',
      source: this.sourceOf(event),
    };
  }

  /** Ends the run, or goes on with a warning when the script said that this kind is not fatal. */
  private fail(wrong: Wrong, event = this.event): void {
    const failure = this.failure(wrong, event);
    const { packet, syscall } = this.script.config.nonFatal;
    const mayGoOn = failure.kind === 'syscall' ? syscall : failure.kind === 'packet' ? packet : false;
    if (!mayGoOn) throw new Mismatch(failure);
    this.warnings.push(`line ${failure.line}: ${failure.kind}: ${failure.message}`);
  }

  private runEvent(event: Event): void {
    const { action } = event;
    const isInbound = 'direction' in action && action.direction === 'in';
    const { time } = event;
    const isRelative = time.kind === 'relative' || time.kind === 'relative-range';
    const baseUs = !isRelative ? 0 : isInbound && this.previousInbound ? this.previousUs : this.world.nowUs;
    const dueUs = time.kind === 'any' ? this.world.nowUs : baseUs + time.us;
    if ('direction' in action && action.direction === 'out') {
      this.expectPacket(event, action, dueUs, baseUs);
    } else {
      this.reach(dueUs);
      if (action.kind === 'call') this.runCall(event, action, dueUs, baseUs);
      else if (action.kind === 'code') this.runCode(action);
      else if (action.kind === 'command') this.runCommand(action);
      else this.inject(action);
      this.previousUs = dueUs;
    }
    this.previousInbound = isInbound;
  }

  /** How far off a time may be: an absolute tolerance, or a part of the distance to the event before. */
  private allowedUs(dueUs: number): number {
    const { toleranceUs, tolerancePercent, toleranceGiven } = this.script.config;
    if (this.options.strict) return toleranceGiven ? toleranceUs : 0;
    return Math.max(toleranceUs, (tolerancePercent / 100) * Math.abs(dueUs - this.previousUs));
  }

  /** Moves the clock to when the script does something; that must not lie in the past. */
  private reach(dueUs: number): void {
    const lateUs = this.world.nowUs - dueUs;
    if (lateUs > this.allowedUs(dueUs)) {
      const message = `this is due at ${seconds(dueUs)} s, but it is ${seconds(this.world.nowUs)} s already`;
      this.fail({ kind: 'time', message });
    }
    this.world.advanceTo(dueUs);
  }

  // Packets to the stack.

  private inject(line: PacketLine): void {
    const connection = this.connectionFor(line);
    const { wireVersion, tsEcrScaled } = this.script.config;
    const built = buildInbound(line, connection, wireVersion, tsEcrScaled);
    if ('error' in built) {
      this.fail({ kind: 'parse', message: built.error });
      return;
    }
    this.log('in', text(linePieces(line)), this.event.line, this.world.nowUs);
    this.world.deliver(built.frame);
  }

  /** The connection under test; a packet that comes without one makes one. */
  private connectionFor(line: PacketLine): Connection {
    if (this.connection !== null) return this.connection;
    const { config } = this.script;
    const ports = line.kind === 'icmp' ? null : line.ports;
    const protocol = line.kind === 'udp' || this.underTest?.type === 'dgram' ? 'udp' : 'tcp';
    const remotePort = ports?.source ?? (protocol === 'udp' ? config.connectPort : this.nextPort++);
    const local = { ip: canonical(config.localIp), port: ports?.destination ?? config.bindPort };
    this.connection = new Connection(protocol, false, local, { ip: canonical(config.remoteIp), port: remotePort });
    return this.connection;
  }

  // Packets from the stack.

  private expectPacket(event: Event, line: PacketLine, dueUs: number, baseUs: number): void {
    const { time } = event;
    const toUs = 'toUs' in time ? baseUs + time.toUs : dueUs;
    const limitUs = time.kind === 'any' ? dueUs + ANY_TIME_US : toUs + PATIENCE_US;
    const gathering = new Gathering(line, this.compareOptions);
    let firstUs = -1;
    for (let answer: 'done' | 'more' = 'more'; answer === 'more'; ) {
      const emitted = this.nextSent(line, limitUs, gathering);
      if (emitted === null) return;
      if (firstUs < 0) firstUs = emitted.atUs;
      const verdict = this.judge(line, emitted, gathering);
      if (verdict === null) break;
      answer = verdict;
      if (time.kind !== 'any') this.checkTime(line, dueUs, toUs, emitted);
    }
    this.previousUs = time.kind === 'any' ? Math.max(firstUs, 0) : dueUs;
  }

  /** The next packet of the connection, waited for until `limitUs`; null when there was none and that is not fatal. */
  private nextSent(line: PacketLine, limitUs: number, gathering: Gathering): Seen | null {
    for (;;) {
      const emitted = this.world.sent.shift();
      if (emitted !== undefined) {
        const seen = this.see(emitted, line);
        if (seen !== null) return seen;
      } else if (!this.world.step(limitUs)) break;
    }
    const { gathered } = gathering;
    const waited = Number.isFinite(limitUs) ? Math.max(this.world.nowUs, limitUs) : this.world.nowUs;
    const message = gathered > 0 ? `only ${gathered} bytes of this packet came` : 'timed out waiting for packet';
    this.world.nowUs = waited;
    this.fail({ kind: 'missing-packet', message, expected: text(linePieces(line)), actual: 'nothing' });
    return null;
  }

  /** Takes a sent datagram apart; null when it is none of the connection under test. */
  private see(emitted: Emitted, line: PacketLine): Seen | null {
    const decoded = decodeFrame(emitted.frame);
    if (decoded.error !== null) {
      this.fail({ kind: 'packet', message: `the stack sent ${decoded.error}`, expected: text(linePieces(line)) });
      return null;
    }
    const { record, payload } = decoded;
    if (!this.concerns(record)) return null;
    return { ...emitted, record, payload };
  }

  /** Whether a packet belongs to the connection under test. An active one learns its port from its first packet. */
  private concerns(record: PacketRecord): boolean {
    const { connection } = this;
    const remoteIp = connection?.remote.ip ?? canonical(this.script.config.remoteIp);
    const localIp = connection?.local.ip ?? canonical(this.script.config.localIp);
    if (record.ip.destination !== remoteIp || record.ip.source !== localIp) return false;
    if (record.protocol === 'icmp') return !isNeighbourDiscovery(record.ip.version, record.type);
    if (connection === null) return record.protocol === 'tcp';
    if (connection.protocol !== record.protocol || record.destinationPort !== connection.remote.port) return false;
    if (connection.local.port === 0) connection.local.port = record.sourcePort;
    return record.sourcePort === connection.local.port;
  }

  /** Compares a packet; null when it is wrong and that is not fatal. */
  private judge(line: PacketLine, seen: Seen, gathering: Gathering): 'done' | 'more' | null {
    let { record } = seen;
    if (record.protocol === 'tcp' && this.connection !== null) {
      if (line.kind === 'tcp') {
        this.connection.learnLocal(record, line);
        this.connection.learnTimestamp(record, line);
      }
      record = this.connection.toScript(record);
    }
    this.log('out', text(recordPieces(record, null)), this.event.line, seen.atUs);
    let verdict = gathering.add(record);
    const nonZero = this.zeroPayload && record.protocol !== 'icmp' ? seen.payload.findIndex((byte) => byte !== 0) : -1;
    if (!Array.isArray(verdict) && nonZero >= 0) {
      verdict = [{ field: 'seq', what: `byte ${nonZero} of the payload is not zero, though only zeros were written` }];
    }
    if (!Array.isArray(verdict)) return verdict;
    this.failPacket(line, record, verdict, seen, gathering.gathered);
    return null;
  }

  private failPacket(line: PacketLine, record: PacketRecord, found: Difference[], seen: Seen, gathered: number): void {
    const pieces = recordPieces(record, line);
    const after = gathered > 0 ? `after ${gathered} bytes of this packet: ` : '';
    const message = after + found.map(({ what }) => what).join('; ');
    const fields = new Set(found.map(({ field }) => field));
    this.fail({
      kind: 'packet',
      message,
      expected: text(linePieces(line)),
      actual: text(pieces),
      marks: marks(pieces, fields),
      cause: seen.cause,
    });
  }

  private checkTime(line: PacketLine, dueUs: number, toUs: number, { atUs, cause }: Seen): void {
    const allowed = this.allowedUs(dueUs);
    if (atUs >= dueUs - allowed && atUs <= toUs + allowed) return;
    const byUs = atUs < dueUs ? dueUs - atUs : atUs - toUs;
    const due = dueUs === toUs ? seconds(dueUs) : `${seconds(dueUs)} to ${seconds(toUs)}`;
    const packet = text(linePieces(line));
    this.fail({
      kind: 'time',
      message: `${seconds(byUs)} s too ${atUs < dueUs ? 'early' : 'late'} (tolerance ${seconds(allowed)} s)`,
      expected: `${due} ${packet}`,
      actual: `${seconds(atUs)} ${packet}`,
      cause,
    });
  }

  private log(direction: 'in' | 'out', packet: string, line: number, atUs: number): void {
    this.packets.push({ atUs, direction, text: packet, line });
  }

  private logLeftover(emitted: Emitted): void {
    const { record } = decodeFrame(emitted.frame);
    if (record === null || !this.concerns(record)) return;
    const isTcp = record.protocol === 'tcp' && this.connection !== null;
    const shown = isTcp ? this.connection!.toScript(record) : record;
    this.log('out', text(recordPieces(shown, null)), 0, emitted.atUs);
  }

  // System calls.

  private runCall(event: Event, call: Call, dueUs: number, baseUs: number): void {
    this.finishPending();
    const started = startCall(call, this.context);
    const endUs = call.endUs === null ? this.world.nowUs : baseUs + call.endUs;
    // A relative end counts from where the event's own time does.
    const pending: Pending = { event, call, started, endUs, allowedUs: this.allowedUs(Math.max(endUs, dueUs)) };
    const outcome = started.attempt();
    if (outcome !== null) {
      this.finish(pending, outcome);
      this.world.settle();
      return;
    }
    this.pending = pending;
    this.world.waiter = { deadlineUs: started.deadlineUs, retry: () => this.retryPending() };
    this.world.settle();
    // A call that is not marked as blocking has to be back within the tolerance.
    if (call.endUs === null) this.finishPending();
  }

  private retryPending(): boolean {
    const { pending } = this;
    if (pending === null) return true;
    const outcome = pending.started.attempt();
    if (outcome === null) return false;
    this.pending = null;
    this.finish(pending, outcome);
    return true;
  }

  /** Lets a call that is under way come back, as late as the script allows. */
  private finishPending(): void {
    const { pending } = this;
    if (pending === null) return;
    const limitUs = pending.endUs + pending.allowedUs;
    while (this.pending !== null && this.world.step(limitUs));
    if (this.pending === null) return;
    this.world.nowUs = Math.max(this.world.nowUs, limitUs);
    this.failOverdue(pending);
  }

  private checkOverdue(): void {
    const { pending } = this;
    if (pending !== null && this.world.nowUs > pending.endUs + pending.allowedUs) this.failOverdue(pending);
  }

  private failOverdue(pending: Pending): void {
    const expected = `return at ${seconds(pending.endUs)} s`;
    const message = `${pending.call.name} did not return`;
    this.fail({ kind: 'time', message, expected, actual: 'still waiting' }, pending.event);
  }

  private finish(pending: Pending, outcome: Outcome): void {
    const { call, event, started } = pending;
    if (!this.checkResult(pending, outcome)) return;
    const difference = started.check?.() ?? null;
    if (difference !== null) {
      const { what, expected, actual } = difference;
      this.fail(
        { kind: 'syscall', message: `${call.name}: ${what} is ${actual}, not ${expected}`, expected, actual },
        event,
      );
    }
    const { nowUs } = this.world;
    if (Math.abs(nowUs - pending.endUs) <= pending.allowedUs) return;
    const early = nowUs < pending.endUs;
    const message = `${call.name} returned ${seconds(Math.abs(nowUs - pending.endUs))} s too ${early ? 'early' : 'late'}`;
    const expected = `return at ${seconds(pending.endUs)} s`;
    this.fail({ kind: 'time', message, expected, actual: `return at ${seconds(nowUs)} s` }, event);
  }

  private checkResult({ call, event, started }: Pending, outcome: Outcome): boolean {
    if (call.result.kind === 'ellipsis') return true;
    const expected = numberOf(call.result);
    const errno = call.errno === null ? null : errnoOf(call.errno);
    if (call.errno !== null && errno === null) throw new Unsupported(`the error ${call.errno}`);
    const failed = outcome.errno !== null;
    const isNewDescriptor = started.opens === true && expected >= 0 && !failed;
    const fits = isNewDescriptor || (outcome.value === expected && (errno === null || errno === outcome.errno));
    if (isNewDescriptor) this.context.fds.set(expected, outcome.value);
    if (fits) return true;
    const wanted = `= ${expected}${call.errno === null ? '' : ` ${call.errno}`}`;
    const got = `= ${outcome.value}${failed ? ` ${outcome.errno}` : ''}`;
    const message = `${call.name} returned ${got.slice(2)}, not ${wanted.slice(2)}`;
    this.fail({ kind: 'syscall', message, expected: wanted, actual: got }, event);
    return false;
  }

  opened(socket: TargetSocket): void {
    this.underTest = socket;
    this.connection = null;
  }

  listening(socket: TargetSocket): void {
    this.underTest = socket;
    this.connection = null;
  }

  connecting(socket: TargetSocket, to: SocketAddress): void {
    const { connection } = this;
    const remote = { ip: onWire(to.ip), port: to.port };
    const known = connection?.protocol === 'udp' && connection.remote.port === to.port && this.underTest === socket;
    if (known) return;
    const local = socket.localAddress();
    const localIp = canonical(this.script.config.localIp);
    const protocol = socket.type === 'dgram' ? 'udp' : 'tcp';
    this.underTest = socket;
    this.connection = new Connection(protocol, true, { ip: localIp, port: local?.port ?? 0 }, remote);
  }

  accepted(socket: TargetSocket): void {
    const port = socket.remoteAddress()?.port;
    if (this.connection === null || port === undefined || port === this.connection.remote.port) this.underTest = socket;
  }

  wroteText(): void {
    this.zeroPayload = false;
  }

  // Code blocks and commands.

  private runCode(code: Code): void {
    const info = this.underTest?.tcpInfo() ?? null;
    const scope: PythonScope = {
      variables: this.variables,
      lookup: (name) => {
        if (Object.hasOwn(CODE_CONSTANTS, name)) return CODE_CONSTANTS[name];
        return info !== null && Object.hasOwn(info, name) ? info[name] : undefined;
      },
      print: (line) => this.options.trace?.(line),
    };
    try {
      const failure = runPython(code.program, scope);
      if (failure === null) return;
      const line = this.script.source.line(code.at + failure.at);
      const message =
        failure.message === null
          ? `${failure.condition} does not hold`
          : `${failure.condition} does not hold: ${failure.message}`;
      this.fail({ kind: 'assert', message, expected: failure.condition, actual: failure.values, line });
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      const line = this.script.source.line(code.at + error.at);
      const about = info === null ? ' (no socket to ask for TCP_INFO)' : '';
      const kind = /not defined/.test(error.message) ? 'unsupported' : 'assert';
      this.fail({ kind, message: error.message + about, line });
    }
  }

  private runCommand(command: Command): void {
    const line = this.script.source.line(command.at);
    const { target } = this.world;
    for (const action of parseCommandText(command.text)) {
      if (action.kind === 'sysctl') {
        if (!target.sysctl(action.name, action.value))
          this.warnings.push(`line ${line}: sysctl ${action.name} is ignored`);
      } else if (action.kind === 'defaults') target.resetSysctls();
      else if (action.kind === 'flush-metrics') target.flushMetrics();
      else if (action.kind === 'blackhole') this.world.blackhole = action.on;
      else if (action.kind === 'unknown') this.warnings.push(`line ${line}: command not run: ${action.text}`);
    }
    this.world.settle();
  }
}

/** A packet of the connection under test. */
type Seen = Emitted & { readonly record: PacketRecord; readonly payload: Uint8Array };

/** An address in the form in which decoded packets show it. */
function canonical(ip: string): string {
  const bytes = parseAddress(ip);
  if (bytes === null) throw new Unsupported(`${ip} is not an IP address`);
  return formatAddress(bytes);
}

/** The address on the wire of one that an IPv6 socket uses for IPv4. */
const onWire = (ip: string): string => canonical(ip.replace(/^::ffff:(?=\d+\.)/i, ''));

/** Neighbour and router discovery and multicast listener reports are noise of the link. */
const isNeighbourDiscovery = (version: number, type: number): boolean =>
  version === 6 && ((type >= 130 && type <= 137) || type === 143);
