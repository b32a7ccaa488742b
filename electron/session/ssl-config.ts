import { DEFAULT_CIPHERS } from 'node:tls';

/** What `setSSLConfig` takes. */
export interface SSLConfig {
  /** Default: Node's, TLS 1.2. The two before are spoken only where OpenSSL's security level lets them be. */
  minVersion?: 'tls1' | 'tls1.1' | 'tls1.2' | 'tls1.3';
  /** Default 'tls1.3'. */
  maxVersion?: 'tls1.2' | 'tls1.3';
  /** Suites by number, 0xc02f say. Those of TLS 1.3 cannot be disabled; unknown ones are passed over. */
  disabledCipherSuites?: number[];
}

const VERSIONS = ['tls1', 'tls1.1', 'tls1.2', 'tls1.3'];
const MAX_VERSIONS = VERSIONS.slice(2);

/** OpenSSL's names of the suites that Node offers, by the numbers of RFC 5246, 5288, 5289 and 7905. */
const SUITES: Readonly<Record<number, string>> = {
  49196: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  49200: 'ECDHE-RSA-AES256-GCM-SHA384',
  159: 'DHE-RSA-AES256-GCM-SHA384',
  52393: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  52392: 'ECDHE-RSA-CHACHA20-POLY1305',
  52394: 'DHE-RSA-CHACHA20-POLY1305',
  49195: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  49199: 'ECDHE-RSA-AES128-GCM-SHA256',
  158: 'DHE-RSA-AES128-GCM-SHA256',
  49188: 'ECDHE-ECDSA-AES256-SHA384',
  49192: 'ECDHE-RSA-AES256-SHA384',
  107: 'DHE-RSA-AES256-SHA256',
  49187: 'ECDHE-ECDSA-AES128-SHA256',
  49191: 'ECDHE-RSA-AES128-SHA256',
  103: 'DHE-RSA-AES128-SHA256',
  49162: 'ECDHE-ECDSA-AES256-SHA',
  49172: 'ECDHE-RSA-AES256-SHA',
  57: 'DHE-RSA-AES256-SHA',
  49161: 'ECDHE-ECDSA-AES128-SHA',
  49171: 'ECDHE-RSA-AES128-SHA',
  51: 'DHE-RSA-AES128-SHA',
  157: 'AES256-GCM-SHA384',
  156: 'AES128-GCM-SHA256',
  61: 'AES256-SHA256',
  60: 'AES128-SHA256',
  53: 'AES256-SHA',
  47: 'AES128-SHA',
};

/**
 * The options of `tls.connect` for a configuration. `ciphers` is the list that suites are taken from.
 * @throws TypeError for what is no version, no number, or a range of nothing
 */
export function tlsOptionsOf(config: SSLConfig, ciphers: string = DEFAULT_CIPHERS): Record<string, unknown> {
  const { minVersion, maxVersion, disabledCipherSuites } = config;
  const options: Record<string, unknown> = {};
  if (minVersion !== undefined) options['minVersion'] = versionOf('minVersion', minVersion, VERSIONS);
  if (maxVersion !== undefined) options['maxVersion'] = versionOf('maxVersion', maxVersion, MAX_VERSIONS);
  if (minVersion === 'tls1.3' && maxVersion === 'tls1.2') {
    throw new TypeError("setSSLConfig: minVersion 'tls1.3' is above maxVersion 'tls1.2'");
  }
  if (disabledCipherSuites === undefined) return options;
  if (!Array.isArray(disabledCipherSuites) || !disabledCipherSuites.every(isSuite)) {
    throw new TypeError('setSSLConfig: disabledCipherSuites is a list of numbers from 0 to 0xffff');
  }
  const names = disabledCipherSuites.map((number) => SUITES[number]).filter((name) => name !== undefined);
  if (names.length > 0) options['ciphers'] = [ciphers, ...names.map((name) => `!${name}`)].join(':');
  return options;
}

const isSuite = (number: unknown): boolean => Number.isInteger(number) && (number as number) >>> 16 === 0;

/** Node's name of it. */
function versionOf(what: string, version: string, known: readonly string[]): string {
  if (!known.includes(version)) {
    throw new TypeError(`setSSLConfig: ${what} '${String(version)}' is none of ${known.join(', ')}`);
  }
  return version === 'tls1' ? 'TLSv1' : version.replace('tls', 'TLSv');
}
