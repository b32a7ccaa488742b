/**
 * Electron's `session`: sessions by partition. A name that begins with `persist:` has its cookies in one file, which is
 * written beside and renamed.
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { ElectronModules, RequestSession, Sessions } from '../session-types';
import { Cookies } from './cookies';
import { SessionCore } from './core';
import type { EmulatedLink } from './emulation';
import { fileNameOf, PartitionFile } from './partition-file';
import { Session, type SessionFetch } from './session';

export { BROWSER_ONLY, BROWSER_PROPERTIES } from './browser-only';
export type { Certificate, CertificateVerifyProc, CertificateVerifyRequest } from './certificates';
export type { ClearDataOptions } from './clear-data';
export type { Cookie, CookieDetails, CookieFilter, Cookies, CookiesEvents, SameSite } from './cookies';
export type { ResolveHostOptions } from './core';
export type { EmulatedLink, LinkConditions, NetworkEmulation } from './emulation';
export type { ProxyConfig } from './proxy-settings';
export { type ClearStorageDataOptions, type PreconnectOptions, Session, type SessionFetch } from './session';
export type { SSLConfig } from './ssl-config';

/** What sessions may be told. */
export interface SessionsOptions {
  /** The folder of persistent partitions. Default: `tapwire/partitions` in the user's data folder. */
  readonly storagePath?: string;
  /** Options of every TLS connection of every session: `ca`, `minVersion`. */
  readonly tls?: Readonly<Record<string, unknown>>;
  /** The wire below the host, when its conditions can be changed: for `enableNetworkEmulation`. */
  readonly link?: EmulatedLink | null;
  /** What `session.fetch` does. */
  readonly fetch?: SessionFetch;
}

/** Sessions over one set of modules. */
export interface ElectronSessions extends Sessions<Session> {
  readonly Session: typeof Session;
  readonly defaultSession: Session;
  fromPartition(partition: string, options?: { cache?: boolean }): Session;
  /**
   * A persistent session with a file of its own; the same for the same path. Electron's `path` is a folder, ours the file.
   * @throws Error for a path that is not absolute; what `fromPartition` throws
   */
  fromPath(path: string, options?: { cache?: boolean }): Session;
}

const PERSIST = 'persist:';

function defaultStoragePath(): string {
  return join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'tapwire', 'partitions');
}

/** Makes the sessions of one host. Nothing is read or opened before somebody asks for a session. */
export function createSessions(modules: ElectronModules, options: SessionsOptions = {}): ElectronSessions {
  const { storagePath = defaultStoragePath(), tls = {}, link = null, fetch = null } = options;
  const sessions = new Map<string, Session>();

  /** @throws Error code ERR_PARTITION_CORRUPT for a file that is none; the file system's errors */
  const open = (key: string, path: string | null): Session => {
    let session = sessions.get(key);
    if (session === undefined) {
      const cookies = new Cookies(path === null ? null : new PartitionFile(path));
      session = new Session(new SessionCore(modules, cookies, tls, link), path, fetch);
      sessions.set(key, session);
    }
    return session;
  };
  const fromPartition = (partition: string): Session => {
    if (typeof partition !== 'string') throw new TypeError('`partition` should be a string');
    if (!partition.startsWith(PERSIST)) return open(partition, null);
    const name = partition.slice(PERSIST.length);
    if (name === '') throw new TypeError("'persist:' is followed by a name");
    return open(partition, join(storagePath, fileNameOf(name)));
  };
  const fromPath = (path: string): Session => {
    if (typeof path !== 'string' || !isAbsolute(path)) throw new Error('An absolute path was not provided');
    return open(`path:${path}`, path);
  };

  return {
    Session,
    fromPartition,
    fromPath,
    get defaultSession() {
      return fromPartition('');
    },
    requestSession: (session: Session): RequestSession => session._core,
  };
}
