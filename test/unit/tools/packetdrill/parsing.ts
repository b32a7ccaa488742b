import type { Script } from '../../../../tools/packetdrill/ast';
import { type GivenOption, parseScript } from '../../../../tools/packetdrill/parser';
import { ScriptError } from '../../../../tools/packetdrill/source';

/** A script of this text; `given` on the command line. */
export const parse = (text: string, given: GivenOption[] = []): Script => parseScript('t.pkt', text, given);

/** The error that a script ends with, without places. */
export function errorOf(text: string): ScriptError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ScriptError) return error;
    throw error;
  }
  throw new Error(`parsed: ${text}`);
}

/** An expression without the positions. */
export function bare(e: unknown): unknown {
  if (Array.isArray(e)) return e.map(bare);
  if (typeof e !== 'object' || e === null) return e;
  return Object.fromEntries(
    Object.entries(e)
      .filter(([key]) => key !== 'at')
      .map(([key, value]) => [key, bare(value)]),
  );
}
