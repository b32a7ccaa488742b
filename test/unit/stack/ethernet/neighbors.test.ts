import { parseAddress } from '../../../../stack/base/address';
import {
  NEIGHBOR_DEFAULTS,
  type Neighbor,
  type NeighborConfig,
  type NeighborState,
  Neighbors,
} from '../../../../stack/ethernet/neighbors';

/* RFC 4861 §7.3 and appendix C, for ARP as well: each arrow of the state machine, by itself. */

const ADDRESS = parseAddress('fd00::9')!;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 8);
const GROUP = Uint8Array.of(3, 0, 0, 0, 0, 8);

class Cache {
  readonly changes: string[] = [];
  lost = 0;
  now = 1000;
  readonly neighbors: Neighbors;
  readonly entry: Neighbor;

  constructor(config: Partial<NeighborConfig> = {}) {
    this.neighbors = new Neighbors(
      { ...NEIGHBOR_DEFAULTS, ...config },
      {
        neighborChanged: (neighbor, from) => this.changes.push(`${from} ${neighbor.state}`),
        framesLost: (frames) => {
          this.lost += frames;
        },
      },
    );
    this.entry = this.neighbors.entry(ADDRESS, this.now);
  }

  /** Requests that were due, taken. */
  asked(): number {
    let asked = 0;
    for (const neighbor of this.neighbors.due.splice(0)) {
      if (neighbor.requestDue) asked++;
      neighbor.requestDue = false;
    }
    return asked;
  }

  after(ms: number): this {
    const end = this.now + ms;
    for (let next = this.neighbors.nextDeadline(); next <= end; next = this.neighbors.nextDeadline()) {
      this.now = Math.max(this.now, next);
      this.neighbors.expire(this.now);
    }
    this.now = end;
    return this;
  }

  /** An advertisement: "S" solicited, "O" override, "-" without a link address. */
  advertised(flags: string, mac: Uint8Array = MAC): void {
    const at = flags.includes('-') ? -1 : 0;
    this.neighbors.advertised(ADDRESS, mac, at, flags.includes('S'), flags.includes('O'), this.now);
  }
}

/** An entry in a state, with MAC known where the state knows one. */
function inState(state: NeighborState, config: Partial<NeighborConfig> = {}): Cache {
  const cache = new Cache(config);
  const { neighbors, entry } = cache;
  if (state === 'FAILED') return cache;
  neighbors.use(entry, cache.now);
  cache.asked();
  if (state !== 'INCOMPLETE') cache.advertised('SO');
  if (state === 'STALE' || state === 'DELAY' || state === 'PROBE') cache.after(30_000);
  if (state === 'DELAY' || state === 'PROBE') neighbors.use(entry, cache.now);
  if (state === 'PROBE') cache.after(5000);
  cache.asked();
  expect(entry.state).toBe(state);
  cache.changes.length = 0;
  return cache;
}

describe('time and use', () => {
  test('INCOMPLETE: asked at once, three times a second apart, then FAILED', () => {
    const cache = new Cache();
    cache.neighbors.use(cache.entry, cache.now);
    expect([cache.entry.state, cache.entry.usable, cache.asked()]).toEqual(['INCOMPLETE', false, 1]);
    expect([cache.after(999).asked(), cache.after(1).asked(), cache.after(1000).asked()]).toEqual([0, 1, 1]);
    expect([cache.after(999).entry.state, cache.after(1).entry.state]).toEqual(['INCOMPLETE', 'FAILED']);
    expect([cache.asked(), cache.neighbors.failed]).toEqual([0, [cache.entry]]);
  });

  test('FAILED: the next use asks anew', () => {
    const cache = new Cache();
    cache.neighbors.use(cache.entry, cache.now);
    cache.after(3000).asked();
    cache.neighbors.use(cache.entry, cache.now);
    expect([cache.entry.state, cache.asked()]).toEqual(['INCOMPLETE', 1]);
  });

  test('REACHABLE: for 30 s, then STALE; use does not change it', () => {
    const cache = inState('REACHABLE');
    cache.after(29_999);
    cache.neighbors.use(cache.entry, cache.now);
    expect(cache.entry.state).toBe('REACHABLE');
    cache.after(1);
    expect([cache.entry.state, cache.entry.usable, cache.asked()]).toEqual(['STALE', true, 0]);
  });

  test('STALE: nothing happens until it is used, then DELAY for 5 s, then PROBE', () => {
    const cache = inState('STALE');
    expect(cache.after(100_000).changes).toEqual([]);
    cache.neighbors.use(cache.entry, cache.now);
    expect([cache.entry.state, cache.asked()]).toEqual(['DELAY', 0]);
    cache.after(4999);
    cache.neighbors.use(cache.entry, cache.now);
    expect(cache.entry.state).toBe('DELAY');
    expect([cache.after(1).entry.state, cache.asked(), cache.entry.usable]).toEqual(['PROBE', 1, true]);
  });

  test('PROBE: three probes a second apart, then FAILED', () => {
    const cache = inState('PROBE');
    expect([cache.after(1000).asked(), cache.after(1000).asked(), cache.entry.state]).toEqual([1, 1, 'PROBE']);
    expect([cache.after(1000).entry.state, cache.asked()]).toEqual(['FAILED', 0]);
  });

  test('RFC 1122 §2.3.2.1: what nobody uses is flushed', () => {
    const cache = inState('STALE');
    cache.after(600_000);
    expect([cache.neighbors.size, cache.neighbors.get(ADDRESS), cache.entry.state]).toEqual([0, undefined, 'FAILED']);
    expect(cache.neighbors.nextDeadline()).toBe(Infinity);
  });
});

describe('upper layers', () => {
  test.each<[NeighborState, NeighborState]>([
    ['STALE', 'REACHABLE'],
    ['DELAY', 'REACHABLE'],
    ['PROBE', 'REACHABLE'],
    ['REACHABLE', 'REACHABLE'],
    ['INCOMPLETE', 'INCOMPLETE'],
    ['FAILED', 'FAILED'],
  ])('RFC 4861 §7.3.1: progress in %s: %s', (from, to) => {
    const cache = inState(from);
    cache.neighbors.reachable(cache.entry, cache.now);
    expect([cache.entry.state, cache.asked()]).toEqual([to, 0]);
  });

  test('progress does not lengthen REACHABLE for ever: it is asked for again every 30 s', () => {
    const cache = inState('REACHABLE');
    cache.after(20_000);
    cache.neighbors.reachable(cache.entry, cache.now);
    expect(cache.after(10_000).entry.state).toBe('STALE');
  });

  test.each<[NeighborState, NeighborState, number]>([
    ['REACHABLE', 'PROBE', 1],
    ['STALE', 'PROBE', 1],
    ['DELAY', 'PROBE', 1],
    ['PROBE', 'PROBE', 0],
    ['INCOMPLETE', 'INCOMPLETE', 0],
    ['FAILED', 'FAILED', 0],
  ])('RFC 1122 §3.3.1.4: doubt in %s: %s', (from, to, asked) => {
    const cache = inState(from);
    cache.neighbors.suspect(cache.entry, cache.now);
    expect([cache.entry.state, cache.asked()]).toEqual([to, asked]);
  });
});

describe('advertisements (RFC 4861 §7.2.5, appendix C)', () => {
  const [old, other] = [String(MAC), String(OTHER)];
  test.each<[NeighborState, string, Uint8Array, NeighborState, string]>([
    ['INCOMPLETE', 'S', MAC, 'REACHABLE', old],
    ['INCOMPLETE', 'SO', MAC, 'REACHABLE', old],
    ['INCOMPLETE', '', MAC, 'STALE', old],
    ['INCOMPLETE', 'O', MAC, 'STALE', old],
    ['INCOMPLETE', 'SO-', MAC, 'INCOMPLETE', '0,0,0,0,0,0'],
    ['FAILED', 'SO', MAC, 'REACHABLE', old],
    ['REACHABLE', 'S', OTHER, 'STALE', old],
    ['REACHABLE', '', OTHER, 'STALE', old],
    ['REACHABLE', 'O', OTHER, 'STALE', other],
    ['REACHABLE', 'SO', OTHER, 'REACHABLE', other],
    ['REACHABLE', 'O', MAC, 'REACHABLE', old],
    ['REACHABLE', '', MAC, 'REACHABLE', old],
    ['STALE', 'S', OTHER, 'STALE', old],
    ['STALE', '', OTHER, 'STALE', old],
    ['STALE', 'O', OTHER, 'STALE', other],
    ['STALE', 'SO', OTHER, 'REACHABLE', other],
    ['STALE', 'S', MAC, 'REACHABLE', old],
    ['STALE', 'S-', MAC, 'REACHABLE', old],
    ['DELAY', 'S', OTHER, 'DELAY', old],
    ['DELAY', 'O', OTHER, 'STALE', other],
    ['DELAY', 'S', MAC, 'REACHABLE', old],
    ['PROBE', 'S', OTHER, 'PROBE', old],
    ['PROBE', 'O', OTHER, 'STALE', other],
    ['PROBE', 'O', MAC, 'PROBE', old],
    ['PROBE', 'SO', MAC, 'REACHABLE', old],
    ['PROBE', 'S-', MAC, 'REACHABLE', old],
    ['REACHABLE', 'SO', GROUP, 'REACHABLE', old],
    ['INCOMPLETE', 'SO', GROUP, 'INCOMPLETE', '0,0,0,0,0,0'],
  ])('%s, flags "%s" from %s: %s, %s', (from, flags, mac, to, known) => {
    const cache = inState(from);
    cache.advertised(flags, mac);
    expect([cache.entry.state, String(cache.entry.mac)]).toEqual([to, known]);
  });

  test('nobody without an entry learns from one', () => {
    const { neighbors, now } = new Cache();
    expect(neighbors.advertised(parseAddress('fd00::77')!, MAC, 0, true, true, now)).toBeNull();
    expect(neighbors.size).toBe(1);
  });

  test('an unsolicited one does not stop the probes', () => {
    const cache = inState('PROBE');
    cache.advertised('O');
    expect(cache.after(1000).asked()).toBe(1);
  });
});

describe('solicitations and redirects (RFC 4861 §7.2.3, §8.3)', () => {
  test.each<[NeighborState, Uint8Array, NeighborState]>([
    ['FAILED', MAC, 'STALE'],
    ['INCOMPLETE', MAC, 'STALE'],
    ['REACHABLE', MAC, 'REACHABLE'],
    ['REACHABLE', OTHER, 'STALE'],
    ['STALE', OTHER, 'STALE'],
    ['DELAY', MAC, 'DELAY'],
    ['DELAY', OTHER, 'STALE'],
    ['PROBE', MAC, 'PROBE'],
    ['PROBE', OTHER, 'STALE'],
  ])('%s, from %s: %s', (from, mac, to) => {
    const cache = inState(from);
    cache.neighbors.heard(ADDRESS, mac, 0, cache.now);
    expect([cache.entry.state, String(cache.entry.mac)]).toEqual([to, String(mac)]);
  });

  test('who asks for us gets an entry; a group address does not', () => {
    const { neighbors, now } = new Cache();
    expect(neighbors.heard(parseAddress('fd00::77')!, MAC, 0, now)!.state).toBe('STALE');
    expect(neighbors.heard(parseAddress('fd00::78')!, GROUP, 0, now)).toBeNull();
    expect(neighbors.size).toBe(2);
  });
});

describe('ARP (RFC 826, RFC 1122 §2.3.2)', () => {
  const heard = (cache: Cache, mac: Uint8Array, answers: boolean, create = false): void => {
    cache.neighbors.arpHeard(ADDRESS, mac, answers, create, cache.now);
  };

  test.each<[NeighborState, Uint8Array, boolean, NeighborState]>([
    ['INCOMPLETE', MAC, true, 'REACHABLE'],
    ['INCOMPLETE', MAC, false, 'STALE'],
    ['FAILED', MAC, true, 'STALE'],
    ['PROBE', MAC, true, 'REACHABLE'],
    ['PROBE', MAC, false, 'PROBE'],
    ['PROBE', OTHER, true, 'REACHABLE'],
    ['REACHABLE', MAC, true, 'REACHABLE'],
    ['REACHABLE', OTHER, true, 'STALE'],
    ['REACHABLE', OTHER, false, 'STALE'],
    ['STALE', MAC, true, 'STALE'],
    ['STALE', OTHER, false, 'STALE'],
  ])('%s, from %s, a reply to us %s: %s', (from, mac, answers, to) => {
    const cache = inState(from);
    heard(cache, mac, answers);
    expect([cache.entry.state, String(cache.entry.mac)]).toEqual([to, String(mac)]);
  });

  test('for a second the first answer wins', () => {
    const cache = inState('INCOMPLETE');
    heard(cache, MAC, true);
    heard(cache.after(999), OTHER, true);
    expect([cache.entry.state, String(cache.entry.mac)]).toEqual(['REACHABLE', String(MAC)]);
    heard(cache.after(1), OTHER, false);
    expect([cache.entry.state, String(cache.entry.mac)]).toEqual(['STALE', String(OTHER)]);
  });

  test('only who asks for us gets an entry', () => {
    const { neighbors, now } = new Cache();
    expect(neighbors.arpHeard(parseAddress('10.0.0.9')!, MAC, true, false, now)).toBeNull();
    expect(neighbors.arpHeard(parseAddress('10.0.0.9')!, MAC, false, true, now)!.state).toBe('STALE');
  });
});

describe('bounds', () => {
  const addressOf = (i: number) => parseAddress(`fd00:1::${i.toString(16)}`)!;

  test('entries: one without an address makes room first, then the one used longest ago', () => {
    const cache = inState('REACHABLE', { entriesMax: 4 });
    const { neighbors } = cache;
    neighbors.use(cache.entry, cache.now);
    for (let i = 1; i < 1000; i++) neighbors.use(neighbors.entry(addressOf(i), cache.now), cache.now + i);
    expect(neighbors.size).toBe(4);
    expect(neighbors.get(ADDRESS)).toBe(cache.entry);
    for (let i = 1; i < 1000; i++) {
      neighbors.heard(addressOf(i), MAC, 0, cache.now);
      neighbors.get(addressOf(i))!.usedAt = cache.now + i;
    }
    expect(neighbors.get(ADDRESS)).toBeUndefined();
    expect(cache.entry.state).toBe('FAILED');
  });

  test('what is pushed out is asked for no more, and its frames are counted as lost', () => {
    const cache = new Cache({ entriesMax: 1 });
    cache.neighbors.use(cache.entry, cache.now);
    cache.neighbors.park(cache.entry, new Uint8Array(60));
    cache.neighbors.entry(addressOf(1), cache.now);
    expect([cache.asked(), cache.lost, cache.neighbors.parkedBytes]).toEqual([0, 1, 0]);
    expect(cache.after(10_000).neighbors.failed).toEqual([]);
  });

  test('frames that wait: so many for a neighbour, so many bytes in all, the latest always', () => {
    const cache = new Cache({ parkedMax: 3, parkedBytesMax: 250 });
    const { neighbors, entry } = cache;
    const park = (bytes: number): number => neighbors.park(entry, new Uint8Array(bytes));
    expect([park(50), park(50), park(50), park(60)]).toEqual([0, 0, 0, 1]);
    expect(entry.parked.map((frame) => frame.length)).toEqual([50, 50, 60]);
    expect(park(240)).toBe(3);
    expect(park(1000)).toBe(1);
    expect([entry.parked.map((frame) => frame.length), neighbors.parkedBytes]).toEqual([[1000], 1000]);
    expect(neighbors.takeParked(entry)).toHaveLength(1);
    expect([entry.parked, neighbors.parkedBytes]).toEqual([[], 0]);
  });

  test('every change of state is told', () => {
    const cache = new Cache();
    cache.neighbors.use(cache.entry, cache.now);
    cache.advertised('SO');
    cache.after(30_000);
    cache.neighbors.use(cache.entry, cache.now);
    cache.after(8000);
    expect(cache.changes).toEqual([
      'FAILED INCOMPLETE',
      'INCOMPLETE REACHABLE',
      'REACHABLE STALE',
      'STALE DELAY',
      'DELAY PROBE',
      'PROBE FAILED',
    ]);
  });
});
