import type { Action, Code, Command, Event, EventTime, Script } from './ast';
import { Cursor } from './cursor';
import { Lexer, type OptionToken } from './lexer';
import { applyOption, completeConfig, defaultConfig, isIgnoredOption, type ScriptConfig } from './options';
import { parseCall } from './parse-call';
import { parsePacket } from './parse-packet';
import { parsePython } from './python/parse';
import { PythonError } from './python/tokens';
import { ScriptError, Source } from './source';

/** An option of the command line, `value` '' without one. It wins over the script's own. */
export interface GivenOption {
  readonly name: string;
  readonly value: string;
}

/**
 * Reads a whole script. Throws ScriptError with the place, the line and what was expected: kind 'parse' where the text is
 * not the language, 'unsupported' where this interpreter refuses a part of it.
 */
export function parseScript(file: string, text: string, given: readonly GivenOption[] = []): Script {
  const source = new Source(file, text.replace(/^\uFEFF/, ''));
  const nul = source.text.indexOf('\0');
  if (nul >= 0) throw new ScriptError(source, nul, 'parse', 'a NUL byte: this is no text, or UTF-16');
  const config = defaultConfig();
  const c = new Cursor(new Lexer(source, config.defines));
  const warnings: string[] = [];
  parseOptions(c, config, warnings);
  for (const { name, value } of given) {
    const wrong = applyOption(config, name, value);
    if (wrong !== null) throw new ScriptError(source, 0, 'parse', `--${name} of the command line: ${wrong}`);
  }
  const wrongAddress = completeConfig(config);
  if (wrongAddress !== null) throw new ScriptError(source, 0, 'parse', wrongAddress);
  const setUp = c.peek().kind === 'command' ? parseCommand(c) : null;
  const events: Event[] = [];
  while (startsTime(c)) events.push(parseEvent(c, config));
  if (events.length === 0) c.unexpected('an event: a time, then a packet, a call, a command or a code block');
  const cleanUp = c.peek().kind === 'command' ? parseCommand(c) : null;
  if (c.peek().kind !== 'end') c.unexpected('an event that begins with a time, or the end of the script');
  return { source, config, setUp, events, cleanUp, warnings };
}

function parseOptions(c: Cursor, config: ScriptConfig, warnings: string[]): void {
  while (c.peek().kind === 'option') {
    const token = c.next() as OptionToken;
    const wrong = applyOption(config, token.text, token.optionValue ?? '');
    if (wrong !== null) c.fail(`--${token.text}: ${wrong}`, token.at);
    if (isIgnoredOption(token.text))
      warnings.push(`line ${c.lexer.source.line(token.at)}: --${token.text} has no effect`);
  }
}

function parseCommand(c: Cursor): Command {
  const token = c.next();
  return { kind: 'command', text: token.text, at: token.at };
}

function startsTime(c: Cursor): boolean {
  const token = c.peek();
  if (token.kind === 'sign') return token.text === '+' || token.text === '*';
  return token.kind === 'integer' || token.kind === 'float';
}

function parseEvent(c: Cursor, config: ScriptConfig): Event {
  const at = c.peek().at;
  const time = parseTime(c);
  const action = parseAction(c, config);
  const isOutbound = 'direction' in action && action.direction === 'out';
  if (!isOutbound && (time.kind === 'any' || 'toUs' in time)) {
    c.fail(`${time.kind === 'any' ? '"*"' : 'a range of times'} is for packets from the stack only`, at);
  }
  return { time, action, at, end: c.end, line: c.lexer.source.line(at) };
}

function parseTime(c: Cursor): EventTime {
  if (c.acceptSign('*')) return { kind: 'any' };
  const relative = c.acceptSign('+');
  const us = parseSeconds(c);
  if (!c.acceptSign('~')) return { kind: relative ? 'relative' : 'absolute', us };
  if (relative) c.sign('+', 'before the end of a range of relative times');
  const toAt = c.peek().at;
  const toUs = parseSeconds(c);
  if (toUs < us) c.fail('the range ends before it begins', toAt);
  return { kind: relative ? 'relative-range' : 'absolute-range', us, toUs };
}

/** Seconds as whole microseconds. */
function parseSeconds(c: Cursor): number {
  const token = c.peek();
  if (token.kind !== 'integer' && token.kind !== 'float') c.expected('a time in seconds');
  if (token.value < 0 || token.value > SECONDS_MAX) c.fail(`expected a time from 0 to ${SECONDS_MAX} seconds`);
  c.next();
  return Math.round(token.value * 1e6);
}

/** Ten years: far beyond any timer, and exact in microseconds. */
const SECONDS_MAX = 315_360_000;

function parseAction(c: Cursor, config: ScriptConfig): Action {
  const token = c.peek();
  if (c.isSign('<') || c.isSign('>')) return parsePacket(c, config);
  if (token.kind === 'command') return parseCommand(c);
  if (token.kind === 'code') return parseCode(c);
  if (token.kind !== 'ellipsis') return parseCall(c, null);
  c.next();
  return parseCall(c, parseSeconds(c));
}

function parseCode(c: Cursor): Code {
  const token = c.next();
  const at = token.at + '%{'.length;
  try {
    return { kind: 'code', text: token.text, program: parsePython(token.text), at };
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    if (error.unsupported) return c.refuse(`${error.message} in a code block`, at + error.at);
    // As in the original tool, where Python reads a block only when it runs it: the run fails there.
    return { kind: 'code', text: token.text, program: error, at };
  }
}
