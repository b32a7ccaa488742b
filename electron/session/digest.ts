/**
 * Digest access authentication (RFC 7616; without qop, RFC 2069): the value of one Authorization field. The hashes are
 * Node's.
 */
import { createHash } from 'node:crypto';

/** What a response is computed from. */
export interface DigestInput {
  readonly username: string;
  readonly password: string;
  readonly realm: string;
  /** The challenge's parameters, names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly method: string;
  /** The request-target as it stands on the request line. */
  readonly target: string;
  /** The whole body, for auth-int; null when it is not known. */
  readonly body: Iterable<Uint8Array> | null;
  readonly cnonce: string;
  /** How many requests the nonce has been used for, this one included: from 1. */
  readonly nonceCount: number;
}

/** Names in RFC 7616 §6.1's table, and Node's. Later ones are stronger. */
const ALGORITHMS: readonly (readonly [name: string, hash: string])[] = [
  ['md5', 'md5'],
  ['sha-256', 'sha256'],
  ['sha-512-256', 'sha512-256'],
];

const baseOf = (algorithm: string): string => algorithm.toLowerCase().replace(/-sess$/, '');

/** Where an algorithm stands among those known, from 1. */
export const strengthOf = (algorithm: string): number =>
  ALGORITHMS.findIndex(([name]) => name === baseOf(algorithm)) + 1;

/** Whether answers with this algorithm can be computed. */
export const isKnownAlgorithm = (algorithm: string): boolean => strengthOf(algorithm) > 0;

type Hash = (...parts: (string | Uint8Array)[]) => string;

function hashOf(algorithm: string): Hash {
  const name = ALGORITHMS[strengthOf(algorithm) - 1]![1];
  return (...parts) => {
    const hash = createHash(name);
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
}

/** §3.4: 'auth' where it is offered, since it needs no body; null without qop. @throws Error when no body is known */
function qualityOf(input: DigestInput): 'auth' | 'auth-int' | null {
  const { qop } = input.parameters;
  if (qop === undefined) return null;
  const offered = qop.toLowerCase().split(/[\s,]+/);
  if (offered.includes('auth')) return 'auth';
  if (input.body === null) {
    throw new Error('the server wants qop=auth-int, and the body is not known before it is sent: send it buffered');
  }
  return 'auth-int';
}

/** The field's value after "Digest ". @throws Error for auth-int without a body */
export function digestResponse(input: DigestInput): string {
  const { parameters, username, realm, method, target, cnonce } = input;
  const algorithm = parameters['algorithm'] ?? 'MD5';
  const H = hashOf(algorithm);
  const nonce = parameters['nonce']!;
  const qop = qualityOf(input);
  const nc = input.nonceCount.toString(16).padStart(8, '0');
  // §3.4.2 A1, §3.4.3 A2, §3.4.1 the response.
  let secret = H(`${username}:${realm}:${input.password}`);
  const isSession = /-sess$/i.test(algorithm);
  if (isSession) secret = H(`${secret}:${nonce}:${cnonce}`);
  const bodyHash = qop === 'auth-int' ? `:${H(...input.body!)}` : '';
  const request = H(`${method}:${target}${bodyHash}`);
  const proof = qop === null ? `${secret}:${nonce}:${request}` : `${secret}:${nonce}:${nc}:${cnonce}:${qop}:${request}`;

  const hashed = parameters['userhash']?.toLowerCase() === 'true';
  const fields = [hashed ? `username="${H(`${username}:${realm}`)}"` : usernameField(username)];
  fields.push(`realm=${quoted(realm)}`, `nonce=${quoted(nonce)}`, `uri=${quoted(target)}`, `response="${H(proof)}"`);
  if (parameters['algorithm'] !== undefined) fields.push(`algorithm=${algorithm}`);
  if (qop !== null) fields.push(`qop=${qop}`, `nc=${nc}`);
  if (qop !== null || isSession) fields.push(`cnonce=${quoted(cnonce)}`);
  if (parameters['opaque'] !== undefined) fields.push(`opaque=${quoted(parameters['opaque'])}`);
  if (hashed) fields.push('userhash=true');
  return fields.join(', ');
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** §3.4: a name with characters that a quoted string cannot have is sent in the form of RFC 8187. */
function usernameField(username: string): string {
  if (/^[\x20-\x7e]*$/.test(username)) return `username=${quoted(username)}`;
  const encoded = encodeURIComponent(username).replace(
    /[*'()]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `username*=UTF-8''${encoded}`;
}
