/**
 * The core's only source of randomness: xoshiro128** seeded by splitmix32, handed in at construction.
 * Same seed, same sequence. Not for keys that must resist an attacker: those come from Secret (RFC 6528).
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next() | 1;
  }

  /** 32 random bits as a signed integer. */
  int32(): number {
    const product = Math.imul(this.b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** A uniform number in [0, 1). */
  fraction(): number {
    return (this.int32() >>> 0) / 0x1_0000_0000;
  }

  /** A uniform integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  /** True with the given chance in parts per million. */
  chance(ppm: number): boolean {
    return ppm > 0 && this.below(1_000_000) < ppm;
  }

  /** A generator of its own, so that adding one consumer does not shift the numbers that another sees. */
  fork(): Random {
    return new Random(this.int32());
  }
}

/**
 * SipHash-2-4 with a 128-bit key over 32-bit words, folded to 32 bits: the pseudo-random function behind initial
 * sequence numbers (RFC 6528 §3), port selection (RFC 6056 §3.3.3), SYN cookies and the connection table's hash.
 * The 64-bit lanes are kept as two signed 32-bit halves.
 */
export class Secret {
  private readonly key: Int32Array;
  private readonly v = new Int32Array(8);

  constructor(words: readonly number[]) {
    this.key = Int32Array.from(words.slice(0, 4));
  }

  static from(random: Random): Secret {
    return new Secret([random.int32(), random.int32(), random.int32(), random.int32()]);
  }

  private begin(): void {
    const v = this.v;
    const k = this.key;
    v[0] = k[0]! ^ 0x70736575;
    v[1] = k[1]! ^ 0x736f6d65;
    v[2] = k[2]! ^ 0x6e646f6d;
    v[3] = k[3]! ^ 0x646f7261;
    v[4] = k[0]! ^ 0x6e657261;
    v[5] = k[1]! ^ 0x6c796765;
    v[6] = k[2]! ^ 0x79746573;
    v[7] = k[3]! ^ 0x74656462;
  }

  /** The hash of six words; callers pad with zeros and put what distinguishes their use in one of them. */
  hash(w0: number, w1: number, w2: number, w3: number, w4: number, w5: number): number {
    const v = this.v;
    this.begin();
    this.absorb(w0, w1);
    this.absorb(w2, w3);
    this.absorb(w4, w5);
    // The last block: its highest octet is the message's length in bytes.
    this.absorb(0, 24 << 24);
    v[4] = v[4]! ^ 0xff;
    for (let i = 0; i < 4; i++) this.round();
    return v[0]! ^ v[1]! ^ v[2]! ^ v[3]! ^ v[4]! ^ v[5]! ^ v[6]! ^ v[7]!;
  }

  /**
   * The 64-bit hash of an even number of words, low half first in `into`: SipHash-2-4 of their bytes, each word and the
   * result little-endian, as other implementations of it give.
   */
  hash64(words: readonly number[], into: Int32Array): void {
    this.begin();
    for (let i = 0; i < words.length; i += 2) this.absorb(words[i]!, words[i + 1]!);
    this.absorb(0, (4 * words.length) << 24);
    const v = this.v;
    v[4] = v[4]! ^ 0xff;
    for (let i = 0; i < 4; i++) this.round();
    into[0] = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!;
    into[1] = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!;
  }

  private absorb(low: number, high: number): void {
    const v = this.v;
    v[6] = v[6]! ^ low;
    v[7] = v[7]! ^ high;
    this.round();
    this.round();
    v[0] = v[0]! ^ low;
    v[1] = v[1]! ^ high;
  }

  /** One SipRound. Lanes v0..v3 stand in pairs (low, high) at 0, 2, 4, 6. */
  private round(): void {
    const v = this.v;
    let l0 = v[0]!;
    let h0 = v[1]!;
    let l1 = v[2]!;
    let h1 = v[3]!;
    let l2 = v[4]!;
    let h2 = v[5]!;
    let l3 = v[6]!;
    let h3 = v[7]!;
    let t: number;
    // v0 += v1; v1 <<<= 13; v1 ^= v0; v0 <<<= 32
    t = (l0 >>> 0) + (l1 >>> 0);
    h0 = (h0 + h1 + (t > 0xffffffff ? 1 : 0)) | 0;
    l0 = t | 0;
    t = (l1 << 13) | (h1 >>> 19);
    h1 = ((h1 << 13) | (l1 >>> 19)) ^ h0;
    l1 = t ^ l0;
    t = l0;
    l0 = h0;
    h0 = t;
    // v2 += v3; v3 <<<= 16; v3 ^= v2
    t = (l2 >>> 0) + (l3 >>> 0);
    h2 = (h2 + h3 + (t > 0xffffffff ? 1 : 0)) | 0;
    l2 = t | 0;
    t = (l3 << 16) | (h3 >>> 16);
    h3 = ((h3 << 16) | (l3 >>> 16)) ^ h2;
    l3 = t ^ l2;
    // v0 += v3; v3 <<<= 21; v3 ^= v0
    t = (l0 >>> 0) + (l3 >>> 0);
    h0 = (h0 + h3 + (t > 0xffffffff ? 1 : 0)) | 0;
    l0 = t | 0;
    t = (l3 << 21) | (h3 >>> 11);
    h3 = ((h3 << 21) | (l3 >>> 11)) ^ h0;
    l3 = t ^ l0;
    // v2 += v1; v1 <<<= 17; v1 ^= v2; v2 <<<= 32
    t = (l2 >>> 0) + (l1 >>> 0);
    h2 = (h2 + h1 + (t > 0xffffffff ? 1 : 0)) | 0;
    l2 = t | 0;
    t = (l1 << 17) | (h1 >>> 15);
    h1 = ((h1 << 17) | (l1 >>> 15)) ^ h2;
    l1 = t ^ l2;
    t = l2;
    l2 = h2;
    h2 = t;
    v[0] = l0;
    v[1] = h0;
    v[2] = l1;
    v[3] = h1;
    v[4] = l2;
    v[5] = h2;
    v[6] = l3;
    v[7] = h3;
  }
}
