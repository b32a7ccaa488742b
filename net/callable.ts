type Initializer<T, A extends unknown[]> = (self: T, ...args: A) => void;

/** Objects that another class is to make: returns what it made, or null. */
type Elsewhere<A> = (self: unknown, args: A) => object | null;

/** A constructor of Node's older kind: `new` may be left out, and `util.inherits` with `Super.call(this)` works. */
export interface Callable<T, A extends unknown[]> {
  new (...args: A): T;
  (...args: A): T;
  prototype: T;
}

/**
 * Makes a callable constructor of a class that only holds methods: `initialize` does what its constructor would, unless
 * `elsewhere` gives another object. The methods become enumerable, as on Node's own prototypes.
 */
export function callable<T extends object, A extends unknown[]>(
  name: string,
  methods: { prototype: T },
  parent: object,
  initialize: Initializer<T, A>,
  elsewhere?: Elsewhere<A>,
): Callable<T, A> {
  const { prototype } = methods;
  function construct(this: unknown, ...args: A): unknown {
    const other = elsewhere?.(this, args) ?? null;
    if (other !== null) return other;
    if (!(this instanceof (construct as unknown as Callable<T, A>)))
      return new (construct as unknown as Callable<T, A>)(...args);
    initialize(this as T, ...args);
    return undefined;
  }
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key !== 'constructor') Object.defineProperty(prototype, key, { enumerable: true });
  }
  Object.defineProperty(construct, 'name', { value: name });
  // Programs count the arguments that a class takes.
  Object.defineProperty(construct, 'length', { value: initialize.length - 1, configurable: true });
  Object.defineProperty(construct, 'prototype', { value: prototype });
  Object.defineProperty(prototype, 'constructor', {
    value: construct,
    enumerable: false,
    writable: true,
    configurable: true,
  });
  return Object.setPrototypeOf(construct, parent) as Callable<T, A>;
}

/** A subclass that differs in its prototype's `properties` only, callable as well. */
export function derive<T extends object, A extends unknown[]>(
  base: Callable<T, A>,
  properties: Partial<T>,
): Callable<T, A> {
  const prototype = Object.create(base.prototype, Object.getOwnPropertyDescriptors(properties)) as T;
  const initialize: Initializer<T, A> = (self, ...args) => {
    Reflect.apply(base as unknown as (...args: A) => T, self, args);
  };
  for (const key of Object.keys(properties)) Object.defineProperty(prototype, key, { enumerable: false });
  Object.defineProperty(initialize, 'length', { value: base.length + 1 });
  return callable(base.name, { prototype }, base, initialize);
}
