/**
 * Electron's `session`: sessions by partition. A name that begins with `persist:` has its cookies in one file, which is
 * written beside and renamed.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ElectronModules, RequestSession, Sessions } from '../session-types';
import { Cookies } from './cookies';
import { SessionCore } from './core';
import type { EmulatedLink } from './emulation';
import { fileNameOf, PartitionFile } from './partition-file';
import { Session, type SessionFetch } from './session';

export { BROWSER_ONLY } from './browser-only';
export type { Certificate, CertificateVerifyProc, CertificateVerifyRequest } from './certificates';
export type { Cookie, CookieDetails, CookieFilter, Cookies, SameSite } from './cookies';
export type { ResolveHostOptions } from './core';
export type { EmulatedLink, LinkConditions, NetworkEmulation } from './emulation';
export type { ProxyConfig } from './proxy-settings';
export { type ClearStorageDataOptions, type PreconnectOptions, Session } from './session';

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
  const fromPartition = (partition: string): Session => {
    if (typeof partition !== 'string') throw new TypeError('`partition` should be a string');
    let session = sessions.get(partition);
    if (session === undefined) {
      const persists = partition.startsWith(PERSIST);
      const name = partition.slice(PERSIST.length);
      if (persists && name === '') throw new TypeError("'persist:' is followed by a name");
      const file = persists ? new PartitionFile(join(storagePath, fileNameOf(name))) : null;
      const core = new SessionCore(modules, new Cookies(file), tls, link);
      session = new Session(core, persists ? storagePath : null, fetch);
      sessions.set(partition, session);
    }
    return session;
  };

  return {
    Session,
    fromPartition,
    get defaultSession() {
      return fromPartition('');
    },
    requestSession: (session: Session): RequestSession => session._core,
  };
}
