/**
 * A session of ten requests on kept connections, under random drops, resets, FINs and reordering, seed by seed.
 * `npm run example fault-seeds 2000`; without a number: 200.
 */
import { atMostOnce, bodyIntact, check, fuzz, noLeak } from 'tapwire/fault';

const seeds = Number(process.argv[2] ?? 200);

async function main(): Promise<void> {
  let answered = 0;
  let failed = 0;
  const began = performance.now();
  await fuzz({
    seeds,
    faults: { drop: 0.02, rst: 0.001, fin: 0.001, reorder: 0.05 },
    setup: (wire) => wire.serve((request, response) => response.end(`this is ${request.url}`)),
    run: async (wire) => {
      for (let i = 1; i <= 10; i++) {
        const got = await wire.get(`/${i}`).catch((error: NodeJS.ErrnoException) => error);
        if (got instanceof Error) {
          failed++;
          // A reset in answer to a SYN is a refusal.
          check.toBeNodeError(got, got.syscall === 'connect' ? 'ECONNREFUSED' : 'ECONNRESET');
        } else {
          answered++;
          check.toDeliverBody(got, `this is /${i}`);
        }
      }
    },
    invariant: [noLeak, atMostOnce, bodyIntact],
  });
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage();
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s of CPU)`);
  console.log(`${answered} requests were answered; ${failed} failed, each with a reset; no socket was left`);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
