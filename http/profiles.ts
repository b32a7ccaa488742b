import type { AgentOptions } from './agent';

/** Where Node 20 and the documentation of Node 14 say different things, one of them has to be chosen. */
export interface HttpProfile {
  /** `server.timeout` and the default of `server.setTimeout`, milliseconds. */
  readonly serverTimeout: number;
  /** A head that takes too long is also told by the server's 'timeout' event. */
  readonly headersTimeoutEvent: boolean;
  readonly globalAgent: AgentOptions;
  /** Writing nothing sends the head, and calls back. */
  readonly emptyWrites: boolean;
  /** `get` sends the method that its options name. */
  readonly getHonoursMethod: boolean;
  /** 'abort' comes before the 'close' of a request that had no socket yet. */
  readonly abortBeforeClose: boolean;
}

export const PROFILES = {
  /** What Node 20 does. */
  node20: {
    serverTimeout: 0,
    headersTimeoutEvent: false,
    globalAgent: { keepAlive: true, scheduling: 'lifo', timeout: 5000 },
    emptyWrites: true,
    getHonoursMethod: true,
    abortBeforeClose: false,
  },
  /** What the documentation of Node 14 says. */
  docs14: {
    serverTimeout: 120_000,
    headersTimeoutEvent: true,
    globalAgent: {},
    emptyWrites: false,
    getHonoursMethod: false,
    abortBeforeClose: true,
  },
} as const satisfies Record<string, HttpProfile>;

/** A name of PROFILES. */
export type HttpProfileName = keyof typeof PROFILES;

/** The profile of modules for which none is named: that of the environment variable TAPWIRE_HTTP. @throws RangeError */
export function defaultProfile(): HttpProfileName {
  return checkProfile(process.env['TAPWIRE_HTTP'] || 'node20');
}

/** @throws RangeError for a name that is none */
export function checkProfile(name: string): HttpProfileName {
  if (Object.hasOwn(PROFILES, name)) return name as HttpProfileName;
  throw new RangeError(`unknown HTTP profile '${name}': one of ${Object.keys(PROFILES).join(', ')}`);
}
