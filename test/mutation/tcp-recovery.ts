import { bugsIn, type Mutant } from './mutant';

/** What is lost, and what that does to the window: RFC 5681, RFC 6675, RFC 8985, RFC 9438 and all that belongs to them. */
export const RECOVERY: readonly Mutant[] = [
  ...bugsIn('stack/tcp/recovery.ts', 'tcp/recovery-losses tcp/recovery-timeout', [
    ['timeout-keeps-window', 'MUST-19, RFC 5681', '  c.cwnd = c.inFlight + 1;\n', ''],
    [
      'f-rto-forgotten',
      'RFC 5682',
      '  c.frto = tcp.profile.frto && (begins || c.retransmits > 0);',
      '  c.frto = false;',
      'tcp/recovery-undo',
    ],
    [
      'f-rto-believes-too-soon',
      'RFC 5682',
      '    if ((s.flags & ORIGINAL_ACKED) !== 0 && undoTimeout(tcp, c, seg, true, now)) return;',
      '    if (undoTimeout(tcp, c, seg, true, now)) return;',
    ],
    [
      'duplicates-not-counted',
      'RFC 3042, RFC 6582',
      '  c.sackedOut += duplicates;\n',
      '',
      'tcp/recovery-losses tcp/congestion',
    ],
    [
      'reneging-not-noticed',
      'RFC 2018',
      '  if ((s.flags & RENEGED) === 0 || (s.flags & UNA_ADVANCED) === 0) return false;',
      '  if (c.id !== 0) return false;',
      'tcp/recovery-losses tcp/recovery-hostile tcp/recovery-timeout',
    ],
    [
      'echo-not-heeded',
      'RFC 3168',
      '  if ((s.flags & ECHO) !== 0) enterCwr(tcp, c, s.priorInFlight, now);\n',
      '',
      'tcp/congestion tcp/recovery-window tcp/recovery-losses',
    ],
  ]),
  ...bugsIn('stack/tcp/rack.ts', 'tcp/rack-tlp tcp/recovery-losses', [
    [
      'no-reordering-window',
      'RFC 8985, RACK-TLP',
      '  const limit = c.rackRtt + reorderingWindow(c);',
      '  const limit = c.rackRtt;',
    ],
    [
      'window-does-not-widen',
      'RFC 8985, RACK-TLP',
      '    c.rackSteps = Math.min(STEPS_MAX, c.rackSteps + 1);\n',
      '',
      'tcp/recovery-losses tcp/recovery-undo',
    ],
    [
      'partial-ack-ends-new-reno',
      'RFC 6582',
      "  if (!begins && !(state === 'Recovery' && advanced)) return;",
      '  if (!begins) return;',
      'tcp/recovery-losses tcp/congestion',
    ],
    [
      'four-duplicates',
      'RFC 6675, RFC 5681',
      'record !== NONE && above >= c.reordering;',
      'record !== NONE && above > c.reordering;',
    ],
  ]),
  ...bugsIn('stack/tcp/tail-probe.ts', 'tcp/recovery-losses tcp/recovery-timeout', [
    ['repair-by-probe-not-answered-for', 'RFC 8985', '    reduceForProbe(tcp, c, now);', '    c.probeOut = false;'],
  ]),
  ...bugsIn('stack/tcp/prr.ts', 'tcp/recovery-window tcp/recovery-losses', [
    [
      'not-proportional',
      'RFC 6937',
      'Math.ceil((c.ssthresh * c.prrDelivered) / c.priorCwnd) - c.prrOut;',
      'delivered;',
    ],
    ['no-slow-start-reduction-bound', 'RFC 6937', '    if ((flags & UNA_ADVANCED) !== 0 && lost === 0) count++;\n', ''],
    ['window-above-threshold-after', 'RFC 6937', '    c.cwnd = c.ssthresh;\n', '', 'tcp/congestion'],
    ['a-batch-starves-recovery', 'RFC 6937', '  holdBack(c, priorInFlight, 0);', ''],
  ]),
  ...bugsIn('stack/tcp/undo.ts', 'tcp/recovery-undo tcp/recovery-timeout', [
    ['undo-does-not-restore', 'RFC 5682', '    c.cwnd = c.congestion.restored(c, now);\n', ''],
    [
      'every-recovery-undone',
      'RFC 5681',
      '  if (c.retransmittedAt < 0) return true;',
      '  if (c.retransmittedAt > 0) return true;',
      'tcp/recovery-losses tcp/recovery-undo tcp/recovery-window',
    ],
  ]),
  ...bugsIn('stack/tcp/connection.ts', 'tcp/patience', [
    [
      'flight-without-retransmissions',
      'RFC 6675',
      'this.packetsOut - this.sackedOut - this.lostOut + this.retransOut',
      'this.packetsOut - this.sackedOut - this.lostOut',
      'tcp/recovery-losses tcp/recovery-window',
    ],
  ]),
  ...bugsIn('stack/tcp/window-use.ts', 'tcp/congestion tcp/recovery-window', [
    ['unused-window-grows', 'RFC 7661', '  if (c.cwndLimited) return true;', '  if (c.cwnd > 0) return true;'],
    [
      'idle-window-kept',
      'RFC 5681',
      '  if (!tcp.profile.slowStartAfterIdle || c.packetsOut > 0 || idle <= c.rto',
      '  if (c.packetsOut >= 0 || idle <= c.rto',
    ],
    [
      'initial-window-of-giants',
      'RFC 6928',
      'Math.floor(initialWindowBytes / c.mss)',
      'Math.floor(initialWindowBytes / 1460)',
    ],
    ['restarts-anywhere', 'RFC 5681', 'Math.min(initialCwnd(c), c.cwnd);', 'Math.min(initialCwnd(c) * 4, c.cwnd);'],
  ]),
  ...bugsIn('stack/tcp/congestion/control.ts', 'tcp/congestion', [
    [
      'slow-start-too-slow',
      'MUST-19, RFC 5681',
      'Math.min(c.cwnd + acked, c.ssthresh)',
      'Math.min(c.cwnd + 1, c.ssthresh)',
    ],
    ['avoidance-too-quick', 'MUST-19, RFC 5681', '    c.cwnd += packets;', '    c.cwnd += 2 * packets;'],
  ]),
  ...bugsIn('stack/tcp/congestion/reno.ts', 'tcp/congestion', [
    ['no-decrease', 'RFC 5681', '    return Math.max(c.cwnd >> 1, 2);', '    return Math.max(c.cwnd, 2);'],
  ]),
  ...bugsIn('stack/tcp/congestion/hybla.ts', 'tcp/congestion', [
    ['hybla-with-rho-once', 'RFC 5681', 'c.cwnd / (rho * rho)', 'c.cwnd / rho'],
  ]),
  ...bugsIn('stack/tcp/congestion/cubic.ts', 'tcp/congestion', [
    ['beta-of-a-half', 'RFC 9438', 'const BETA = 717;', 'const BETA = 512;'],
    [
      'no-fast-convergence',
      'RFC 9438',
      'c.cwnd < growth.lastMax ? Math.floor((c.cwnd * (SCALE + BETA)) / (2 * SCALE)) : c.cwnd',
      'c.cwnd',
    ],
    ['slower-than-reno', 'RFC 9438', '  keepUpWithReno(g, cwnd);\n', ''],
    ['cube-of-another-root', 'RFC 9438', 'Math.floor(Math.cbrt(', 'Math.floor(Math.sqrt('],
  ]),
  ...bugsIn('stack/tcp/congestion/hystart.ts', 'tcp/congestion', [
    [
      'delay-does-not-end-slow-start',
      'RFC 9406',
      '  else if (c.roundRtt > c.minDelay + delayThreshold(c.minDelay)) exit(c);',
      '',
    ],
    [
      'conservative-rounds-never-end',
      'RFC 9406',
      '      if (this.rounds > 0 && --this.rounds === 0) c.ssthresh = c.cwnd;\n',
      '',
    ],
    ['slow-start-in-bursts', 'RFC 9406', 'Math.min(acked, UNPACED_GROWTH_MAX)', 'acked'],
    ['every-slow-start-searched', 'RFC 9406', '    if (c.ssthresh < SSTHRESH_INFINITE) return this.forget();\n', ''],
  ]),
];
