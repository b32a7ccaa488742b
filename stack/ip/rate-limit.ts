import type { Millis } from '../base/bytes';
import type { Random } from '../base/random';

/**
 * A token bucket for ICMP errors (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8). A message costs a token on average, by chance none
 * or two: a limit that anybody can count exactly tells an attacker which of his packets were answered.
 */
export class RateLimit {
  private tokens: number;
  private at: Millis = 0;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly random: Random,
  ) {
    this.tokens = burst;
  }

  /** Whether one more may be sent. */
  take(now: Millis): boolean {
    const since = Math.max(0, now - this.at);
    this.tokens = Math.min(this.burst, this.tokens + (since * this.perSecond) / 1000);
    this.at = now;
    if (this.tokens < 1) return false;
    this.tokens -= this.random.below(3);
    return true;
  }
}
