import type { Code, Command, Event, PacketLine, Script } from './ast';
import { Calling } from './calling';
import { type CommandAction, parseCommandText } from './commands';
import { Connection } from './connection';
import { CODE_CONSTANTS } from './constants';
import { Expecting } from './expecting';
import { linePieces, text } from './notation';
import { type PythonFailure, type PythonScope, type PythonValue, runPython } from './python/evaluate';
import { PythonError } from './python/tokens';
import { type Failure, type ScriptResult, seconds } from './report';
import { Unsupported } from './source';
import { canonicalAddress, Mismatch, type RunOptions, Stage } from './stage';
import { buildInbound } from './wire';

export type { RunOptions } from './stage';

const FIRST_EPHEMERAL_PORT = 40_000;

/**
 * Runs a script on a stack, in virtual time. What the script or the stack does wrong is the result, not an exception;
 * only a stack that breaks (an assertion of its own, an endless loop) throws.
 */
export function runScript(script: Script, options: RunOptions): ScriptResult {
  const { file } = script.source;
  const { warnings, config } = script;
  if (!config.dryRun) return new Runner(script, options).run();
  const failure = brokenCode(script);
  const result = { file, ok: failure === null, virtualUs: 0, wallMs: 0, warnings, packets: [] };
  return failure === null ? result : { ...result, failure };
}

/** The first code block that is not Python, as the failure of a mere check of the syntax. */
function brokenCode({ events, source }: Script): Failure | null {
  for (const { action } of events) {
    if (action.kind !== 'code' || !(action.program instanceof PythonError)) continue;
    const { message } = action.program;
    const line = source.line(action.at + action.program.at);
    const nothing = { expected: '', actual: '', marks: '', atUs: 0, state: '', cause: '', hint: '' };
    return { line, kind: 'parse', message, ...nothing, source: source.lineText(line) };
  }
  return null;
}

class Runner {
  private readonly stage: Stage;
  private readonly calling: Calling;
  private readonly expecting: Expecting;
  private readonly variables = new Map<string, PythonValue>();
  private nextPort = FIRST_EPHEMERAL_PORT;
  private previousInbound = false;

  constructor(
    private readonly script: Script,
    private readonly options: RunOptions,
  ) {
    this.stage = new Stage(script, options);
    this.calling = new Calling(this.stage);
    this.expecting = new Expecting(this.stage);
  }

  run(): ScriptResult {
    const { stage } = this;
    const { world, warnings, packets } = stage;
    let failure: Failure | undefined;
    try {
      this.runEvents();
    } catch (error) {
      if (error instanceof Mismatch) failure = error.failure;
      else if (error instanceof Unsupported) failure = stage.failure({ kind: 'unsupported', message: error.message });
      else throw error;
    }
    const virtualUs = world.nowUs;
    this.expecting.logLeftovers();
    world.target.close();
    const { file } = this.script.source;
    const result = { file, ok: failure === undefined, virtualUs, wallMs: 0, warnings };
    return failure === undefined ? { ...result, packets } : { ...result, failure, packets };
  }

  private runEvents(): void {
    const { setUp, events, cleanUp } = this.script;
    const { stage } = this;
    if (setUp !== null) this.runCommand(setUp);
    for (const event of events) {
      stage.event = event;
      this.options.trace?.(`${seconds(stage.world.nowUs)}  ${stage.sourceOf(event)}`);
      this.runEvent(event);
      this.calling.checkOverdue();
    }
    this.calling.finishPending();
    if (cleanUp !== null) this.runCommand(cleanUp);
  }

  private runEvent(event: Event): void {
    const { stage } = this;
    const { action, time } = event;
    const { nowUs } = stage.world;
    const isInbound = 'direction' in action && action.direction === 'in';
    const isRelative = time.kind === 'relative' || time.kind === 'relative-range';
    // Inbound after inbound counts from the scripted time, so that nothing drifts.
    const baseUs = !isRelative ? 0 : isInbound && this.previousInbound ? stage.previousUs : nowUs;
    const dueUs = time.kind === 'any' ? nowUs : baseUs + time.us;
    this.previousInbound = isInbound;
    if ('direction' in action && !isInbound) {
      this.expecting.expect(event, action, dueUs, baseUs);
      return;
    }
    this.reach(dueUs);
    if (action.kind === 'call') this.calling.run(event, action, baseUs);
    else if (action.kind === 'code') this.runCode(action);
    else if (action.kind === 'command') this.runCommand(action);
    else this.inject(action);
    stage.previousUs = dueUs;
  }

  /** Moves the clock to when the script does something; that must not lie in the past. */
  private reach(dueUs: number): void {
    const { stage } = this;
    const { world } = stage;
    if (world.nowUs - dueUs > stage.allowedUs(dueUs)) {
      const message = `this is due at ${seconds(dueUs)} s, but it is ${seconds(world.nowUs)} s already`;
      stage.fail({ kind: 'time', message });
    }
    world.advanceTo(dueUs);
  }

  private inject(line: PacketLine): void {
    const { stage } = this;
    const { wireVersion, tsEcrScaled } = this.script.config;
    const built = buildInbound(line, this.connectionFor(line), wireVersion, tsEcrScaled);
    if ('error' in built) {
      stage.fail({ kind: 'parse', message: built.error });
      return;
    }
    stage.log('in', text(linePieces(line)), stage.event.line, stage.world.nowUs);
    const { line: number } = stage.event;
    const { target } = stage.world;
    stage.world.deliver(built.frame, `line ${number}`);
    const reason = target.lastDrop?.() ?? '';
    stage.dropped = reason === '' ? null : { line: number, reason };
    if (reason !== '') this.options.trace?.(`not used: ${reason}`);
  }

  /** The connection under test; a packet that comes without one makes one. */
  private connectionFor(line: PacketLine): Connection {
    const { stage } = this;
    if (stage.connection !== null) return stage.connection;
    const { config } = this.script;
    const ports = line.kind === 'icmp' ? null : line.ports;
    const protocol = line.kind === 'udp' || stage.underTest?.type === 'dgram' ? 'udp' : 'tcp';
    const remotePort = ports?.source ?? (protocol === 'udp' ? config.connectPort : this.nextPort++);
    const localPort = ports?.destination ?? (stage.underTest?.localAddress()?.port || config.bindPort);
    const local = { ip: canonicalAddress(config.localIp), port: localPort };
    stage.connection = new Connection(protocol, false, local, {
      ip: canonicalAddress(config.remoteIp),
      port: remotePort,
    });
    return stage.connection;
  }

  private runCode(code: Code): void {
    const { stage } = this;
    const info = stage.underTest?.tcpInfo() ?? null;
    const scope: PythonScope = {
      variables: this.variables,
      lookup: (name) => {
        if (Object.hasOwn(CODE_CONSTANTS, name)) return CODE_CONSTANTS[name];
        return info !== null && Object.hasOwn(info, name) ? info[name] : undefined;
      },
      print: (line) => this.options.trace?.(line),
    };
    try {
      if (code.program instanceof PythonError) throw code.program;
      const failure = runPython(code.program, scope);
      if (failure !== null) this.failAssertion(code, failure);
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      const line = this.script.source.line(code.at + error.at);
      const about = info === null ? ' (there is no socket to ask for TCP_INFO)' : '';
      if (error.unsupported) stage.fail({ kind: 'unsupported', message: error.message + about, line });
      else stage.fail({ kind: 'assert', message: `the code block: ${error.message}`, line });
    }
  }

  private failAssertion(code: Code, failure: PythonFailure): void {
    const { condition, values } = failure;
    const line = this.script.source.line(code.at + failure.at);
    const message = `${condition} does not hold${failure.message === null ? '' : `: ${failure.message}`}`;
    this.stage.fail({ kind: 'assert', message, expected: condition, actual: values, line });
  }

  private runCommand(command: Command): void {
    const line = this.script.source.line(command.at);
    for (const action of parseCommandText(command.text)) {
      const ignored = this.apply(action);
      if (ignored !== null) this.stage.warnings.push(`line ${line}: ${ignored}`);
    }
    this.stage.world.settle();
  }

  /** Does what a command says; returns what was left out instead, or null. */
  private apply(action: CommandAction): string | null {
    const { world } = this.stage;
    switch (action.kind) {
      case 'sysctl':
        return world.target.sysctl(action.name, action.value) ? null : `sysctl ${action.name} is ignored`;
      case 'route':
        return world.target.route(action.metrics) ? null : 'a change of routes is ignored';
      case 'unknown':
        return `command not run: ${action.text}`;
      case 'defaults':
        world.target.resetSysctls();
        break;
      case 'flush-metrics':
        world.target.flushMetrics();
        break;
      case 'blackhole':
        world.blackhole = action.on;
    }
    return null;
  }
}
