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

/** What both sides compute the same of: §3.4.2 A1 and what follows it in §3.4.1. */
interface Common {
  readonly H: Hash;
  readonly secret: string;
  readonly qop: 'auth' | 'auth-int' | null;
  readonly nc: string;
}

/** @throws Error for auth-int without a body */
function commonOf(input: DigestInput): Common {
  const { parameters, username, realm, cnonce } = input;
  const algorithm = parameters['algorithm'] ?? 'MD5';
  const H = hashOf(algorithm);
  let secret = H(`${username}:${realm}:${input.password}`);
  if (isSession(algorithm)) secret = H(`${secret}:${parameters['nonce']!}:${cnonce}`);
  return { H, secret, qop: qualityOf(input), nc: input.nonceCount.toString(16).padStart(8, '0') };
}

const isSession = (algorithm: string): boolean => /-sess$/i.test(algorithm);

/** §3.4.1: the response, to what hashes to `about`. */
function proofOf({ H, secret, qop, nc }: Common, { parameters, cnonce }: DigestInput, about: string): string {
  const nonce = parameters['nonce']!;
  return H(qop === null ? `${secret}:${nonce}:${about}` : `${secret}:${nonce}:${nc}:${cnonce}:${qop}:${about}`);
}

/**
 * §3.5: `rspauth` of a server that knows the password. Undefined without qop, and for auth-int, where it would be of the
 * response's body.
 */
export function digestAnswer(input: DigestInput): string | undefined {
  const common = commonOf(input);
  return common.qop === 'auth' ? proofOf(common, input, common.H(`:${input.target}`)) : undefined;
}

/** The field's value after "Digest ". @throws Error for auth-int without a body */
export function digestResponse(input: DigestInput): string {
  const { parameters, username, realm, method, target, cnonce } = input;
  const common = commonOf(input);
  const { H, qop, nc } = common;
  // §3.4.3 A2.
  const bodyHash = qop === 'auth-int' ? `:${H(...input.body!)}` : '';
  const proof = proofOf(common, input, H(`${method}:${target}${bodyHash}`));
  const hashed = parameters['userhash']?.toLowerCase() === 'true';
  const fields = [hashed ? `username="${H(`${username}:${realm}`)}"` : usernameField(username)];
  fields.push(
    `realm=${quoted(realm)}`,
    `nonce=${quoted(parameters['nonce']!)}`,
    `uri=${quoted(target)}`,
    `response="${proof}"`,
  );
  const { algorithm } = parameters;
  if (algorithm !== undefined) fields.push(`algorithm=${algorithm}`);
  if (qop !== null) fields.push(`qop=${qop}`, `nc=${nc}`);
  if (qop !== null || isSession(algorithm ?? '')) fields.push(`cnonce=${quoted(cnonce)}`);
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
