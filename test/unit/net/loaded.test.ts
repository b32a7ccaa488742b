import { createHook } from 'node:async_hooks';

/** Kinds of handles that are made meanwhile. */
function madeBy(task: () => void): string[] {
  const made: string[] = [];
  const hook = createHook({ init: (_, type) => void made.push(type) }).enable();
  task();
  hook.disable();
  return made.filter((type) => /PORT|WORKER|Timeout/i.test(type));
}

test('what is only loaded makes no handle: they would keep all that was loaded with it, in a runner of many tests for good', () => {
  jest.isolateModules(() => {
    expect(madeBy(() => require('../../../net'))).toEqual([]);
    const { nodeLoop, makeReady } = require('../../../net/loop') as typeof import('../../../net/loop');
    // Two channels, once; and not in the middle of a program that asked for it before.
    expect(madeBy(makeReady)).toHaveLength(4);
    expect(madeBy(makeReady)).toEqual([]);
    expect(madeBy(() => nodeLoop.poll?.(() => {}, false))).toEqual([]);
  });
});
