import { randomBytes } from 'node:crypto';
import type { AuthChallenge, Authorization, AuthRequest, AuthTarget, Credentials } from '../session-types';
import { parseChallenges } from './challenges';
import { digestAnswer, digestResponse } from './digest';

/** Credentials that a protection space accepted. */
interface Entry {
  readonly challenge: AuthChallenge;
  readonly credentials: Credentials;
  /** What paths in the space begin with, as far as is known. */
  readonly paths: readonly string[];
}

/** A nonce in use. */
interface NonceUse {
  count: number;
  /** The same for all requests with a nonce: the session algorithms derive their key from it. */
  readonly cnonce: string;
}

/** Beyond these the oldest is forgotten: Chromium's numbers for entries and paths. */
const ENTRIES_MAX = 20;
const PATHS_MAX = 10;
const NONCES_MAX = 100;

const spaceOf = (target: AuthTarget): string =>
  `${target.isProxy ? 'proxy ' : ''}${target.protocol}//${target.host.toLowerCase()}:${target.port}`;

const keyOf = (challenge: AuthChallenge): string => `${spaceOf(challenge)} ${challenge.scheme} ${challenge.realm}`;

const sameCredentials = (a: Credentials, b: Credentials | undefined): boolean =>
  b !== undefined && a.username === b.username && a.password === b.password;

const isStale = (challenge: AuthChallenge): boolean =>
  challenge.scheme === 'digest' && challenge.parameters['stale']?.toLowerCase() === 'true';

/**
 * What a session knows of passwords: by origin or proxy, realm and scheme, and where on an origin they are sent without
 * being asked for (RFC 7617 §2.2, RFC 7616 §3.3). Kept in memory only.
 */
export class AuthCache {
  private readonly entries = new Map<string, Entry>();
  private readonly nonces = new Map<string, NonceUse>();

  /** `makeCnonce` gives the client's part of a digest: random, except to tests. */
  constructor(private readonly makeCnonce: () => string = () => randomBytes(16).toString('hex')) {}

  /** How many protection spaces are known. */
  get size(): number {
    return this.entries.size;
  }

  /**
   * The credentials kept for a challenge. Those that led to it (`rejected`) are wrong and forgotten, unless the challenge
   * says that only the nonce was too old: then they are given again for the new one.
   */
  credentialsFor(challenge: AuthChallenge, rejected: Credentials | undefined): Credentials | undefined {
    const key = keyOf(challenge);
    const entry = this.entries.get(key);
    const fresh = isStale(challenge) && !this.nonces.has(nonceKey(challenge));
    if (fresh && rejected !== undefined) {
      if (entry !== undefined && sameCredentials(entry.credentials, rejected)) this.keep(key, { ...entry, challenge });
      return rejected;
    }
    if (entry === undefined) return undefined;
    if (!sameCredentials(entry.credentials, rejected)) return entry.credentials;
    this.entries.delete(key);
    return undefined;
  }

  /** Keeps what was accepted, for the space that the request shows. What no field can carry is not kept. */
  remember(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): void {
    if (unfit(challenge, credentials) !== null) return;
    const key = keyOf(challenge);
    const before = this.entries.get(key);
    const known = before !== undefined && sameCredentials(before.credentials, credentials) ? before.paths : [];
    const paths = [...known];
    for (const path of pathsOf(challenge, request)) {
      if (!paths.some((one) => path.startsWith(one))) paths.push(path);
    }
    this.keep(key, { challenge, credentials, paths: paths.slice(-PATHS_MAX) });
  }

  forget(challenge: AuthChallenge, credentials: Credentials): void {
    const key = keyOf(challenge);
    const entry = this.entries.get(key);
    if (entry !== undefined && sameCredentials(entry.credentials, credentials)) this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
    this.nonces.clear();
  }

  /** Forgets everything about one origin, "https://a.test:443". */
  clearOrigin(protocol: string, host: string, port: number): void {
    const space = spaceOf({ isProxy: false, protocol, host, port });
    for (const [key, entry] of this.entries) if (spaceOf(entry.challenge) === space) this.entries.delete(key);
  }

  /** The field to send before anybody asked; undefined outside of every known space. */
  preemptive(target: AuthTarget, request: AuthRequest): Authorization | undefined {
    const space = spaceOf(target);
    const path = target.isProxy ? '/' : request.url.pathname;
    let best: Entry | undefined;
    let depth = 0;
    for (const entry of this.entries.values()) {
      if (spaceOf(entry.challenge) !== space) continue;
      for (const one of entry.paths) {
        if (one.length <= depth || !path.startsWith(one)) continue;
        best = entry;
        depth = one.length;
      }
    }
    if (best === undefined) return undefined;
    const wantsBody = best.challenge.scheme === 'digest' && request.body === null;
    // Without the body nothing can be computed for auth-int alone; the server will say so itself.
    if (wantsBody && /^\s*auth-int\s*$/i.test(best.challenge.parameters['qop'] ?? '')) return undefined;
    return this.authorize(best.challenge, best.credentials, request);
  }

  /**
   * The answer to a challenge. Each use of a nonce counts.
   * @throws TypeError for credentials that no field can carry; Error for auth-int when no body is known
   */
  authorize(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): Authorization {
    const { username, password } = credentials;
    const reason = unfit(challenge, credentials);
    if (reason !== null) throw new TypeError(reason);
    if (challenge.scheme === 'basic') {
      return { value: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`, credentials };
    }
    const use = this.useOf(challenge);
    const { realm, parameters } = challenge;
    const { method, target, body } = request;
    const { cnonce } = use;
    const nonceCount = ++use.count;
    const input = { username, password, realm, parameters, method, target, body, cnonce, nonceCount };
    return { value: `Digest ${digestResponse(input)}`, credentials, challenge, rspauth: digestAnswer(input) };
  }

  /**
   * RFC 7616 §3.5: the next request uses `nextnonce`. Not for the session algorithms: their key comes from the first
   * nonce, and the server says when that is too old. Nor when `rspauth` shows that whoever answers does not know the
   * password. True when there is one. Never throws.
   */
  takeInfo({ challenge, credentials, rspauth }: Authorization, field: string): boolean {
    if (challenge === undefined || /-sess$/i.test(challenge.parameters['algorithm'] ?? '')) return false;
    const parameters = parseChallenges(`Digest ${field}`)[0]?.parameters ?? {};
    const { nextnonce: nonce, rspauth: shown, qop = 'auth' } = parameters;
    const isProof = shown !== undefined && rspauth !== undefined && qop.toLowerCase() === 'auth';
    if (isProof && shown.toLowerCase() !== rspauth) return false;
    const key = keyOf(challenge);
    const entry = this.entries.get(key);
    if (nonce === undefined || entry === undefined || !sameCredentials(entry.credentials, credentials)) return false;
    this.keep(key, { ...entry, challenge: { ...challenge, parameters: { ...challenge.parameters, nonce } } });
    return true;
  }

  private useOf(challenge: AuthChallenge): NonceUse {
    const key = nonceKey(challenge);
    let use = this.nonces.get(key);
    if (use === undefined) {
      use = { count: 0, cnonce: this.makeCnonce() };
      dropOldest(this.nonces, NONCES_MAX);
      this.nonces.set(key, use);
    }
    return use;
  }

  private keep(key: string, entry: Entry): void {
    this.entries.delete(key);
    dropOldest(this.entries, ENTRIES_MAX);
    this.entries.set(key, entry);
  }
}

const nonceKey = (challenge: AuthChallenge): string => `${spaceOf(challenge)} ${challenge.parameters['nonce']}`;

/** Makes room for one more. */
function dropOldest(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size < max) return;
    map.delete(key);
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

/** RFC 7617 §2; and nobody's password writes header fields. Null: they can be sent. */
function unfit({ scheme }: AuthChallenge, { username, password }: Credentials): string | null {
  if (CONTROL.test(username)) return 'the username contains a control character';
  if (CONTROL.test(password)) return 'the password contains a control character';
  if (scheme === 'basic' && username.includes(':')) return 'a username with ":" cannot be sent by Basic authentication';
  return null;
}

/** The protection space that a challenge and the request that met it make known, as paths. */
function pathsOf(challenge: AuthChallenge, request: AuthRequest): string[] {
  if (challenge.isProxy) return ['/'];
  const { pathname } = request.url;
  if (challenge.scheme === 'basic') return [directoryOf(pathname)];
  // RFC 7616 §3.3: the URIs of `domain`, and without it the whole server. Those on other servers would let one server
  // have our answers sent to another.
  const own: string[] = [];
  for (const reference of (challenge.parameters['domain'] ?? '').split(/\s+/).slice(0, PATHS_MAX)) {
    if (reference === '' || !URL.canParse(reference, request.url.href)) continue;
    const url = new URL(reference, request.url);
    if (url.origin === request.url.origin) own.push(url.pathname);
  }
  return own.length > 0 ? own : ['/'];
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1) || '/';
