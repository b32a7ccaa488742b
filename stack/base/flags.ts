/** Whoever keeps booleans so. */
export interface Flagged {
  bits: number;
}

const flag = (bit: number): PropertyDescriptor & ThisType<Flagged> => ({
  get() {
    return (this.bits & bit) !== 0;
  },
  set(on: boolean) {
    this.bits = on ? this.bits | bit : this.bits & ~bit;
  },
  enumerable: true,
  configurable: true,
});

/**
 * Gives a prototype booleans that stand as bits in one integer: a field of its own costs each object eight bytes. All are
 * false in an object whose `bits` is 0. `first` is the position of the first, behind those of a class derived from;
 * returns the next free one, at most 31.
 */
export function defineFlags(prototype: Flagged, names: readonly string[], first = 0): number {
  names.forEach((name, i) => {
    Object.defineProperty(prototype, name, flag(1 << (first + i)));
  });
  return first + names.length;
}
