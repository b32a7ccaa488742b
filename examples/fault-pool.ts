/**
 * A pool that loses requests, from the first suspicion to the proof that it no longer does. `npm run example fault-pool`
 *
 * The bug is public: Node's own documentation of `request.reusedSocket` says to retry when it is true and the error is
 * ECONNRESET. A request that waits in the queue of an agent with `maxSockets` gets its connection straight from the one
 * before, which the server may be closing; it dies with "socket hang up", and reusedSocket is false (nodejs/node#47130). In
 * production that happens once in a million requests. Here exploration finds where, in virtual time; the failure is shrunk
 * to one fault at one segment; and the fix is seen to hold wherever the server may close.
 */
import type http from 'node:http';
import { type ExploreOptions, explore, type Plan, type Reply, replay, type Wire, type WireTest } from 'tapwire/fault';

/** One request to whatever the pool gives. */
type Send = (path: string) => Promise<Reply>;

/** The recipe of the documentation. */
function naivePool(wire: Wire): Send {
  const agent = wire.agent({ keepAlive: true, maxSockets: 1 });
  return async (path) => {
    try {
      return await wire.get(path, { agent });
    } catch (error) {
      const { code, reusedSocket } = error as NodeJS.ErrnoException & { reusedSocket?: boolean };
      if (code !== 'ECONNRESET' || reusedSocket !== true) throw error;
      return wire.get(path, { agent });
    }
  };
}

/** The fix: a GET whose connection ended before a byte of response came is asked once more, on a connection of its own. */
function carefulPool(wire: Wire): Send {
  const agent = wire.agent({ keepAlive: true, maxSockets: 1 });
  return async (path) => {
    try {
      return await wire.get(path, { agent });
    } catch (error) {
      const { code, reply } = error as NodeJS.ErrnoException & { reply?: Partial<Reply> };
      // Not `reusedSocket`: a request from the agent's queue has a used connection and says false.
      if (code !== 'ECONNRESET' || reply?.status !== undefined) throw error;
      return wire.get(path, { agent: false });
    }
  };
}

/** What must hold: a server that works answers everybody. Two requests at once, a pause, and a third. */
const suite =
  (pool: (wire: Wire) => Send): WireTest =>
  async (wire) => {
    const answer: http.RequestListener = (request, response) => response.end(`this is ${request.url}`);
    await wire.serve(answer, { keepAliveTimeout: 60_000 });
    const send = pool(wire);
    const check = ({ path, body }: Reply): void => {
      if (body.toString() !== `this is ${path}`) throw new Error(`${path} got "${body.toString()}"`);
    };
    for (const reply of await Promise.all([send('/1'), send('/2')])) check(reply);
    await wire.clock.advance(5000);
    check(await send('/3'));
  };

/** The server closes behind a response: behind any one, and any two; in the same wake-up or in the next. */
const closes: ExploreOptions = {
  where: { dir: 's2c', len: [1, 65_535] },
  faults: ['fin', 'fin-together'],
  budget: 100,
  // All pairs, and nothing at random behind them.
  atOnce: 2,
};

async function main(): Promise<void> {
  console.log('1. the recipe, with a close of the server behind every response:');
  const found = await explore(suite(naivePool), closes).then(
    () => null,
    (error: Error & { token: string; plan: Plan }) => error,
  );
  if (found === null) throw new Error('exploration should have found the bug');
  const [what = ''] = found.message.split('\n');
  const [fault] = found.plan.placements;
  console.log(`   ${what}\n   shrunk to: ${fault?.fault} behind response ${fault?.segment}\n   ${found.token}\n`);

  console.log('2. the same run again, from its token:');
  const again = await replay(found.token, suite(naivePool)).catch((error: Error) => error);
  if (!(again instanceof Error)) throw new Error('the replay should have failed');
  console.log(again.message.slice(again.message.indexOf('              client')));

  console.log('3. the careful pool, with a close behind every response, and behind every two:');
  const { runs, segments } = await explore(suite(carefulPool), closes);
  console.log(`   all ${runs} runs passed (${segments} responses)`);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
