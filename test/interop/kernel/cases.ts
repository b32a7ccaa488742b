/* What the tests of kernel.test.ts do, each in a network namespace of its own. */
export * from './attacks';
export * from './captures';
export * from './closing';
export * from './datagrams';
export * from './orders';
export * from './routers';
export * from './transfers';
export * from './uploads';
