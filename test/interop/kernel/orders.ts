import nodeHttp from 'node:http';
import nodeNet from 'node:net';
import { createHttp, type NetModule } from '../../../http';
import { Play, type Side, type Told } from '../orders/play';
import { SCENARIOS, type Scenario } from '../orders/scenarios';
import { Lab } from './lab';

/** Both play so often at most, until they agree: on a busy machine a turn of the loop may come between any two things. */
const PLAYS = 4;

async function play(scenario: Scenario, subject: Side, peer: Side): Promise<Told> {
  const run = new Play(subject, peer);
  await scenario(run);
  return run.finish();
}

/**
 * Each scenario by Node's own modules over the kernel, and by ours over TUN, with the kernel as peer both times: the last logs
 * of both, by title.
 */
export async function eventOrders(): Promise<Record<string, { node: Told; ours: Told }>> {
  const lab = new Lab();
  const kernel: Side = { net: nodeNet, http: nodeHttp, address: lab.kernel };
  const stack = {
    net: lab.net,
    http: createHttp(lab.net as unknown as NetModule),
    address: lab.stack,
  } as unknown as Side;
  const told: Record<string, { node: Told; ours: Told }> = {};
  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    for (let left = PLAYS; left > 0; left--) {
      const node = await play(scenario, kernel, kernel);
      const ours = await play(scenario, stack, kernel);
      told[title] = { node, ours };
      if (JSON.stringify(node) === JSON.stringify(ours)) break;
    }
  }
  lab.close();
  return told;
}
