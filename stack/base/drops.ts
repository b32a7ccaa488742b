/**
 * Why a frame, datagram or segment was not used. One list for all layers: it is `netstat -s`, the decoder's words and
 * the tests' hook at once. A reason that no test produces fails the build.
 */
export const DROPS = [
  // ethernet
  'ethernet-truncated',
  'ethernet-not-for-us',
  'ethernet-unknown-type',
  'ethernet-bad-source',
  // arp
  'arp-truncated',
  'arp-malformed',
  'arp-bad-sender',
  'arp-not-for-us',
  'arp-conflict',
  // ip
  'ip-bad-version',
  'ip-truncated',
  'ip-bad-header-length',
  'ip-bad-total-length',
  'ip-bad-checksum',
  'ip-bad-source',
  'ip-bad-destination',
  'ip-bad-option',
  'ip-not-for-us',
  'ip-unknown-protocol',
  'ip-fragment-malformed',
  'ip-fragment-overlap',
  'ip-fragment-timeout',
  'ip-fragment-limit',
  'ip-no-route',
  'ip-no-neighbor',
  'ip-source-route-refused',
  // icmp
  'icmp-truncated',
  'icmp-bad-checksum',
  'icmp-unknown-type',
  'icmp-bad-quote',
  'icmp-rate-limited',
  'icmp-broadcast',
  'icmp-bad-mtu',
  'icmp-bad-redirect',
  // ndp
  'ndp-invalid',
  'ndp-not-for-us',
  'ndp-conflict',
  // udp
  'udp-truncated',
  'udp-bad-length',
  'udp-bad-checksum',
  'udp-no-port',
  'udp-queue-full',
  // tcp
  'tcp-truncated',
  'tcp-bad-offset',
  'tcp-bad-checksum',
  'tcp-bad-port',
  'tcp-bad-option',
  'tcp-no-connection',
  'tcp-not-unicast',
  'tcp-out-of-window',
  'tcp-bad-ack',
  'tcp-old-ack',
  'tcp-no-ack',
  'tcp-paws',
  'tcp-no-timestamp',
  'tcp-rst-out-of-window',
  'tcp-rst-challenge',
  'tcp-syn-challenge',
  'tcp-listen-no-syn',
  'tcp-syn-backlog-full',
  'tcp-accept-queue-full',
  'tcp-bad-cookie',
  'tcp-receive-buffer-full',
  'tcp-text-after-close',
  'tcp-time-wait',
  'tcp-duplicate',
  // what memory or configuration refused
  'memory-pressure',
  'link-busy',
  'interface-down',
] as const;

/** Why a frame, datagram or segment went no further: one of DROPS. */
export type Drop = (typeof DROPS)[number];

/** One counter a reason. */
export class DropCounters {
  readonly counts: Record<Drop, number>;

  constructor() {
    this.counts = Object.fromEntries(DROPS.map((reason) => [reason, 0])) as Record<Drop, number>;
  }

  count(reason: Drop): void {
    this.counts[reason]++;
  }

  total(): number {
    let total = 0;
    for (const reason of DROPS) total += this.counts[reason];
    return total;
  }

  /** Only the reasons that occurred. */
  nonZero(): Partial<Record<Drop, number>> {
    return Object.fromEntries(Object.entries(this.counts).filter(([, n]) => n > 0)) as Partial<Record<Drop, number>>;
  }
}
