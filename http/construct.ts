/**
 * Classes as Node has them: functions that can also be called without `new` or with another `this` (`util.inherits`,
 * `Class.call(this)`), their methods enumerable on the prototype. A TypeScript class can do none of that.
 */
export type Constructor<T, A extends unknown[]> = {
  new (...args: A): T;
  (...args: A): T;
  prototype: T;
};

/** Makes `Derived` extend `Base`, statics included. */
export function inherit(Derived: unknown, Base: unknown): void {
  Object.setPrototypeOf((Derived as { prototype: object }).prototype, (Base as { prototype: object }).prototype);
  Object.setPrototypeOf(Derived as object, Base as object);
}

/** Puts methods on a prototype. `this` in them is the instance. */
export function methods<T>(prototype: T, table: Partial<T> & ThisType<T>): void {
  Object.assign(prototype as object, table);
}

/** Puts accessors on a prototype, not enumerable. */
export function accessors<T>(prototype: T, table: Record<string, Accessor> & ThisType<T>): void {
  for (const name of Object.keys(table)) {
    Object.defineProperty(prototype, name, { configurable: true, ...table[name] });
  }
}

export interface Accessor {
  // biome-ignore lint/suspicious/noExplicitAny: the type of the property that the interface declares
  get?(): any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  set?(value: any): void;
  enumerable?: boolean;
}

/**
 * `new Bare()` is an object that inherits nothing, so that nobody can slip it options by way of Object's prototype. Made
 * this way it stays as fast as any other, which `{ __proto__: null }` does not.
 */
export const Bare = function Bare(): void {} as unknown as new () => Record<string, unknown>;
Bare.prototype = Object.create(null);
