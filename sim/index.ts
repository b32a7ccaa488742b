/**
 * `tapwire/sim`: worlds of hosts and links in virtual time, in which a whole program, applications included, runs the same
 * way for the same seed.
 */
export { checkStack, leftovers } from './inspect';
export type { Fate, Link, WireObserver } from './link';
export { type DirectionOptions, type LinkOptions, PERFECT } from './link-options';
export type { Place, SimHost, SimHostOptions } from './sim-host';
export { createWorld, type World, type WorldOptions } from './world';
