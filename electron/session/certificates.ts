import type { PeerCertificate, TLSSocket } from 'node:tls';
import { netErrorCode } from '../errors';
import type { RouteError } from '../session-types';
import { routeError } from './route-error';

/** Whose name a certificate carries. */
export interface CertificatePrincipal {
  commonName: string;
  organizations: string[];
  organizationUnits: string[];
  locality: string;
  state: string;
  country: string;
}

/** A certificate, as Electron shows it. Times in seconds since 1970. */
export interface Certificate {
  /** PEM. */
  data: string;
  issuer: CertificatePrincipal;
  issuerName: string;
  issuerCert: Certificate | null;
  subject: CertificatePrincipal;
  subjectName: string;
  serialNumber: string;
  validStart: number;
  validExpiry: number;
  fingerprint: string;
}

/** What a procedure decides about. */
export interface CertificateVerifyRequest {
  hostname: string;
  certificate: Certificate;
  validatedCertificate: Certificate;
  /** True when Node's own list of authorities vouches for it. */
  isIssuedByKnownRoot: boolean;
  /** 'net::OK', or what Chromium calls the defect: 'net::ERR_CERT_AUTHORITY_INVALID'. */
  verificationResult: string;
  /** The number of that; 0 for none. */
  errorCode: number;
}

/** Calls back with 0 (good), -2 (bad), -3 (as it would be without a procedure), or a certificate error's number. */
export type CertificateVerifyProc = (
  request: CertificateVerifyRequest,
  callback: (verificationResult: number) => void,
) => void;

type CertificateErrorCode = RouteError['code'] & `ERR_CERT_${string}`;

const NUMBERS: Readonly<Record<CertificateErrorCode, number>> = {
  ERR_CERT_COMMON_NAME_INVALID: -200,
  ERR_CERT_DATE_INVALID: -201,
  ERR_CERT_AUTHORITY_INVALID: -202,
  ERR_CERT_REVOKED: -206,
  ERR_CERT_INVALID: -207,
};
const GOOD = 0;
const BAD = -2;
const AS_USUAL = -3;

/** Chromium's numbers: so many verdicts are kept, each for so long, in milliseconds. */
const VERDICTS_MAX = 256;
const VERDICT_MS = 30 * 60_000;

type Verdicts = Map<string, { result: number; until: number }>;

/** A connection that waits for what a procedure says. */
interface Asking {
  readonly socket: TLSSocket;
  readonly hear: (result: number) => void;
}

const isOpen = ({ socket }: Asking): boolean => !socket.destroyed;

/**
 * What a procedure decided, by host, certificates and defect: it is not asked about the same again for a while, and once
 * only for connections that want to know at the same time.
 */
export class CertificateVerdicts {
  private kept: Verdicts = new Map();
  private asking = new Map<string, Asking[]>();

  /** `now` counts milliseconds, from whenever. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** There is another procedure. */
  clear(): void {
    // What the former one is still asked goes into its own lists.
    this.kept = new Map();
    this.asking = new Map();
  }

  /**
   * Has a procedure decide about a secured connection that was made without looking at the certificate's worth. Calls
   * `done` once: with null, or with the error that ends the connection. A procedure that throws has decided: bad, this
   * time.
   */
  decide(proc: CertificateVerifyProc, socket: TLSSocket, hostname: string, done: (error: Error | null) => void): void {
    const defect = defectOf(socket);
    const certificate = shown(socket.getPeerCertificate(true));
    const key = keyOf(hostname, certificate, defect);
    const known = this.kept.get(key);
    if (known !== undefined && known.until > this.now()) {
      done(verdict(known.result, defect));
      return;
    }
    const mine: Asking = { socket, hear: (result) => done(verdict(result, defect)) };
    const asked = this.asking.get(key) ?? [];
    if (asked.some(isOpen)) {
      asked.splice(0, asked.length, ...asked.filter(isOpen), mine);
      return;
    }
    // Nobody waits, or nobody any more: a question that was never answered is asked again.
    const all = [mine];
    this.asking.set(key, all);
    const { kept, asking } = this;
    const callback = (result: number): void => {
      if (all.length === 0) return;
      this.keep(kept, key, Number(result));
      if (asking.get(key) === all) asking.delete(key);
      for (const { hear } of all.splice(0)) hear(result);
    };
    const request: CertificateVerifyRequest = {
      hostname,
      certificate,
      validatedCertificate: certificate,
      isIssuedByKnownRoot: socket.authorized,
      verificationResult: defect === null ? 'net::OK' : `net::${defect}`,
      errorCode: defect === null ? 0 : NUMBERS[defect],
    };
    try {
      proc(request, callback);
    } catch (error) {
      callback(BAD);
      kept.delete(key);
      // It is the application's mistake, and not for the request to hide.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  private keep(kept: Verdicts, key: string, result: number): void {
    kept.delete(key);
    if (kept.size >= VERDICTS_MAX) kept.delete(kept.keys().next().value!);
    kept.set(key, { result, until: this.now() + VERDICT_MS });
  }
}

function keyOf(hostname: string, certificate: Certificate, defect: string | null): string {
  const parts = [hostname.toLowerCase(), defect ?? ''];
  for (let one: Certificate | null = certificate; one !== null; one = one.issuerCert) parts.push(one.fingerprint);
  return parts.join(' ');
}

function defectOf(socket: TLSSocket): CertificateErrorCode | null {
  const reason = socket.authorizationError as unknown as (Error & { code?: string }) | string | null | undefined;
  if (socket.authorized || !reason) return null;
  const code = typeof reason === 'string' ? reason : (reason.code ?? '');
  const name = netErrorCode({ code }, 'connect');
  return name in NUMBERS ? (name as CertificateErrorCode) : 'ERR_CERT_INVALID';
}

function verdict(result: number, defect: CertificateErrorCode | null): Error | null {
  if (result === GOOD) return null;
  if (result === AS_USUAL) return defect === null ? null : refused(defect);
  const named = Object.entries(NUMBERS).find(([, number]) => number === result);
  return refused(named === undefined ? 'ERR_FAILED' : (named[0] as CertificateErrorCode));
}

const refused = (code: RouteError['code']): RouteError => routeError(code, 'the certificate is refused');

const list = (value: unknown): string[] => (value === undefined ? [] : Array.isArray(value) ? value : [String(value)]);

function principal(name: PeerCertificate['subject'] | undefined): CertificatePrincipal {
  const { CN, O, OU, L, ST, C } = (name ?? {}) as unknown as Record<string, unknown>;
  return {
    commonName: list(CN)[0] ?? '',
    organizations: list(O),
    organizationUnits: list(OU),
    locality: list(L)[0] ?? '',
    state: list(ST)[0] ?? '',
    country: list(C)[0] ?? '',
  };
}

/** Chains end where a certificate is its own issuer, or after so many. */
const CHAIN_MAX = 16;

function shown(given: PeerCertificate & { issuerCertificate?: PeerCertificate }, depth = 0): Certificate {
  const { issuerCertificate: issuer } = given;
  const ends = issuer === undefined || issuer === given || depth >= CHAIN_MAX;
  const fingerprint = given.fingerprint256 ?? '';
  return {
    data: pem(given.raw ?? new Uint8Array(0)),
    issuer: principal(given.issuer),
    issuerName: principal(given.issuer).commonName,
    issuerCert: ends ? null : shown(issuer, depth + 1),
    subject: principal(given.subject),
    subjectName: principal(given.subject).commonName,
    serialNumber: given.serialNumber ?? '',
    validStart: Date.parse(given.valid_from) / 1000,
    validExpiry: Date.parse(given.valid_to) / 1000,
    fingerprint: `sha256/${Buffer.from(fingerprint.replace(/:/g, ''), 'hex').toString('base64')}`,
  };
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
