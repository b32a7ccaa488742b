import { type Bytes, type Millis, NEVER } from '../stack/base/bytes';
import type { Stack } from '../stack/stack';
import { LINUX, RFC, type TcpProfile } from '../stack/tcp/profile';
import { arrange, type Watcher } from './faults';
import { Flow } from './flow';
import { checkStack, leftovers } from './inspect';
import type { Fate, Link, WireObserver } from './link';
import type { FaultPlan, FlowPlan, HostPlan, ScenarioPlan } from './plan';
import type { SimDevice } from './sim-device';
import type { SimHost } from './sim-host';
import { toToken } from './token';
import { createWorld, type World } from './world';

/** How a run went. */
export interface Outcome {
  /** Null: as it should. */
  readonly failure: string | null;
  /** Where it was noticed, when an error was thrown. */
  readonly stack: string | null;
  /** Equal for equal runs. */
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly frames: number;
  readonly bytes: number;
  readonly connections: number;
}

export interface RunOptions {
  /** Told of every frame. */
  readonly wire?: WireObserver;
  /** Called with the world before anything happens in it, for captures. */
  readonly begins?: (world: World, hosts: readonly SimHost[]) => void;
  /** Checks after every event. Default: all of them. */
  readonly check?: (stack: Stack) => void;
  /** A run of more events is one that never ends. Default 3 million. */
  readonly eventsMax?: number;
}

const addressOfHost = (family: 4 | 6, i: number): string => (family === 4 ? `10.0.0.${i + 1}` : `fd00::${i + 1}`);

/** Runs a plan to its end in a world of its own. Never throws: what goes wrong is in the outcome. */
export function runScenario(plan: ScenarioPlan, options: RunOptions = {}): Outcome {
  let frames = 0;
  const watchers: Watcher[] = [];
  const world = createWorld({
    seed: plan.seed,
    ticks: false,
    check: options.check ?? checkStack,
    eventsMax: options.eventsMax ?? 3_000_000,
    wire: (link: Link, from: SimDevice, fate: Fate, frame: Bytes) => {
      if (fate === 'sent') frames++;
      options.wire?.(link, from, fate, frame);
      for (const watcher of watchers) watcher.watch(link, from, fate, frame);
    },
  });
  const link = world.link(plan.link);
  const hosts = plan.hosts.map((host, i) =>
    world.host(`host-${i}`, {
      link,
      address: `${addressOfHost(plan.family, i)}/${plan.family === 4 ? 24 : 64}`,
      profile: profileOf(host),
      limits: { slabsMax: host.slabsMax, sendBytesMax: host.sendBytesMax },
      initialSequence: host.initialSequence ?? undefined,
    }),
  );
  const addresses = hosts.map((_, i) => addressOfHost(plan.family, i));
  const flows = plan.flows.map(
    (flow) => new Flow(world, hosts[flow.from]!, hosts[flow.to]!, addresses[flow.to]!, addresses[flow.from]!, flow),
  );
  for (const fault of plan.faults) {
    const watcher = arrange(world, hosts, fault);
    if (watcher !== null) watchers.push(watcher);
  }
  let failure: string | null = null;
  let stack: string | null = null;
  try {
    options.begins?.(world, hosts);
    for (const flow of flows) flow.start();
    failure = judge(world, hosts, flows, plan);
  } catch (error) {
    failure = `${(error as Error).name}: ${(error as Error).message}`;
    stack = (error as Error).stack ?? null;
  }
  const pairs = flows.flatMap((flow) => flow.pairs);
  const outcome: Outcome = {
    failure,
    stack,
    hash: world.hash(),
    virtualMs: world.now,
    events: world.scheduler.count,
    frames,
    bytes: pairs.reduce((sum, { client, server }) => sum + client.received + (server?.received ?? 0), 0),
    connections: pairs.length,
  };
  world.close();
  return outcome;
}

function judge(world: World, hosts: readonly SimHost[], flows: readonly Flow[], plan: ScenarioPlan): string | null {
  const finished = world.runSync(() => world.now > plan.limitMs || flows.every((flow) => flow.isOver));
  const lossless = isLossless(plan);
  const honest = !plan.faults.some(
    (fault) => fault.kind === 'forge' && fault.what === 'fin' && fault.where !== 'outside',
  );
  for (const flow of flows) {
    const wrong = flow.verdict(lossless, honest);
    if (wrong !== null) return wrong;
  }
  if (!finished) return `nothing is left to happen at ${world.now} ms, but the flows are not over`;
  for (const flow of flows) flow.stop();
  // TIME-WAITs and what else is only waiting must end by itself.
  if (!world.runSync(() => hosts.every((host) => isEmpty(host)) || world.now > plan.limitMs + 3_600_000)) {
    if (!hosts.every((host) => isEmpty(host))) return `${leftovers(hosts)} with nothing left to happen`;
  }
  const left = leftovers(hosts);
  return left === '' ? null : `left behind: ${left}`;
}

const isEmpty = ({ stack }: SimHost): boolean =>
  stack.tcp.connections.size === 0 &&
  stack.tcp.timeWaits.size === 0 &&
  !stack.wantsPoll &&
  stack.interfaces.every((iface) => iface.tx.frames === 0);

/** The profile, changed as the plan says. FIN-WAIT-2 must end by itself for the world to become empty. */
function profileOf(host: HostPlan): TcpProfile {
  const base = host.profile === 'rfc' ? RFC : LINUX;
  return { ...base, finWait2Ms: Math.min(base.finWait2Ms, 240_000), ...host.constants };
}

/** Whether TCP must make everything good that happens in a run. */
export function isLossless(plan: ScenarioPlan): boolean {
  const { link } = plan;
  const damage = (link.lossPpm ?? 0) + (link.corruptPpm ?? 0) + (link.truncatePpm ?? 0);
  // A link address that nobody tells for three seconds makes the host unreachable, as in Linux.
  const patienceMs = link.linkType === 'ethernet' ? 2000 : 10_000;
  if (damage > 20_000 || !plan.flows.every((flow) => isOrderly(flow))) return false;
  return plan.faults.every((fault) => isHarmless(fault, patienceMs));
}

function isHarmless(fault: FaultPlan, patienceMs: Millis): boolean {
  switch (fault.kind) {
    case 'partition':
    case 'weather':
    case 'stall':
      return fault.forMs <= patienceMs;
    case 'zero-window':
      return fault.forMs <= 10_000;
    case 'clock-jump':
      return false;
    case 'mtu':
      return false;
    case 'overlap':
      return true;
    case 'forge':
      // A RST or SYN that is challenged, and whatever is outside the window, must be survived.
      return fault.where === 'outside' || (fault.where === 'inside' && (fault.what === 'rst' || fault.what === 'syn'));
  }
}

/** Both ends wait for what the other will do, in time. */
function isOrderly(flow: FlowPlan): boolean {
  return flow.backlog >= flow.count;
}

/** A failing run with everything taken away that it fails without. */
export function shrink(plan: ScenarioPlan, tries = 60, options: RunOptions = {}): ScenarioPlan {
  let best = plan;
  let left = tries;
  const attempt = (smaller: ScenarioPlan): boolean => {
    if (left-- <= 0 || runScenario(smaller, options).failure === null) return false;
    best = smaller;
    return true;
  };
  for (let i = best.flows.length - 1; i >= 0 && best.flows.length > 1; i--) {
    attempt({ ...best, flows: best.flows.filter((_, k) => k !== i) });
  }
  for (let i = best.faults.length - 1; i >= 0; i--) {
    attempt({ ...best, faults: best.faults.filter((_, k) => k !== i) });
  }
  for (const key of [
    'ghostPpm',
    'truncatePpm',
    'corruptPpm',
    'duplicatePpm',
    'reorderPpm',
    'lossPpm',
    'refusePpm',
    'jitterMs',
  ] as const) {
    if ((best.link[key] ?? 0) > 0) attempt({ ...best, link: { ...best.link, [key]: 0 } });
  }
  for (const key of ['client', 'server'] as const) {
    attempt({ ...best, flows: best.flows.map((flow) => ({ ...flow, [key]: halved(flow[key], flow.rounds) })) });
  }
  for (let count = best.flows[0]!.count >> 1; count >= 1; count >>= 1) {
    attempt({ ...best, flows: best.flows.map((flow) => ({ ...flow, count: Math.min(flow.count, count) })) });
  }
  return best;
}

const halved = <T extends { bytes: number }>(side: T, rounds: number): T =>
  rounds > 0 ? side : { ...side, bytes: side.bytes >> 1 };

/** What to tell of a failed run. */
export function failureText(plan: ScenarioPlan, outcome: Outcome): string {
  const at = outcome.virtualMs === NEVER ? '' : ` at ${outcome.virtualMs.toFixed(3)} ms`;
  const where = outcome.stack === null ? '' : `\n${outcome.stack.split('\n').slice(1, 9).join('\n')}`;
  return `seed ${plan.seed}${at}: ${outcome.failure}${where}\nreplay: npm run sim -- --replay ${toToken(plan)}`;
}
