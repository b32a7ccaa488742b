import { type Action, delay, throttle } from './actions';
import type { Conn } from './conn';
import type { Match } from './match';
import type { FaultDevice } from './ports';
import { Rule } from './rule';

/** Conditions of a link: milliseconds one way, bytes a second (0: as fast as it goes). */
export interface LinkConditions {
  readonly delayMs: number;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
}

/** The wire below a host whose conditions can be changed for some of its flows. */
export interface FaultLink {
  /**
   * From now on the flows that the host opened from ports that `covers` names have these conditions, together. Returns
   * what takes them away.
   */
  impose(conditions: LinkConditions, covers: (localPort: number) => boolean): () => void;
}

/**
 * Conditions for flows of the host on a fault device, by rules: what Electron's `enableNetworkEmulation` needs
 * (`createElectron(host, { link: faultLink(device) })`).
 */
export function faultLink(device: FaultDevice): FaultLink {
  const { engine } = device;
  return {
    impose(conditions, covers) {
      const { delayMs, downloadBytesPerSecond, uploadBytesPerSecond } = conditions;
      const conn: Match['conn'] = (one) => one.opener === 'right' && covers(hostPort(one));
      const rules: Rule[] = [];
      const add = (match: Match, action: Action): void => {
        rules.push(engine.add(new Rule({ ...match, conn }, [action], 'emulated link', Number.POSITIVE_INFINITY)));
      };
      if (delayMs > 0) add({}, delay(delayMs));
      if (uploadBytesPerSecond > 0) add({ dir: 'c2s' }, throttle(uploadBytesPerSecond * 8));
      if (downloadBytesPerSecond > 0) add({ dir: 's2c' }, throttle(downloadBytesPerSecond * 8));
      return () => {
        for (const rule of rules) rule.off();
      };
    },
  };
}

/** A flow's key ends with the port on the host's side of the device. */
const hostPort = (conn: Conn): number => Number(conn.key.slice(conn.key.lastIndexOf(':') + 1));
