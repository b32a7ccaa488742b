/* What the tests of device.test.ts do inside a namespace: each function is one scenario, its result is checked there. */
export * from './life';
export * from './packet';
export * from './raw';
export * from './tun';
export * from './tuntap2';
export * from './unprivileged';
