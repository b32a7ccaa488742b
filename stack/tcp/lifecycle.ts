import { type Millis, NEVER } from '../base/bytes';
import type { Connection } from './connection';
import { ACK, RST } from './header';
import { beginMtuSearch } from './mtu-search';
import { timestampNow } from './options';
import type { Tcp } from './tcp';
import { initialCwnd } from './window-use';

/** Both sequence numbers are agreed (RFC 9293 §3.3.2, the arrows into ESTABLISHED). */
export function established(tcp: Tcp, c: Connection, now: Millis): void {
  // The application may have closed already: its FIN goes out behind what it wrote.
  tcp.enter(c, c.finQueued ? 'FIN-WAIT-1' : 'ESTABLISHED', now);
  c.lingerAt = NEVER;
  startTransfer(c, now);
  if (c.keepAlive) c.keepAliveAt = now + c.keepAliveIdle;
  tcp.wantsOutput(c);
}

/** RFC 5681 §3.1, RFC 6298 §5.7: what the handshake told about the path. */
function startTransfer(c: Connection, now: Millis): void {
  // Linux takes one repetition for a lost packet, or a timer that was too short; more of them for congestion.
  c.cwnd = c.totalRetransmits > 1 ? 1 : Math.min(c.cwnd, initialCwnd(c));
  if (c.srtt === 0 && c.totalRetransmits > 0) c.rto = Math.max(c.rto, RTO_AFTER_LOST_SYN);
  c.retransmits = 0;
  c.backoff = 0;
  // One that was due again needs not be sent: its answer is here.
  c.synDue = false;
  c.cwndUsedAt = c.lastTextSentAt = c.lastTextAt = now;
  c.cwndUsageEnd = c.sndNxt;
  c.congestion.start(c, now);
  if (c.tcp.profile.mtuProbing === 'always') beginMtuSearch(c.tcp, c, now);
}

const RTO_AFTER_LOST_SYN: Millis = 3000;

/** ABORT (§3.10.5): a RST at SND.NXT, and the connection is gone. */
export function abortWithReset(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.state !== 'CLOSED' && c.state !== 'SYN-SENT') sendReset(tcp, c, now);
  tcp.remove(c, now);
}

export function sendReset(tcp: Tcp, c: Connection, now: Millis): void {
  tcp.counters.resetsSent++;
  tcp.reply({
    path: c.path,
    localPort: c.localPort,
    remotePort: c.remotePort,
    seq: c.sndNxt,
    ack: c.rcvNxt,
    flags: RST | ACK,
    window: 0,
    timestamps: c.timestamps,
    tsVal: timestampNow(c, now),
    tsEcr: c.tsRecent,
  });
}
