import type { HandleOwner } from '../net/handle-owner';
import { listHandles } from '../net/live-handles';
import { ownMeans } from '../net/loop';

/**
 * `process.getActiveResourcesInfo()` and `process._getActiveHandles()`, which tools ask what keeps a process: they name our
 * sockets and servers as Node's, and nothing of what ours are made of.
 */

interface Asked {
  _getActiveHandles?: () => unknown[];
  _getActiveRequests?: () => unknown[];
  getActiveResourcesInfo?: () => string[];
}

/** What is no handle comes last. */
const TIMERS = new Set(['Timeout', 'Immediate']);

/** What sockets of ours are made of is left out. */
function ofTheProgram(names: string[]): string[] {
  const left = [...ownMeans.values()];
  return names.filter((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function withOurs(names: string[]): string[] {
  const native = ofTheProgram(names);
  const live = [...listHandles()];
  const requests = live.flatMap((handle) => handle.requests);
  const kinds = live.filter((handle) => handle.hasRef()).map((handle) => handle.kind);
  const first = native.findIndex((name) => TIMERS.has(name));
  const end = first < 0 ? native.length : first;
  return [...requests, ...native.slice(0, end), ...kinds, ...native.slice(end)];
}

/** What a handle waits for. Tools look at the name of its class. */
class Request {
  constructor(readonly handle: object) {}
}

/** Classes of the names that Node gives them here, by those that it lists them under as resources. */
const REQUESTS: Readonly<Record<string, new (handle: object) => Request>> = {
  ConnectWrap: class TCPConnectWrap extends Request {},
  SimpleWriteWrap: class WriteWrap extends Request {},
  SimpleShutdownWrap: class ShutdownWrap extends Request {},
};

/** To be called before the program opens anything. */
export function listOurHandles(): void {
  const asked = process as unknown as Asked;
  const { _getActiveHandles: handles, _getActiveRequests: requests, getActiveResourcesInfo: names } = asked;
  const live = listHandles();
  if (handles !== undefined) {
    asked._getActiveHandles = function _getActiveHandles() {
      const ours = [...live].filter((handle) => handle.hasRef() && handle.owner !== null);
      const native = handles.call(process).filter((one) => !ownMeans.has(one as object));
      return [...native, ...ours.map(({ owner }) => (owner as HandleOwner).standsFor ?? owner)];
    };
  }
  if (requests !== undefined) {
    asked._getActiveRequests = function _getActiveRequests() {
      const native = requests.call(process).filter((one) => !ownMeans.has(one as object));
      const ours = [...live].flatMap((handle) => handle.requests.map((name) => new REQUESTS[name]!(handle)));
      return [...native, ...ours];
    };
  }
  if (names !== undefined) {
    asked.getActiveResourcesInfo = function getActiveResourcesInfo() {
      return withOurs(names.call(process));
    };
  }
}
