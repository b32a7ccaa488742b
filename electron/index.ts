/**
 * `tapwire/electron`: Electron's `net` and `session` over a stack of ours, on the default host. `createElectron` makes the
 * same for any other host.
 *
 * @example
 * const request = net.request({ method: 'POST', url: 'http://localhost:8080/', partition: 'persist:shop' });
 * request.on('response', (response) => response.pipe(process.stdout));
 * request.end('hello');
 */
import { defaultHost } from '../net/default-host';
import { Host } from '../net/host';
import { modulesOf } from './modules';
import { createElectronNet, type ElectronNet } from './net';
import { createSessions, type ElectronSessions, Session, type SessionFetch, type SessionsOptions } from './session';
import { Cookies } from './session/cookies';
import { SessionCore } from './session/core';
import { PartitionFile } from './session/partition-file';
import type { ElectronModules } from './session-types';

export type { ClientRequest } from './client-request';
export type { NetError } from './errors';
export type { FetchInit, FetchInput } from './fetch';
export type { IncomingMessage } from './incoming-message';
export type { ElectronNet } from './net';
export type { CacheMode, ClientRequestOptions, CredentialsMode, RedirectMode } from './options';
export type { Priority } from './priority';
export type { UploadProgress } from './progress';
export type { ReferrerPolicy } from './referrer';
export type {
  Certificate,
  CertificateVerifyProc,
  ClearDataOptions,
  Cookie,
  CookieDetails,
  CookieFilter,
  CookiesEvents,
  EmulatedLink,
  NetworkEmulation,
  ProxyConfig,
  SessionsOptions,
  SSLConfig,
} from './session';
export { Session } from './session';
export type { ElectronModules, ResolvedEndpoint } from './session-types';
export type { AuthInfo, LoginCallback } from './transaction';
export type {
  WebRequest,
  WebRequestAnswers,
  WebRequestDetails,
  WebRequestEvents,
  WebRequestFilter,
} from './web-request';

/** Electron's network modules, on one stack. */
export interface Electron {
  readonly net: ElectronNet;
  readonly session: ElectronSessions;
  /**
   * A session whose cookies are in a file of this name, which need not exist yet. With `sessionCookies` it keeps those,
   * too, that would end with the session.
   * @throws Error code ERR_PARTITION_CORRUPT for a file that is something else
   */
  sessionFromFile(path: string, keep?: { sessionCookies?: boolean }): Session;
}

/**
 * Electron's `net` and `session` on a host, or on any modules that are shaped like Node's.
 * `options.storagePath` is where sessions keep the files of `persist:` partitions.
 */
export function createElectron(on: Host | ElectronModules, options: SessionsOptions = {}): Electron {
  const modules = on instanceof Host ? modulesOf(on) : on;
  return make(modules, options, () => !(on instanceof Host && on.isClosed));
}

function make(modules: ElectronModules, options: SessionsOptions, started: () => boolean): Electron {
  const fetch: SessionFetch = (own, input, init) => electron.net.fetch(input, { ...init, session: own });
  const sessions = createSessions(modules, { fetch, ...options });
  const electron: Electron = {
    net: createElectronNet(modules, sessions, started),
    session: sessions,
    sessionFromFile: (path, { sessionCookies = false } = {}) => {
      const { tls = {}, link = null } = options;
      return new Session(
        new SessionCore(modules, new Cookies(new PartitionFile(path), sessionCookies), tls, link),
        null,
        fetch,
      );
    },
  };
  return electron;
}

const standard = make(modulesOf(null), {}, () => !defaultHost().isClosed);

/** `net` on the default host. */
export const net = standard.net;
/** `session` on the default host. */
export const session = standard.session;
