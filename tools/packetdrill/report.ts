import { shown } from './source';

/** What kind of expectation was not met, or why the script could not be run. */
export type FailureKind = 'parse' | 'unsupported' | 'packet' | 'missing-packet' | 'time' | 'syscall' | 'assert';

/** Why a script failed. */
export interface Failure {
  /** Of the script, from 1. */
  readonly line: number;
  readonly kind: FailureKind;
  /** One sentence. */
  readonly message: string;
  /** In the script's notation; '' where there is nothing to show. */
  readonly expected: string;
  readonly actual: string;
  /** Below `actual`, marks what differs; '' without. */
  readonly marks: string;
  /** Virtual time, in microseconds since the script began. */
  readonly atUs: number;
  /** Of the connection under test, by RFC 9293; '' without one. */
  readonly state: string;
  /** Which rule made the stack send what it sent; '' when it did not say. */
  readonly cause: string;
  /** What may be behind it; '' where nothing suggests itself. */
  readonly hint: string;
  /** The script's line as written. */
  readonly source: string;
}

/** A packet that crossed the wire. */
export interface LoggedPacket {
  readonly atUs: number;
  /** 'in': to the stack. */
  readonly direction: 'in' | 'out';
  /** In the script's notation and numbers. */
  readonly text: string;
  /** The line that sent or expected it; 0 for none. */
  readonly line: number;
}

/** What came of one script: what `--json` prints. */
export interface ScriptResult {
  readonly file: string;
  readonly ok: boolean;
  /** Virtual time at the end. */
  readonly virtualUs: number;
  /** Time that the run took. */
  wallMs: number;
  readonly warnings: readonly string[];
  readonly failure?: Failure;
  readonly packets: readonly LoggedPacket[];
}

/** 0: all expectations met; 1: one was not; 2: the script cannot be parsed or needs something unsupported. */
export function exitCode(result: ScriptResult): 0 | 1 | 2 {
  if (result.failure === undefined) return 0;
  return result.failure.kind === 'parse' || result.failure.kind === 'unsupported' ? 2 : 1;
}

/** Seconds with as many digits as are needed. */
export const seconds = (us: number): string => (us / 1e6).toFixed(6).replace(/0{1,3}$/, '');

/** A result for people: one line when all is well, else the failure with what was expected and what came. */
export function describeResult(result: ScriptResult): string {
  const lines: string[] = [];
  const { failure } = result;
  if (failure === undefined)
    lines.push(`${result.file}: ok, ${seconds(result.virtualUs)} s in ${result.wallMs.toFixed(1)} ms`);
  else lines.push(`${result.file}:${failure.line}: ${failure.kind}: ${failure.message}`, ...describeFailure(failure));
  for (const warning of result.warnings) lines.push(`  warning: ${warning}`);
  return shown(lines.join('\n'));
}

function describeFailure(failure: Failure): string[] {
  const lines: string[] = [];
  if (failure.source !== '') lines.push(`  line ${failure.line}:  ${failure.source}`);
  if (failure.expected !== '') lines.push(`  expected  ${failure.expected}`);
  if (failure.actual !== '') lines.push(`  actual    ${failure.actual}`);
  if (failure.marks !== '') lines.push(`            ${failure.marks}`);
  const context = [
    failure.kind === 'parse' || failure.kind === 'unsupported' ? '' : `at ${seconds(failure.atUs)} s`,
    failure.state === '' ? '' : `state ${failure.state}`,
    failure.cause === '' ? '' : `sent because ${failure.cause}`,
  ].filter((part) => part !== '');
  if (context.length > 0) lines.push(`  ${context.join(', ')}`);
  if (failure.hint !== '') lines.push(`  hint: ${failure.hint}`);
  return lines;
}
