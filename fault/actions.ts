import type { Bytes, Millis } from '../stack/base/bytes';
import type { Dir, EndName } from './match';
import type { Segment } from './segment';

/** A host by its role on the wire, or an end of the connection at hand. */
export type HostName = 'client' | 'server' | EndName;

/** A time, or one drawn for every segment: from [min, max), or normally distributed around `mean` (and never below 0). */
export type Duration =
  | Millis
  | { readonly min: Millis; readonly max: Millis }
  | { readonly mean: Millis; readonly sd: Millis };

/** What happens. Made by the functions below; plain data, so that rules can be stored, sent and shrunk. */
export type Action =
  | { readonly do: 'drop' }
  | { readonly do: 'delay'; readonly ms: Duration }
  | { readonly do: 'duplicate'; readonly copies: number; readonly gapMs: Millis }
  | { readonly do: 'reorder'; readonly after: number; readonly forMs: Millis }
  | { readonly do: 'corrupt'; readonly bit?: number; readonly field?: CorruptField; readonly repair: boolean }
  | { readonly do: 'truncate'; readonly bytes: number }
  | { readonly do: 'modify'; readonly change: (segment: Segment) => Segment | null | undefined | void }
  | { readonly do: 'slice'; readonly bytes: number; readonly gapMs: Millis; readonly vary?: number }
  | { readonly do: 'throttle'; readonly bps: number; readonly queueBytes: number; readonly key: object }
  | { readonly do: 'pace'; readonly pps: number; readonly queue: number; readonly key: object }
  | { readonly do: 'rst'; readonly to: EndName | 'both'; readonly exact: boolean; readonly off: number }
  | { readonly do: 'fin'; readonly to: EndName | 'both' }
  | { readonly do: 'icmp'; readonly type: number; readonly code: number; readonly to: EndName; readonly mtu: number }
  | { readonly do: 'inject'; readonly bytes: Bytes; readonly as: Dir }
  | { readonly do: 'hold'; readonly gate: string; readonly dir?: Dir }
  | { readonly do: 'release'; readonly gate: string }
  | { readonly do: 'blackhole'; readonly dir?: Dir }
  | { readonly do: 'window'; readonly host: HostName; readonly bytes: number | null }
  | { readonly do: 'stall'; readonly host: HostName; readonly ms: Millis }
  | { readonly do: 'freeze'; readonly host: HostName; readonly ms: Millis }
  | { readonly do: 'jump'; readonly host: HostName; readonly ms: Millis }
  | { readonly do: 'skew'; readonly host: HostName; readonly rate: number }
  | { readonly do: 'reboot'; readonly host: HostName }
  | { readonly do: 'down'; readonly host: HostName; readonly how: 'rst' | 'silent' }
  | { readonly do: 'up'; readonly host: HostName }
  | { readonly do: 'partition'; readonly from: HostName; readonly to: HostName; readonly oneway: boolean }
  | { readonly do: 'heal' }
  | { readonly do: 'coalesce' }
  | { readonly do: 'split'; readonly gapMs?: Millis }
  | { readonly do: 'call'; readonly task: () => void };

/** Header fields that `corrupt` knows. */
export type CorruptField = 'seq' | 'ack' | 'window' | 'flags' | 'port' | 'checksum' | 'text';

const positive = (what: string, n: number, low = 0): number => {
  if (!(n >= low) || n === Number.POSITIVE_INFINITY) throw new RangeError(`${what} is ${n}; it is at least ${low}`);
  return n;
};

/** What a program in JavaScript may give instead of a name would be a rule that silently does nothing. */
function named<T extends string>(what: string, name: T, ...names: string[]): T {
  if (!names.includes(name))
    throw new RangeError(`${what} is ${JSON.stringify(name)}; it is one of ${names.join(', ')}`);
  return name;
}

const end = (what: string, name: EndName): EndName => named(what, name, 'c', 's');
const ends = (what: string, name: EndName | 'both'): EndName | 'both' => named(what, name, 'c', 's', 'both');
const direction = (what: string, name: Dir): Dir => named(what, name, 'c2s', 's2c');
const host = (what: string, name: HostName): HostName => named(what, name, 'client', 'server', 'c', 's');

/** What a program in JavaScript has left out, so that the check of the end says which ones there are. */
const NOWHERE = { to: undefined as unknown as 'c' };

/** The segment is lost. */
export const drop = (): Action => ({ do: 'drop' });

/** The segment comes later, and what follows it in its direction of the connection waits behind it. */
export function delay(ms: Duration): Extract<Action, { do: 'delay' }> {
  if (typeof ms === 'number') positive('delay', ms);
  else if ('mean' in ms) {
    positive('delay mean', ms.mean);
    positive('delay sd', ms.sd);
  } else if (positive('delay min', ms.min) > positive('delay max', ms.max))
    throw new RangeError('delay: min is above max');
  return { do: 'delay', ms };
}

/** The segment comes `copies` more times, `gapMs` apart. */
export const duplicate = (copies = 1, gapMs: Millis = 0): Action => ({
  do: 'duplicate',
  copies: positive('copies', copies, 1),
  gapMs: positive('gap', gapMs),
});

/** The segment is overtaken by the next `after` segments of its direction; it comes after `forMs` at the latest. */
export const reorder = ({ after = 1, forMs = 50 }: { after?: number; forMs?: Millis } = {}): Action => ({
  do: 'reorder',
  after: positive('after', after, 1),
  forMs: positive('forMs', forMs),
});

/**
 * One bit is turned: bit `bit` of the text, or one of a header field. With `repair` the checksum is made right again, so
 * that the receiver takes it for good; without, its stack must notice.
 */
export const corrupt = (what: { bit?: number; field?: CorruptField; repair?: boolean } = {}): Action => ({
  do: 'corrupt',
  bit: what.bit,
  field: what.field,
  repair: what.repair ?? false,
});

/** The last `bytes` bytes of the segment's text are missing; TCP sends them again. */
export const truncate = (bytes: number): Action => ({ do: 'truncate', bytes: positive('bytes', bytes, 1) });

/** Whatever `change` does to the segment; null drops it. It gets a copy, whose checksums are made right afterwards. */
export const modify = (change: (segment: Segment) => Segment | null | undefined | void): Action => ({
  do: 'modify',
  change,
});

/**
 * The text comes in segments of `bytes` bytes, `gapMs` apart: slow loris, and every boundary a parser can meet. With `vary`,
 * each is up to so many bytes longer or shorter, by chance.
 */
export const slice = (bytes: number, gapMs: Millis = 0, { vary }: { vary?: number } = {}): Action => ({
  do: 'slice',
  bytes: positive('bytes', bytes, 1),
  gapMs: positive('gap', gapMs),
  vary: vary === undefined ? undefined : positive('vary', vary),
});

/** A link of `bps` bits a second with a queue of `queueBytes` in front of it; what does not fit is lost. */
export const throttle = (bps: number, queueBytes = 1 << 20): Action => ({
  do: 'throttle',
  bps: positive('bps', bps, 1),
  queueBytes: positive('queue', queueBytes, 1),
  key: {},
});

/** So many segments a second, and so many that wait at most; what does not fit is lost. */
export const pace = (pps: number, queue = 1000): Action => ({
  do: 'pace',
  pps: positive('pps', pps, 1e-6),
  queue: positive('queue', queue, 1),
  key: {},
});

/**
 * A reset comes to an end of the connection. `exact` (default): with the very sequence number that it expects, the only one
 * that RFC 5961 lets through; otherwise a blind one, `off` bytes further inside the window, which earns a challenge ACK.
 */
export const rst = ({
  to,
  exact = true,
  off = 100,
}: {
  to: EndName | 'both';
  exact?: boolean;
  off?: number;
} = NOWHERE): Action => ({
  do: 'rst',
  to: ends('rst to', to),
  exact,
  off,
});

/**
 * The end of the stream comes to an end of the connection, as if its peer had closed: what the end sends from then on is
 * answered by a reset, as a closed socket answers.
 */
export const fin = ({ to }: { to: EndName | 'both' } = NOWHERE): Action => ({ do: 'fin', to: ends('fin to', to) });

/** An ICMP error about the last segment of an end comes to it. IPv4: 3/0 network, 3/1 host, 3/3 port unreachable, 3/4 too big. */
export const icmp = (type: number, code: number, { to, mtu = 0 }: { to: EndName; mtu?: number }): Action => ({
  do: 'icmp',
  type,
  code,
  to: end('icmp to', to),
  mtu,
});

/** Bytes that nobody sent appear in a direction's stream; the numbers of what follows are shifted, so it goes on. */
export const inject = (bytes: Bytes | string, { as }: { as: Dir }): Action => ({
  do: 'inject',
  bytes: typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes,
  as: direction('inject as', as),
});

/**
 * From here on a direction of the connection waits until `release(gate)`. Without `dir` it is the one in which the next thing
 * comes: that of the match; behind the end of a request that of its response.
 */
export const hold = (gate: string, { dir }: { dir?: Dir } = {}): Action => ({
  do: 'hold',
  gate,
  dir: dir && direction('hold dir', dir),
});
/** Lets go what `hold` keeps behind `gate`, in its order. */
export const release = (gate: string): Action => ({ do: 'release', gate });

/** From here on everything of the connection, or of one direction, is lost. */
export const blackhole = (dir?: Dir): Action => ({
  do: 'blackhole',
  dir: dir && direction('blackhole', dir),
});

/** The receive window that a host announces is `bytes`, whatever it says; null: its own again. */
export const window = (of: HostName, bytes: number | null): Action => ({
  do: 'window',
  host: host('window', of),
  bytes,
});

/**
 * A host's program is told nothing for `ms` (its event loop is blocked), while its TCP goes on. Its sockets' callbacks and
 * timers wait; turns that it asks for itself, by setImmediate or Node's timers, do not: both hosts' programs share them.
 */
export const stall = (of: HostName, ms: Millis): Action => ({
  do: 'stall',
  host: host('stall', of),
  ms: positive('stall', ms),
});

/** All of a host stands still for `ms`, its TCP too: a suspended machine or function. Time goes on around it. */
export const freeze = (of: HostName, ms: Millis): Action => ({
  do: 'freeze',
  host: host('freeze', of),
  ms: positive('freeze', ms),
});

/** A host's clock leaps ahead by `ms`. */
export const jump = (of: HostName, ms: Millis): Action => ({
  do: 'jump',
  host: host('jump', of),
  ms: positive('jump', ms),
});

/** A host's clock runs `rate` times as fast as the wire's from now on: 1.01 gains a hundredth; 1: as fast again. */
export const skew = (of: HostName, rate: number): Action => ({
  do: 'skew',
  host: host('skew', of),
  rate: positive('skew rate', rate, 1e-6),
});

/** A host forgets every connection it has: what comes for them is answered by a reset. */
export const reboot = (of: HostName): Action => ({ do: 'reboot', host: host('reboot', of) });

/** A host is gone: 'rst' answers everything with a reset (the machine runs, the program does not), 'silent' nothing. */
export const down = (of: HostName, how: 'rst' | 'silent' = 'silent'): Action => ({
  do: 'down',
  host: host('down', of),
  how: named('down how', how, 'rst', 'silent'),
});
/** The host is there again after `down`. */
export const up = (of: HostName): Action => ({ do: 'up', host: host('up', of) });

/** Nothing passes between two hosts, or only from the second to the first; until `heal`. */
export const partition = (from: HostName, to: HostName, { oneway = false }: { oneway?: boolean } = {}): Action => ({
  do: 'partition',
  from: host('partition from', from),
  to: host('partition to', to),
  oneway,
});
/** Ends a partition. */
export const heal = (): Action => ({ do: 'heal' });

/** What the rule sends comes in the same wake-up as the bytes before it: the receiver sees both at once. */
export const coalesce = (): Action => ({ do: 'coalesce' });

/** What follows comes in a wake-up of its own, `gapMs` later. */
export const split = (gapMs?: Millis): Action => ({ do: 'split', gapMs });

/** Runs a function of the test at this moment. */
export const call = (task: () => void): Action => ({ do: 'call', task });

const NAMES: Readonly<Record<Action['do'], true>> = {
  drop: true,
  delay: true,
  duplicate: true,
  reorder: true,
  corrupt: true,
  truncate: true,
  modify: true,
  slice: true,
  throttle: true,
  pace: true,
  rst: true,
  fin: true,
  icmp: true,
  inject: true,
  hold: true,
  release: true,
  blackhole: true,
  window: true,
  stall: true,
  freeze: true,
  jump: true,
  skew: true,
  reboot: true,
  down: true,
  up: true,
  partition: true,
  heal: true,
  coalesce: true,
  split: true,
  call: true,
};

/** @throws TypeError when something is given for an action that is none, such as `rst` instead of `rst({ to: 'c' })` */
export function checkAction(given: unknown): void {
  if (typeof given === 'function')
    throw new TypeError(`do(…) takes actions, not functions: call it, ${given.name}(…); or call(…) to run a function`);
  const name = (given as Partial<Action> | null | undefined)?.do;
  if (name === undefined || !Object.hasOwn(NAMES, name))
    throw new TypeError(`do(…) takes actions such as rst({ to: 'c' }), not ${JSON.stringify(given)}`);
}

/** An action in words, for logs and comments. */
export function actionText(a: Action): string {
  const words = Object.entries(a)
    .filter(([key, value]) => key !== 'do' && key !== 'key' && value !== undefined && typeof value !== 'function')
    .map(([key, value]) => (value instanceof Uint8Array ? `${value.length} bytes` : `${key} ${JSON.stringify(value)}`));
  return words.length === 0 ? a.do : `${a.do} (${words.join(', ')})`;
}
