import { NEVER } from '../base/bytes';
import { defineFlags } from '../base/flags';
import { NONE } from '../base/memory';
import type { TcpProfile } from './profile';

/*
 * Where a connection keeps most of its fields. An object of V8's spends eight bytes on each field, a boolean too, and
 * sixteen more on one with a fraction: two hundred of them are what an idle connection costs. So numbers with a fraction
 * stand in one array of doubles, booleans are bits of one integer, and what hardly any connection ever changes stands in
 * arrays that all of them share until one is changed. Accessors give each its name, and the compiler sees through them.
 */

/** What the accessors work on; `Connection` is the only one. */
export interface Cells {
  /** Numbers with a fraction. */
  times: number[];
  /** Such numbers that hardly any connection has: `UNTIMED` until it does. */
  seldom: readonly number[];
  /** Booleans. */
  bits: number;
  /** What only losses, disorder, urgent text and the like change: `UNTROUBLED` until they do. */
  trouble: readonly number[];
  /** Objects and words that hardly any connection has: `ORDINARY` until it does. */
  rare: readonly unknown[];
  /** What an application can set: those of the profile until it does. */
  settings: readonly number[];
}

const TIMES: Readonly<Record<string, number>> = {
  rto: 0,
  rcvSpaceAt: 0,
  rcvRtt: 0,
  rcvRttAt: 0,
  delayedAckAt: NEVER,
  ato: 0,
  lastTextAt: 0,
  tsRecentAt: 0,
  srtt: 0,
  rttvar: 0,
  mdev: 0,
  mdevMax: 0,
  minRtt: NEVER,
  minRttNewer: NEVER,
  minRttSince: 0,
  retransmitAt: NEVER,
  lingerAt: NEVER,
  lastReceivedAt: 0,
  lastSentAt: 0,
  lastTextSentAt: 0,
  lastAckReceivedAt: 0,
  rackSentAt: -1,
  rackRtt: 0,
  cwndUsedAt: 0,
  deliveredAt: 0,
  firstSentAt: 0,
  rateInterval: 0,
  openedAt: 0,
  timeSince: 0,
  busyTime: 0,
  minDelay: 0,
  roundStart: 0,
  roundLastAck: 0,
  roundRtt: NEVER,
  queueKey: NEVER,
};

/** The same, of what hardly any connection has: probes, pacing, waits. */
const SELDOM: Readonly<Record<string, number>> = {
  challengeWindowAt: 0,
  lastInvalidAckAt: -1e9,
  stalledAt: -1,
  retransmittedAt: -1,
  windowProbesSince: -1,
  keepAliveAt: NEVER,
  pacingRate: NEVER,
  pacingNext: 0,
  pacingAt: NEVER,
  windowLimitedTime: 0,
  bufferLimitedTime: 0,
};

/** The connection has settings of its own. */
const OWN_SETTINGS = 1 << 30;

/** All false at first. */
const FLAGS = [
  'orphaned',
  'finQueued',
  'finSent',
  'wantsRoom',
  'wantsAcknowledged',
  'finReceived',
  'finSeqKnown',
  'ackNow',
  'ackPending',
  'timestamps',
  'sackOk',
  'ecnOk',
  'rackAdvanced',
  'cwndLimited',
  'rateAppLimited',
  'ready',
  'synDue',
  'tailProbeDue',
  'noDelay',
  'corked',
  'more',
  'pushing',
  'pacingHeld',
  'ecnSeen',
];

const TROUBLE: Readonly<Record<string, number | boolean>> = {
  sackedOut: 0,
  lostOut: 0,
  retransOut: 0,
  lost: 0,
  highSeq: 0,
  backoff: 0,
  ssthresh: 0x7fffffff,
  cwndCredit: 0,
  finSeq: 0,
  slowStartFound: false,
  roundSamples: 0,
  highestSack: 0,
  sackSeenBlocks: 0,
  sackReneged: false,
  reorderings: 0,
  duplicates: 0,
  probeOut: false,
  probeEnd: 0,
  probeRetransmitted: false,
  undoable: false,
  undoMarker: 0,
  undoRetransmissions: 0,
  priorSsthresh: 0,
  priorCwnd: 0,
  frto: false,
  prrDelivered: 0,
  prrOut: 0,
  prrHeld: 0,
  hasDsack: false,
  dsackStart: 0,
  dsackEnd: 0,
  sackRecentCount: 0,
  oooHead: NONE,
  oooTail: NONE,
  oooNodes: 0,
  windowProbes: 0,
  probesSent: 0,
  challenges: 0,
  retransmits: 0,
  totalRetransmits: 0,
  bytesRetransmitted: 0,
  rackProlonged: false,
  rackDuplicateSeen: false,
  rackSteps: 1,
  rackPersist: 0,
  rackLastDelivered: 0,
  urgentOut: false,
  sndUp: 0,
  urgentIn: false,
  rcvUp: 0,
  ecnEcho: false,
  ecnReducedDue: false,
  deliveredCe: 0,
  outOfOrder: 0,
};

/** What is no number and stays as it is in nearly all connections. */
const RARE: Readonly<Record<string, unknown>> = {
  error: null,
  softError: null,
  sackRecent: null,
  sackSeen: null,
  resend: 'nothing',
  probeDue: 'none',
  recordEnds: null,
  fast: null,
  mtuSearch: null,
  growth: null,
};

/** Booleans by themselves: they begin as false. */
const SETTINGS: Readonly<Record<string, false | ((profile: TcpProfile) => number)>> = {
  sendLimit: (profile) => profile.sendBufferInitial,
  sendLimitFixed: false,
  notSentLimit: (profile) => profile.notSentLimit,
  receiveLimit: (profile) => profile.receiveBufferInitial,
  receiveLimitFixed: false,
  keepAlive: false,
  keepAliveIdle: (profile) => profile.keepAliveIdleMs,
  keepAliveInterval: (profile) => profile.keepAliveIntervalMs,
  keepAliveProbes: (profile) => profile.keepAliveProbes,
  userTimeout: (profile) => profile.userTimeoutMs,
  reordering: (profile) => profile.reordering,
  userMss: () => 0,
  windowClamp: () => 0,
  synRetries: () => -1,
  finWait2: (profile) => profile.finWait2Ms,
  tos: () => 0,
  hopLimit: () => 64,
  linger: () => -1,
};

/** A copy of an array that began with a fraction is one of doubles, whatever is in it. */
const doubles = (of: Readonly<Record<string, number>>): readonly number[] =>
  Object.values(of).reduce(
    (all, value, i) => {
      all[i] = value;
      return all;
    },
    [0.5],
  );

const INITIAL_TIMES = doubles(TIMES);

export const newTimes = (): number[] => INITIAL_TIMES.slice();

export const UNTIMED = doubles(SELDOM);

export const ORDINARY: readonly unknown[] = Object.values(RARE);

export const UNTROUBLED: readonly number[] = Object.values(TROUBLE).map(Number);

export const settingsOf = (profile: TcpProfile): readonly number[] =>
  Object.values(SETTINGS).map((of) => (of === false ? 0 : of(profile)));

/** `i` is a constant to the compiler: it is the same for every call of one accessor. */
const time = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.times[i]!;
  },
  set(value: number) {
    this.times[i] = value;
  },
});

const seldom = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.seldom[i]!;
  },
  set(value: number) {
    if (this.seldom[i] === value) return;
    if (this.seldom === UNTIMED) this.seldom = UNTIMED.slice();
    (this.seldom as number[])[i] = value;
  },
});

const rare = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.rare[i];
  },
  set(value: unknown) {
    if (this.rare[i] === value) return;
    if (this.rare === ORDINARY) this.rare = ORDINARY.slice();
    (this.rare as unknown[])[i] = value;
  },
});

const trouble = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.trouble[i]!;
  },
  set(value: number) {
    if (this.trouble[i] !== value) troubled(this)[i] = value;
  },
});

const troubleFlag = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.trouble[i] !== 0;
  },
  set(on: boolean) {
    const value = on ? 1 : 0;
    if (this.trouble[i] !== value) troubled(this)[i] = value;
  },
});

function troubled(c: Cells): number[] {
  if (c.trouble === UNTROUBLED) c.trouble = UNTROUBLED.slice();
  return c.trouble as number[];
}

const setting = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.settings[i]!;
  },
  set(value: number) {
    if (this.settings[i] !== value) ownSettings(this)[i] = value;
  },
});

const settingFlag = (i: number): PropertyDescriptor & ThisType<Cells> => ({
  get() {
    return this.settings[i] !== 0;
  },
  set(on: boolean) {
    const value = on ? 1 : 0;
    if (this.settings[i] !== value) ownSettings(this)[i] = value;
  },
});

function ownSettings(c: Cells): number[] {
  if ((c.bits & OWN_SETTINGS) === 0) {
    c.settings = c.settings.slice();
    c.bits |= OWN_SETTINGS;
  }
  return c.settings as number[];
}

/** Gives the prototype the accessors. */
export function defineCells(prototype: Cells): void {
  const define = (name: string, accessor: PropertyDescriptor): void => {
    Object.defineProperty(prototype, name, { ...accessor, enumerable: true, configurable: true });
  };
  Object.keys(TIMES).forEach((name, i) => {
    define(name, time(i));
  });
  Object.keys(SELDOM).forEach((name, i) => {
    define(name, seldom(i));
  });
  Object.keys(RARE).forEach((name, i) => {
    define(name, rare(i));
  });
  defineFlags(prototype, FLAGS);
  Object.entries(TROUBLE).forEach(([name, initial], i) => {
    define(name, typeof initial === 'boolean' ? troubleFlag(i) : trouble(i));
  });
  Object.entries(SETTINGS).forEach(([name, of], i) => {
    define(name, of === false ? settingFlag(i) : setting(i));
  });
}
