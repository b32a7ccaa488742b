/**
 * WWW-Authenticate and Proxy-Authenticate: from fields to challenges (RFC 9110 §11.6.1), and which of them to answer.
 */
import type { AuthChallenge, AuthTarget } from '../session-types';
import { isKnownAlgorithm, strengthOf } from './digest';

/** One challenge as it was sent. Names are in lower case, values without quotes and escapes. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longer fields, and more than so many challenges, are nobody's honest question. */
const FIELD_CHARS_MAX = 16_384;
const CHALLENGES_MAX = 32;
const PARAMETERS_MAX = 64;

const TOKEN = /[!#$%&'*+.^_`|~\w-]+/y;
const SPACE = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
/** The one form of credentials that is no list: base64 and its like. What follows it is a comma, or nothing. */
const TOKEN68 = /[\w.~+/-]+=*(?=[ \t]*(?:,|$))/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;

/** Reads a field from left to right. */
class Scanner {
  at = 0;

  constructor(readonly text: string) {}

  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  /** Nothing, or another entry of the list. */
  endsHere(): boolean {
    return this.at === this.text.length || this.text[this.at] === ',';
  }

  /** `name=value`, or null and nothing was read: then a name found there is that of the next scheme. */
  parameter(): [name: string, value: string] | null {
    const before = this.at;
    const name = this.take(TOKEN);
    if (name !== null) {
      this.take(SPACE);
      if (this.text[this.at] === '=') {
        this.at++;
        this.take(SPACE);
        const quoted = this.take(QUOTED);
        if (quoted !== null) return [name[0].toLowerCase(), quoted[1]!.replace(/\\(.)/gs, '$1')];
        const bare = this.take(TOKEN);
        if (bare !== null) return [name[0].toLowerCase(), bare[0]];
      }
    }
    this.at = before;
    return null;
  }
}

/** All challenges of a field, in their order. What cannot be read ends the list. Never throws. */
export function parseChallenges(field: string): Challenge[] {
  const found: Challenge[] = [];
  if (field.length > FIELD_CHARS_MAX) return found;
  const scanner = new Scanner(field);
  scanner.take(SEPARATORS);
  while (scanner.at < field.length && found.length < CHALLENGES_MAX) {
    const scheme = scanner.take(TOKEN);
    if (scheme === null) break;
    const parameters = readParameters(scanner);
    if (parameters === null) break;
    found.push({ scheme: scheme[0].toLowerCase(), parameters });
    scanner.take(SEPARATORS);
  }
  return found;
}

function readParameters(scanner: Scanner): Record<string, string> | null {
  const parameters: Record<string, string> = Object.create(null);
  const before = scanner.at;
  scanner.take(SPACE);
  // A scheme stands alone, or a space separates it from what belongs to it.
  if (scanner.at === before) return scanner.endsHere() ? parameters : null;
  if (scanner.take(TOKEN68) !== null) return parameters;
  for (let count = 0; count < PARAMETERS_MAX; count++) {
    const parameter = scanner.parameter();
    if (parameter === null) return scanner.endsHere() ? parameters : null;
    // Whoever says a thing twice is taken at the first word, so that nothing appended changes it.
    parameters[parameter[0]] ??= parameter[1];
    const end = scanner.at;
    scanner.take(SEPARATORS);
    const next = scanner.at;
    if (scanner.parameter() === null) {
      scanner.at = next;
      return next > end || next === scanner.text.length ? parameters : null;
    }
    scanner.at = next;
  }
  return null;
}

// ── which one to answer ──

/** The strongest that can be answered; of equals, the first. Undefined when there is none. Never throws. */
export function chooseChallenge(target: AuthTarget, fields: readonly string[]): AuthChallenge | undefined {
  let best: AuthChallenge | undefined;
  let strength = 0;
  for (const field of fields) {
    for (const { scheme, parameters } of parseChallenges(field)) {
      const its = challengeStrength(scheme, parameters);
      if (its <= strength) continue;
      strength = its;
      const { isProxy, protocol, host, port } = target;
      const realm = parameters['realm'] ?? '';
      best = { isProxy, protocol, host, port, scheme: scheme as 'basic' | 'digest', realm, parameters };
    }
  }
  return best;
}

/** 0: cannot be answered. */
function challengeStrength(scheme: string, parameters: Readonly<Record<string, string>>): number {
  if (scheme === 'basic') return 1;
  if (scheme !== 'digest' || parameters['nonce'] === undefined || parameters['realm'] === undefined) return 0;
  const { algorithm = 'MD5', qop } = parameters;
  if (!isKnownAlgorithm(algorithm)) return 0;
  if (qop !== undefined && !/(^|[\s,])auth(-int)?($|[\s,])/i.test(qop)) return 0;
  return 1 + strengthOf(algorithm);
}
