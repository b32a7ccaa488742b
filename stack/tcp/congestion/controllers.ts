import type { TcpProfile } from '../profile';
import { Bbr } from './bbr';
import type { CongestionControl } from './control';
import { Cubic } from './cubic';
import { Hybla } from './hybla';
import { HyStart, HyStartPlusPlus, NoHyStart } from './hystart';
import { Reno } from './reno';

/** These remember nothing themselves: one for all connections. */
const LINUX_CUBIC = new Cubic(new HyStart());
const PLAIN_CUBIC = new Cubic(new NoHyStart());
const RENO = new Reno();

function cubic({ slowStartExit }: TcpProfile): Cubic {
  if (slowStartExit === 'rfc9406') return new Cubic(new HyStartPlusPlus());
  return slowStartExit === 'linux' ? LINUX_CUBIC : PLAIN_CUBIC;
}

/** The controllers by the names that Linux gives them (TCP_CONGESTION). */
const CONTROLLERS: Readonly<Record<string, (profile: TcpProfile) => CongestionControl>> = {
  reno: () => RENO,
  cubic,
  bbr: () => new Bbr(),
  hybla: ({ hyblaRttMs }) => new Hybla(hyblaRttMs),
};

export const controllerNames = (): string[] => Object.keys(CONTROLLERS);

/** A controller for one connection, or null when there is none of that name. */
export function newController(name: string, profile: TcpProfile): CongestionControl | null {
  const { controllers } = profile;
  if (controllers !== undefined && Object.hasOwn(controllers, name)) return controllers[name]!(profile);
  return Object.hasOwn(CONTROLLERS, name) ? CONTROLLERS[name]!(profile) : null;
}
