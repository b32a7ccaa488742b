import { bugsIn, type Mutant } from './mutant';

/** What time brings: RFC 9293 §3.8.3, §3.8.4 and §3.8.6.1, RFC 6298. */
export const TIMERS: readonly Mutant[] = [
  ...bugsIn('stack/base/deadlines.ts', 'base/deadlines', [
    ['due-out-of-order', '', 'if (deadline <= top.queueKey) return top;', 'if (deadline <= now) return top;'],
  ]),
  ...bugsIn('stack/tcp/timeouts.ts', 'tcp/patience tcp/recovery-timeout', [
    [
      'keep-alive-beyond-user-timeout',
      'RFC 5482',
      '    c.userTimeout > 0 ? now - idleSince',
      '    c.userTimeout < 0 ? now - idleSince',
      'tcp/corners',
    ],
    [
      'backoff-forgotten',
      'MUST-19, RFC 6298 §5',
      '  c.rto = Math.min(c.rto * 2, tcp.profile.rtoMaxMs);',
      '  c.rto = Math.min(c.rto, tcp.profile.rtoMaxMs);',
    ],
    [
      'dead-path-not-reported',
      'MUST-20, SHLD-9',
      '  if (isStalled(tcp, c, profile.retries1, now)) {\n    tcp.paths.doubt(c.path);\n',
      '  if (isStalled(tcp, c, profile.retries1, now)) {\n',
    ],
    [
      'given-up-early',
      'MUST-21, SHLD-11',
      'isStalled(tcp, c, retriesMost(tcp, c), now);',
      'isStalled(tcp, c, retriesMost(tcp, c) - 9, now);',
    ],
    ['syn-given-up-early', 'MUST-22', 'return c.retransmits >= retries;', 'return c.retransmits >= retries - 1;'],
    ['syn-not-backed-off', 'MUST-22', ' > tcp.profile.synLinearTimeouts) c.backoff++;', ' > 1000) c.backoff++;'],
    ['syn-linear-ignored', 'MUST-22', 'c.retransmits > tcp.profile.synLinearTimeouts', 'c.retransmits > 0'],
    ['syn-linear-for-longer', 'MUST-22', '(2 ** (retries + 1) - 2)', '(2 ** (retries + 2) - 2)'],
    [
      'user-timeout-ignored',
      'RFC 5482',
      'c.userTimeout > 0 && since >= 0 && now - since >= c.userTimeout;',
      'c.userTimeout < 0 && since >= 0;',
    ],
    [
      'keep-alive-beside-text',
      'MUST-26',
      '  if (c.packetsOut > 0 || c.sendBuffer.bytes > 0) {',
      '  if (c.packetsOut > 999) {',
    ],
    [
      'keep-alive-not-reset-by-arrivals',
      'MUST-26',
      '  const idleSince = c.lastReceivedAt;',
      '  const idleSince = c.openedAt;',
    ],
    ['one-lost-probe-is-death', 'MUST-29', 'c.probesSent >= c.keepAliveProbes;', 'c.probesSent >= 1;'],
    [
      'shrunk-window-is-death',
      'SHLD-17',
      '  if (c.sndWnd === 0 && !c.orphaned) return closedWindowTimer(tcp, c, now);\n',
      '',
      'tcp/windows tcp/recovery-timeout',
    ],
    [
      'probes-not-backed-off',
      'SHLD-30',
      '  if (c.backoff < retries2) c.backoff++;\n',
      '',
      'tcp/windows tcp/recovery-timeout',
    ],
    [
      'persist-never-ends',
      'MUST-37',
      "  if (c.windowProbes >= most) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);\n",
      '',
      'tcp/windows tcp/recovery-timeout',
    ],
  ]),
  ...bugsIn('stack/tcp/retransmit-timer.ts', 'tcp/recovery-timeout', [
    [
      'first-probe-early',
      'SHLD-29',
      'Math.max(c.rto, rtoMinMs) * 2 **',
      '(c.rto / 4) * 2 **',
      'tcp/windows tcp/recovery-timeout',
    ],
    [
      'tail-probe-late',
      'RFC 8985, RACK-TLP',
      '2 * c.srtt + (c.packetsOut === 1',
      '4 * c.srtt + (c.packetsOut === 1',
      'tcp/recovery-timeout tcp/recovery-losses',
    ],
    ['timer-not-stopped', 'RFC 6298 §5', '  if (c.packetsOut === 0) return stopRetransmitTimer(c);\n', ''],
    [
      'timer-not-restarted',
      'RFC 6298 §5',
      '  if (!scheduleProbe(tcp, c, true, now)) restartRto(tcp, c, now);',
      '  if (c.packetsOut === 0 || !scheduleProbe(tcp, c, true, now)) { if (c.packetsOut === 0) restartRto(tcp, c, now); }',
    ],
  ]),
  ...bugsIn('stack/tcp/profile.ts', 'tcp/patience', [
    ['keep-alive-after-twelve-minutes', 'MUST-28', '  keepAliveIdleMs: 7_200_000,', '  keepAliveIdleMs: 720_000,'],
    ['syn-for-one-minute', 'MUST-23', '  synRetries: 7,', '  synRetries: 5,'],
    ['doubt-at-once', 'SHLD-10', '  retries1: 3,', '  retries1: 0,'],
    ['rfc-rto-below-a-second', 'RFC 6298 §2', '  rtoMinMs: 1000,', '  rtoMinMs: 200,', 'tcp/recovery-timeout'],
    [
      'initial-window-four',
      'RFC 6928',
      '  initialWindow: 10,',
      '  initialWindow: 4,',
      'tcp/congestion tcp/recovery-window tcp/recovery-losses',
    ],
  ]),
  ...bugsIn('stack/tcp/rtt.ts', 'tcp/recovery-timeout', [
    ['variance-too-quick', 'MUST-18, RFC 6298 §2', '- c.rttvar) / 4;\n    c.srtt', '- c.rttvar) / 2;\n    c.srtt'],
    [
      'mean-too-quick',
      'MUST-18, RFC 6298 §2',
      '    c.srtt = Math.max(c.srtt + (rtt - c.srtt) / 8, RTT_MIN);',
      '    c.srtt = Math.max(c.srtt + (rtt - c.srtt) / 4, RTT_MIN);',
    ],
    [
      'echo-measures-duplicates',
      'RFC 7323 §4',
      'seg.tsEcr !== 0 && (s.flags & ACKED) !== 0) {',
      'seg.tsEcr !== 0) {',
      'tcp/timestamps tcp/recovery-timeout',
    ],
    [
      'backoff-survives-sample',
      'RFC 6298 §5',
      '  c.backoff = 0;\n  return true;',
      '  return true;',
      'tcp/recovery-timeout tcp/patience tcp/windows',
    ],
  ]),
];
