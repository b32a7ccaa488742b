import { bugsIn, type Mutant } from './mutant';

/** What applications ask and are told, and what connections share: RFC 9293 §3.9 and §3.10.1 to §3.10.6. */
export const CALLS: readonly Mutant[] = [
  ...bugsIn('stack/tcp/tcp.ts', 'tcp/congestion', [
    ['held-up-and-out-of-turn', '', '      const paced = c.pacingAt <= now;\n', '      const paced = false;\n'],
  ]),
  ...bugsIn('stack/tcp/calls.ts', 'tcp/closing', [
    [
      'text-beyond-hole-is-not-unread',
      'SHLD-3',
      'const lost = c.readable > 0 || c.oooNodes > 0;',
      'const lost = c.readable > 0;',
      'tcp/corners',
    ],
    ['opens-inside-old-sequence-space', 'RFC 6191', '    moveBeyond(c, waiting);\n', ''],
  ]),
  ...bugsIn('stack/tcp/tcp.ts', 'tcp/opening', [
    ['initial-numbers-slow', 'MUST-8, RFC 6528', 'Math.floor(now * 250)', 'Math.floor(now * 25)'],
    [
      'initial-numbers-without-secret',
      'MUST-9, SHLD-1, RFC 6528',
      '((Math.floor(now * 250) + hash) | 0)',
      '(Math.floor(now * 250) | 0)',
    ],
    ['error-not-told', 'MUST-12', '    c.error = error;\n', '', 'tcp/closing tcp/states'],
    [
      'time-wait-half-as-long',
      'MUST-13',
      'this.timeWaits.add(c, now + this.profile.timeWaitMs)',
      'this.timeWaits.add(c, now + this.profile.timeWaitMs / 2)',
      'tcp/closing',
    ],
    ['group-answered', 'MUST-57', "    if (d.notUnicast) return this.drop('tcp-not-unicast', now);\n", '', 'tcp/drops'],
    [
      'acknowledged-one-by-one',
      'MUST-58, MUST-59',
      '      this.wantsOutput(c);\n      return;',
      '      output(this, c, now);\n      return;',
      'tcp/acknowledging',
    ],
  ]),
  ...bugsIn('stack/tcp/calls.ts', 'tcp/opening', [
    [
      'group-connected-to',
      'MUST-46',
      '  if (remote.isMulticast || remote.isLimitedBroadcast || remote.isUnspecified)',
      '  if (remote === null)',
    ],
    ['broadcast-connected-to', 'MUST-46', "  if (tcp.paths.isBroadcast(remote)) return 'ENETUNREACH';\n", ''],
    [
      'chosen-source-ignored',
      'MUST-43',
      '  const path = tcp.paths.pathTo(remote, local);',
      '  const path = tcp.paths.pathTo(remote, null);',
    ],
    [
      'strange-source-accepted',
      'MUST-43',
      "  if (local !== null && !tcp.paths.isLocal(local)) return 'EADDRNOTAVAIL';\n  const path",
      '  const path',
    ],
    [
      'source-not-chosen',
      'MUST-44, MUST-45',
      'tcp.newConnection(path.local, localPort, remote,',
      'tcp.newConnection(local ?? remote, localPort, remote,',
    ],
    [
      'listening-ends-others',
      'MUST-41',
      '  tcp.addListener(listener);\n',
      '  tcp.addListener(listener);\n  for (const c of [...tcp.connections]) if (c.localPort === port) tcp.remove(c, 0);\n',
    ],
    [
      'no-listening-beside-others',
      'MUST-42',
      '  } else if (listenConflicts(tcp, address, family, port)) {',
      '  } else if ([...tcp.connections].some((c) => c.localPort === port)) {',
    ],
    ['ports-in-sequence', 'RFC 6056', '  const start = tcp.random.below(count);', '  const start = 0;'],
    ['no-delay-not-set', 'MUST-17', '  c.noDelay = on;\n', '  c.noDelay = false;\n', 'tcp/sending'],
    [
      'urgent-left-of-what-arrived',
      'MUST-33',
      '(c.urgentIn ? Math.max(0, seqDiff(c.rcvUp, c.copied)) : 0)',
      '(c.urgentIn ? Math.min(c.readable, seqDiff(c.rcvUp, c.copied)) : 0)',
      'tcp/sending',
    ],
    [
      'keep-alive-cannot-be-switched-off',
      'MUST-24',
      '  c.keepAlive = on;\n',
      '  c.keepAlive = true;\n  on = true;\n',
      'tcp/patience',
    ],
    [
      'keep-alive-interval-fixed',
      'MUST-27',
      '  if (interval > 0) c.keepAliveInterval = interval;\n',
      '',
      'tcp/patience',
    ],
    [
      'unread-text-lost-in-silence',
      'SHLD-3',
      '  const lost = c.readable > 0 || c.oooNodes > 0;',
      '  const lost = false;',
      'tcp/closing',
    ],
    ['close-wait-stays', 'RFC 9293 §3.6', "      tcp.enter(c, 'LAST-ACK', now);", '', 'tcp/states tcp/closing'],
  ]),
  ...bugsIn('stack/tcp/cells.ts', 'tcp/patience', [
    ['keep-alive-by-default', 'MUST-25', '  keepAlive: false,\n', '  keepAlive: true,\n'],
  ]),
  ...bugsIn('stack/tcp/lifecycle.ts', 'tcp/patience', [
    [
      'rto-after-lost-syn-stays',
      'RFC 6298 §5',
      'const RTO_AFTER_LOST_SYN: Millis = 3000;',
      'const RTO_AFTER_LOST_SYN: Millis = 1000;',
    ],
    [
      'lost-handshakes-say-nothing',
      'RFC 6928',
      'c.cwnd = c.totalRetransmits > 1 ? 1 : Math',
      'c.cwnd = Math',
      'tcp/recovery-window',
    ],
  ]),
  ...bugsIn('stack/tcp/icmp.ts', 'tcp/patience', [
    [
      'any-quote-believed',
      'MUST-54',
      '  return seqDiff(seq, c.sndUna) >= 0 && seqDiff(c.sndNxt, seq) > 0 ? c : null;',
      '  return seqDiff(seq, seq) === 0 ? c : null;',
    ],
    ['advice-not-told', 'MUST-47, SHLD-25', '  tcp.signal(c, ADVICE);\n', ''],
    [
      'mtu-reduces-window',
      'RFC 1191',
      '  if (c.lostOut > c.retransOut) resendWithoutBlame(tcp, c, now);\n',
      '',
      'ip/path-mtu tcp/patience',
    ],
    [
      'due-syn-ack-forgotten',
      'RFC 1191',
      "    if (c.state === 'SYN-SENT' && c.fast !== null && c.fast.text > 0) c.synDue = true;",
      '    c.synDue = false;',
      'ip/path-mtu',
    ],
  ]),
];
