import { Random } from '../stack/base/random';
import type { TcpProfile } from '../stack/tcp/profile';
import type { LinkOptions } from './link-options';
import type { FaultPlan, FlowPlan, HostPlan, ScenarioPlan, SidePlan } from './plan';

/** A number from a range, small ones more often. */
function skewed(random: Random, low: number, high: number): number {
  const x = random.fraction();
  return Math.floor(low + (high - low) * x * x * x);
}

const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)]!;
const often = (random: Random, percent: number): boolean => random.chance(percent * 10_000);

/** Turns a seed into a run: what the links are like, who talks to whom, and what goes wrong. */
export function generate(seed: number): ScenarioPlan {
  const random = new Random(seed ^ 0x51b0_7e57);
  // What was thought of later has numbers of its own, so that old seeds stay what they were.
  const later = new Random(seed ^ 0x6d74_7500);
  const latest = new Random(seed ^ 0x6f76_6c75);
  const changes: Partial<TcpProfile> = often(later, 25) ? { mtuProbing: pick(later, ['black-hole', 'always']) } : {};
  const flows = flowsOf(random);
  const family = often(random, 70) ? 4 : 6;
  const hosts = [hostOf(random, changes), hostOf(random, changes)] as const;
  const link = linkOf(random);
  return {
    seed,
    family,
    hosts,
    // Links that take less are none of IPv6's (RFC 8200 §5): a SYN would not fit one packet.
    link: family === 6 ? { ...link, deviceMtu: Math.max(link.deviceMtu ?? 1500, 1280) } : link,
    flows,
    faults: [
      ...(often(random, 60) ? credible(faultsOf(random), hosts, flows) : []),
      ...(often(latest, 20) ? [overlapOf(latest)] : []),
    ],
    limitMs: 4 * 3_600_000,
  };
}

function hostOf(random: Random, changes: Partial<TcpProfile>): HostPlan {
  return {
    profile: often(random, 80) ? 'linux' : 'rfc',
    constants: { ...constantsOf(random), ...changes },
    slabsMax: often(random, 15) ? 2 + random.below(3) : 64,
    sendBytesMax: often(random, 10) ? 70_000 + random.below(400_000) : 256 << 20,
    initialSequence: often(random, 50) ? pick(random, [0x7fff_ffff, 0xffff_ffff]) - random.below(100_000) : null,
  };
}

function constantsOf(random: Random): Partial<TcpProfile> {
  const changed: { -readonly [K in keyof TcpProfile]?: TcpProfile[K] } = {
    timestamps: often(random, 75),
    sack: often(random, 80),
    windowScale: often(random, 80) ? pick(random, [0, 1, 7, 8, 14]) : -1,
  };
  if (often(random, 50)) changed.congestion = pick(random, ['reno', 'cubic', 'bbr', 'hybla']);
  if (often(random, 20)) changed.ecn = pick(random, ['off', 'accept', 'request']);
  if (often(random, 20)) changed.rack = false;
  if (often(random, 20)) changed.tailLossProbe = false;
  if (often(random, 20)) changed.frto = false;
  if (often(random, 20)) changed.dsack = false;
  if (often(random, 20)) changed.nagle = pick(random, ['minshall', 'rfc']);
  if (often(random, 20)) changed.quickAcks = 0;
  if (often(random, 20)) changed.slowStartAfterIdle = true;
  if (often(random, 20)) changed.protectTimeWait = true;
  if (often(random, 20)) changed.sendBufferInitial = changed.sendBufferMax = 4096 + random.below(20_000);
  if (often(random, 20)) changed.receiveBufferInitial = changed.receiveBufferMax = 4096 + random.below(20_000);
  return changed;
}

function linkOf(random: Random): LinkOptions {
  const bad = often(random, 60);
  const rate = often(random, 50) ? pick(random, [256_000, 2_000_000, 20_000_000, 1_000_000_000]) : 0;
  const delayMs = pick(random, [0, 0.05, 1, 10, 50, 300]);
  return {
    linkType: often(random, 50) ? 'ip' : 'ethernet',
    deviceMtu: pick(random, [1500, 1500, 1500, 576, 9000, 68 + random.below(2000)]),
    offload: often(random, 30),
    delayMs,
    jitterMs: often(random, 40) ? random.fraction() * (delayMs + 1) : 0,
    rate,
    queuePackets: pick(random, [5, 20, 100, 1000]),
    whenFull: often(random, 50) ? 'drop' : 'push-back',
    lossPpm: bad ? skewed(random, 0, 100_000) : 0,
    duplicatePpm: bad && often(random, 50) ? skewed(random, 0, 100_000) : 0,
    reorderPpm: bad && often(random, 50) ? skewed(random, 0, 300_000) : 0,
    reorderMs: random.fraction() * (delayMs + 5),
    corruptPpm: bad && often(random, 40) ? skewed(random, 0, 50_000) : 0,
    truncatePpm: bad && often(random, 20) ? skewed(random, 0, 10_000) : 0,
    ghostPpm: bad && often(random, 30) ? skewed(random, 0, 20_000) : 0,
    ghostMs: 20_000,
    refusePpm: often(random, 10) ? skewed(random, 0, 50_000) : 0,
  };
}

function sideOf(random: Random, bytes: number, end: SidePlan['end']): SidePlan {
  const slow = often(random, 30);
  return {
    bytes,
    chunk: pick(random, [1, 100, 1460, 16_384, 65_536, 200_000]),
    writeGapMs: slow ? random.fraction() * 50 : 0,
    readMax: often(random, 60) ? 1 << 30 : 1 + random.below(20_000),
    readGapMs: slow ? random.fraction() * 100 : 0,
    end,
    abortAfter: 0,
    noDelay: often(random, 50),
  };
}

const ENDS: readonly (readonly [SidePlan['end'], SidePlan['end']])[] = [
  ['shutdown', 'shutdown'],
  ['shutdown', 'wait'],
  ['wait', 'shutdown'],
  ['close', 'wait'],
  ['wait', 'close'],
  ['close', 'close'],
  ['shutdown', 'close'],
  ['close', 'shutdown'],
  ['abort', 'wait'],
  ['wait', 'abort'],
];

function flowsOf(random: Random): FlowPlan[] {
  const count = 1 + skewed(random, 0, 4);
  return Array.from({ length: count }, (_, i) => flowOf(random, 1000 + i * 100));
}

function flowOf(random: Random, port: number): FlowPlan {
  const kind = random.below(100);
  const [clientEnd, serverEnd] = pick(random, ENDS);
  const rounds = kind < 25 ? 1 + skewed(random, 0, 40) : 0;
  const many = kind >= 25 && kind < 40;
  const most = many ? 3000 : 300_000;
  const size = (): number => (rounds > 0 ? (1 + skewed(random, 0, 4000)) * rounds : skewed(random, 0, most));
  const client = finish(random, sideOf(random, size(), clientEnd));
  const server = finish(random, sideOf(random, size(), serverEnd));
  const from = random.below(2);
  return {
    from,
    to: 1 - from,
    port,
    atMs: random.fraction() * 2000,
    count: many ? 2 + random.below(20) : 1,
    everyMs: many ? random.fraction() * 200 : 0,
    rounds,
    open: kind < 88 ? 'listener' : kind < 96 ? 'simultaneous' : 'nobody',
    backlog: often(random, 20) ? 1 + random.below(3) : 128,
    client: tame(client),
    server: tame(server),
  };
}

/** When an end that resets does so. */
function finish(random: Random, side: SidePlan): SidePlan {
  return side.end === 'abort' ? { ...side, abortAfter: random.below(side.bytes + 1) } : side;
}

/** Single bytes, or long pauses, for long transfers would only take time. */
function tame(side: SidePlan): SidePlan {
  const chunk = Math.min(Math.max(side.chunk, Math.ceil(side.bytes / 2000)), side.bytes + 1);
  const readMax = Math.max(side.readMax, Math.ceil(side.bytes / 500));
  const writes = side.bytes / chunk;
  return { ...side, chunk, readMax, writeGapMs: Math.min(side.writeGapMs, 20_000 / (writes + 1)) };
}

function faultsOf(random: Random): FaultPlan[] {
  return Array.from({ length: 1 + random.below(3) }, () => faultOf(random));
}

/**
 * A host whose first number is always the same one has no defence against a SYN that is forged after its connection was reset:
 * the new one acknowledges what the old one did, and takes the peer's text a byte or a hundred late. RFC 6528 is against that.
 */
function credible(faults: FaultPlan[], hosts: readonly HostPlan[], flows: readonly FlowPlan[]): FaultPlan[] {
  const fixed = hosts.some((host) => host.initialSequence !== null);
  const resets =
    flows.some(({ client, server }) => client.end === 'abort' || server.end === 'abort') ||
    faults.some((fault) => fault.kind === 'forge' && fault.what === 'rst' && fault.where === 'exact');
  if (!fixed || !resets) return faults;
  return faults.map((fault) =>
    fault.kind === 'forge' && fault.what === 'syn' ? { ...fault, where: 'outside' } : fault,
  );
}

function overlapOf(random: Random): FaultPlan {
  return {
    kind: 'overlap',
    link: 0,
    atMs: random.fraction() * 3000,
    count: 1 + skewed(random, 0, 200),
    everyFrames: skewed(random, 0, 20),
    bytes: often(random, 50) ? 'same' : 'other',
  };
}

function faultOf(random: Random): FaultPlan {
  const atMs = random.fraction() * 5000;
  const forMs = skewed(random, 10, 20_000);
  switch (random.below(9)) {
    case 0:
    case 1:
      return { kind: 'partition', link: 0, atMs, forMs, from: often(random, 50) ? null : random.below(2) };
    case 2:
      return {
        kind: 'weather',
        link: 0,
        atMs,
        forMs,
        options: { lossPpm: 300_000, reorderPpm: 200_000, reorderMs: 20 },
      };
    case 3:
      return { kind: 'zero-window', link: 0, atMs, forMs };
    case 4:
      return { kind: 'stall', host: random.below(2), atMs, forMs: forMs / 4 };
    case 5:
      return { kind: 'clock-jump', host: random.below(2), atMs, byMs: skewed(random, 1, 86_400_000) };
    case 6:
      return { kind: 'mtu', link: 0, atMs, forMs, mtu: 68 + random.below(1400) };
    default:
      return {
        kind: 'forge',
        link: 0,
        atMs,
        count: 1 + random.below(20),
        everyFrames: 1 + random.below(20),
        what: pick(random, ['rst', 'syn', 'fin', 'ack']),
        where: pick(random, ['exact', 'inside', 'outside']),
      };
  }
}
