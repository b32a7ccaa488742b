import type { TcpProfile } from '../profile';
import { Bbr } from './bbr';
import type { CongestionControl } from './control';
import { Cubic } from './cubic';
import { Reno } from './reno';

/** The controllers by the names that Linux gives them (TCP_CONGESTION). */
const CONTROLLERS: Readonly<Record<string, (profile: TcpProfile) => CongestionControl>> = {
  reno: () => new Reno(),
  cubic: (profile) => new Cubic(profile.slowStartExit),
  bbr: () => new Bbr(),
};

export const controllerNames = (): string[] => Object.keys(CONTROLLERS);

/** A controller for one connection, or null when there is none of that name. */
export function newController(name: string, profile: TcpProfile): CongestionControl | null {
  return Object.hasOwn(CONTROLLERS, name) ? CONTROLLERS[name]!(profile) : null;
}
