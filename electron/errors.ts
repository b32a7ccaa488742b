/**
 * Failures in the words of Chromium's network stack: `net::ERR_…`. One table says which failure of Node's modules, or of
 * ours, is which of them; `code` is the name without "net::", `cause` the error that it was made from.
 */

/** An error as requests emit it. */
export interface NetError extends Error {
  /** 'ERR_CONNECTION_REFUSED', say; the message is `net::` and this. */
  code: string;
  cause?: unknown;
}

/** When a failure happened; what the same code of Node's means depends on it. */
export type Phase =
  | 'connect' // until the connection, and TLS on it, stands
  | 'request' // the request is under way, nothing of a response has come
  | 'body'; // in the middle of a response's body

/** How a response's body is delimited: what its premature end is called. */
export type BodyFraming = 'length' | 'chunked' | 'close';

type Entry = readonly [name: string, codes: string];

/**
 * Name, then Node's codes. The first entry that has a code wins. Where the phase matters, `PHASES` comes first.
 *
 * Codes of system calls are as in Chromium's own mapping of them; those of TLS are Node's names of OpenSSL's verdicts.
 */
const TABLE: readonly Entry[] = [
  ['ERR_NAME_NOT_RESOLVED', 'ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NONAME EAI_NODATA EAI_MEMORY ENODATA ESERVFAIL'],
  ['ERR_CONNECTION_REFUSED', 'ECONNREFUSED'],
  ['ERR_CONNECTION_RESET', 'ECONNRESET EPIPE'],
  ['ERR_CONNECTION_ABORTED', 'ECONNABORTED'],
  ['ERR_ADDRESS_UNREACHABLE', 'EHOSTUNREACH ENETUNREACH EAFNOSUPPORT'],
  ['ERR_INTERNET_DISCONNECTED', 'ENETDOWN'],
  ['ERR_NETWORK_ACCESS_DENIED', 'EACCES EPERM'],
  ['ERR_ADDRESS_INVALID', 'EADDRNOTAVAIL'],
  ['ERR_ADDRESS_IN_USE', 'EADDRINUSE'],
  ['ERR_TIMED_OUT', 'ETIMEDOUT'],
  ['ERR_INSUFFICIENT_RESOURCES', 'EMFILE ENFILE ENOBUFS'],
  ['ERR_OUT_OF_MEMORY', 'ENOMEM'],
  ['ERR_INVALID_URL', 'ERR_INVALID_URL'],
  ['ERR_ABORTED', 'ABORT_ERR'],
  ['ERR_RESPONSE_HEADERS_TOO_BIG', 'HPE_HEADER_OVERFLOW'],
  ['ERR_RESPONSE_HEADERS_MULTIPLE_CONTENT_LENGTH', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
  ['ERR_INVALID_CHUNKED_ENCODING', 'HPE_INVALID_CHUNK_SIZE HPE_CHUNK_EXTENSIONS_OVERFLOW'],
  [
    'ERR_CERT_AUTHORITY_INVALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_GET_ISSUER_CERT ' +
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_UNTRUSTED CERT_CHAIN_TOO_LONG ' +
      'INVALID_CA PATH_LENGTH_EXCEEDED',
  ],
  ['ERR_CERT_COMMON_NAME_INVALID', 'ERR_TLS_CERT_ALTNAME_INVALID HOSTNAME_MISMATCH'],
  ['ERR_CERT_DATE_INVALID', 'CERT_HAS_EXPIRED CERT_NOT_YET_VALID'],
  ['ERR_CERT_REVOKED', 'CERT_REVOKED'],
  [
    'ERR_CERT_INVALID',
    'CERT_SIGNATURE_FAILURE CERT_REJECTED INVALID_PURPOSE UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY ' +
      'UNABLE_TO_DECRYPT_CERT_SIGNATURE ERROR_IN_CERT_NOT_BEFORE_FIELD ERROR_IN_CERT_NOT_AFTER_FIELD',
  ],
];

const names = new Map<string, string>();
for (const [name, codes] of TABLE) for (const code of codes.split(' ')) names.set(code, name);

/** What our own parts already call by Chromium's names; anything else of this form comes from Node. */
const OWN = new Set([
  'ERR_PROXY_CONNECTION_FAILED',
  'ERR_TUNNEL_CONNECTION_FAILED',
  'ERR_SOCKS_CONNECTION_FAILED',
  'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE',
  'ERR_INTERNET_DISCONNECTED',
  'ERR_CERT_AUTHORITY_INVALID',
  'ERR_CERT_COMMON_NAME_INVALID',
  'ERR_CERT_DATE_INVALID',
  'ERR_CERT_REVOKED',
  'ERR_CERT_INVALID',
  'ERR_PROXY_CERTIFICATE_INVALID',
  'ERR_INVALID_ARGUMENT',
  'ERR_INVALID_AUTH_CREDENTIALS',
  'ERR_NAME_NOT_RESOLVED',
  'ERR_FAILED',
  'ERR_ABORTED',
]);

/** `net::<code>`. */
export function netError(code: string, cause?: unknown): NetError {
  const error = new Error(`net::${code}`, cause === undefined ? undefined : { cause }) as NetError;
  error.code = code;
  return error;
}

/** A failure that has words of its own instead of a number: "Redirect was cancelled". */
export function requestError(message: string, code: string): NetError {
  const error = new Error(message) as NetError;
  error.code = code;
  return error;
}

interface NodeFailure extends Error {
  code?: string;
  syscall?: string;
}

const PREMATURE: Readonly<Record<BodyFraming, string>> = {
  length: 'ERR_CONTENT_LENGTH_MISMATCH',
  chunked: 'ERR_INCOMPLETE_CHUNKED_ENCODING',
  close: 'ERR_CONNECTION_CLOSED',
};

/** The peer ended its side instead of resetting: Node's ECONNRESET without a system call. */
const isQuietEnd = ({ code, syscall }: NodeFailure): boolean => code === 'ECONNRESET' && syscall === undefined;

/** What the phase decides, or undefined. */
function nameByPhase(error: NodeFailure, phase: Phase, framing: BodyFraming): string | undefined {
  const { code = '' } = error;
  if (phase === 'connect') {
    if (code === 'ETIMEDOUT') return 'ERR_CONNECTION_TIMED_OUT';
    if (isQuietEnd(error)) return 'ERR_CONNECTION_CLOSED';
    if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return sslName(error);
  }
  if (phase === 'request' && isQuietEnd(error)) return 'ERR_EMPTY_RESPONSE';
  if (phase === 'body') {
    if (isQuietEnd(error) || code === 'HPE_INVALID_EOF_STATE') return PREMATURE[framing];
    if (code.startsWith('HPE_') && framing === 'chunked') return 'ERR_INVALID_CHUNKED_ENCODING';
    // Node's names for zlib's, brotli's and zstd's.
    if (/^(Z_|ERR__ERROR_|ZSTD_error_)/.test(code)) return 'ERR_CONTENT_DECODING_FAILED';
  }
  return undefined;
}

function sslName({ code = '', message }: NodeFailure): string {
  const text = `${code} ${message}`;
  return /version|unsupported_protocol|no_ciphers|handshake_failure|no_shared_cipher/i.test(text)
    ? 'ERR_SSL_VERSION_OR_CIPHER_MISMATCH'
    : 'ERR_SSL_PROTOCOL_ERROR';
}

/** Chromium's name of a failure: 'ERR_FAILED' for what has none. */
export function netErrorCode(cause: unknown, phase: Phase, framing: BodyFraming = 'close'): string {
  const error = cause as NodeFailure;
  const code = error?.code;
  if (typeof code !== 'string') return 'ERR_FAILED';
  if (OWN.has(code)) return code;
  const special = nameByPhase(error, phase, framing);
  if (special !== undefined) return special;
  const name = names.get(code);
  if (name !== undefined) return name;
  return code.startsWith('HPE_') ? 'ERR_INVALID_HTTP_RESPONSE' : 'ERR_FAILED';
}

/** The error that a request emits for a failure below it. */
export function asNetError(cause: unknown, phase: Phase, framing?: BodyFraming): NetError {
  return netError(netErrorCode(cause, phase, framing), cause);
}
