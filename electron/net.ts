import { ClientRequest } from './client-request';
import { createFetch, type Fetch } from './fetch';
import type { IncomingMessage } from './incoming-message';
import { type ClientRequestOptions, readOptions } from './options';
import type { ElectronModules, ResolvedEndpoint, Sessions } from './session-types';

/** Electron's module `net`. */
export interface ElectronNet {
  /**
   * Makes a request; nothing is sent before its first write or its end.
   * @param listener hears of the response
   * @throws TypeError, Error for what cannot be a request; Error when the stack is not started
   */
  request(input: string | URL | ClientRequestOptions, listener?: (response: IncomingMessage) => void): ClientRequest;
  /** The same request as `fetch` makes it: resolves with the response's head, rejects with a `NetError`. */
  fetch: Fetch;
  /** True while something beyond this machine could be reached. */
  isOnline(): boolean;
  readonly online: boolean;
  /** The addresses of a name; rejects with net::ERR_NAME_NOT_RESOLVED. */
  resolveHost(host: string, options?: object): Promise<{ endpoints: ResolvedEndpoint[] }>;
}

/** The module `net` on other modules. @param started false: there is no stack to send anything on */
export function createElectronNet<S extends object>(
  modules: ElectronModules,
  sessions: Sessions<S>,
  started: () => boolean,
): ElectronNet {
  const request: ElectronNet['request'] = (input, listener) => {
    if (!started()) throw new Error('net module can only be used while the stack is started: this host is closed');
    return new ClientRequest(modules, readOptions(input, sessions), listener);
  };
  return {
    request,
    fetch: createFetch(request),
    isOnline: () => modules.online(),
    get online() {
      return modules.online();
    },
    resolveHost: (host, options) => sessions.requestSession(sessions.defaultSession).resolveHost(host, options),
  };
}
