/** Gives an object of exports, of whatever module, the values of another: in place, so that every importer sees them. */
export function patch(target: object, values: object): void {
  for (const key of Object.keys(values)) {
    const descriptor = Object.getOwnPropertyDescriptor(values, key)!;
    const before = Object.getOwnPropertyDescriptor(target, key);
    Object.defineProperty(target, key, { ...descriptor, configurable: true, enumerable: before?.enumerable ?? true });
  }
}
