import type { Host } from '../../net/host';
import type { Address } from '../../stack/base/address';
import { type Millis, NEVER } from '../../stack/base/bytes';
import type { Connection } from '../../stack/tcp/connection';
import { listenerInfo, type TcpInfo, tcpInfo } from '../../stack/tcp/info';
import type { Listener } from '../../stack/tcp/listener';
import type { TimeWait } from '../../stack/tcp/time-wait';
import type { UdpSocket } from '../../stack/udp/udp';
import { ESTABLISHED_CODE, type SsState, STATE_CODES } from './states';

/** An end of a connection. `address` '*' is any of both families; `port` 0 none. */
export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/** The timer that runs, by the names of `ss -o`; `ms` until it goes off, `count` of what it repeats so far. */
export interface SocketTimer {
  readonly name: 'on' | 'keepalive' | 'timewait' | 'persist';
  readonly ms: number;
  readonly count: number;
}

/** Bytes, as `ss -m` names them: held and allowed to receive, in flight, allowed to send, written and not acknowledged. */
export interface SocketMemory {
  readonly r: number;
  readonly rb: number;
  readonly t: number;
  readonly tb: number;
  readonly w: number;
}

/** One line of `tapwire ss`: plain data, so that it can cross to another process. */
export interface SocketEntry {
  readonly netid: 'tcp' | 'udp';
  readonly state: SsState;
  /** Bytes that wait to be read; of a listener, connections that wait to be accepted. */
  readonly recvQ: number;
  /** Bytes that are not acknowledged; of a listener, how many connections may wait. */
  readonly sendQ: number;
  readonly local: SocketEnd;
  readonly peer: SocketEnd;
  /** The connection's number in traces and in qlog; 0: it has none. */
  readonly id: number;
  readonly timer: SocketTimer | null;
  readonly memory: SocketMemory | null;
  /** The congestion controller, 'cubic'; '' for what has none. */
  readonly congestion: string;
  /** What it believes of the path, as BBR does; null: nothing. */
  readonly beliefs: Readonly<Record<string, number>> | null;
  /** Linux's `struct tcp_info`; null for what has none. */
  readonly info: TcpInfo | null;
}

/** All sockets of one host: listeners, connections, TIME-WAITs, UDP. Looks; changes nothing. */
export function* hostSockets(host: Host): Generator<SocketEntry> {
  const { tcp, udp } = host.stack;
  const now = host.now();
  for (const listener of tcp.allListeners()) yield listenerEntry(listener);
  for (const c of tcp.connections) yield connectionEntry(c, now);
  for (const waiting of tcp.timeWaits) yield timeWaitEntry(waiting, now);
  for (const socket of udp.allSockets()) yield udpEntry(socket);
}

function listenerEntry(listener: Listener): SocketEntry {
  const { address, family, port, accepted, backlog } = listener;
  return {
    netid: 'tcp',
    state: 'LISTEN',
    recvQ: accepted.length,
    sendQ: backlog,
    local: { address: addressText(address, family), port },
    peer: { address: anyOf(family), port: 0 },
    id: 0,
    timer: null,
    memory: null,
    congestion: '',
    beliefs: null,
    info: listenerInfo(listener),
  };
}

/** One connection as a line of `ss`. */
function connectionEntry(c: Connection, now: Millis): SocketEntry {
  return {
    netid: 'tcp',
    state: STATE_CODES[c.state],
    recvQ: c.readable,
    sendQ: c.sendBuffer.bytes,
    local: { address: String(c.local), port: c.localPort },
    peer: { address: String(c.remote), port: c.remotePort },
    id: c.id,
    timer: timerOf(c, now),
    memory: {
      r: c.charged,
      rb: c.receiveLimit,
      t: c.sendBuffer.bytes - c.unsent,
      tb: c.sendLimit,
      w: c.sendBuffer.bytes,
    },
    congestion: c.congestion.name,
    beliefs: c.congestion.beliefs(c),
    info: tcpInfo(c.tcp, c, now),
  };
}

const left = (at: Millis, now: Millis): number => Math.max(0, Math.round(at - now));

function timerOf(c: Connection, now: Millis): SocketTimer | null {
  if (c.retransmitTimer === 'persist') return { name: 'persist', ms: left(c.retransmitAt, now), count: c.windowProbes };
  if (c.retransmitTimer !== 'none') return { name: 'on', ms: left(c.retransmitAt, now), count: c.retransmits };
  if (c.lingerAt !== NEVER && c.state === 'FIN-WAIT-2')
    return { name: 'timewait', ms: left(c.lingerAt, now), count: 0 };
  if (c.keepAliveAt !== NEVER) return { name: 'keepalive', ms: left(c.keepAliveAt, now), count: c.probesSent };
  return null;
}

function timeWaitEntry(w: TimeWait, now: Millis): SocketEntry {
  return {
    netid: 'tcp',
    state: 'TIME-WAIT',
    recvQ: 0,
    sendQ: 0,
    local: { address: String(w.local), port: w.localPort },
    peer: { address: String(w.remote), port: w.remotePort },
    id: 0,
    timer: { name: 'timewait', ms: left(w.expires, now), count: 0 },
    memory: null,
    congestion: '',
    beliefs: null,
    info: null,
  };
}

function udpEntry(socket: UdpSocket): SocketEntry {
  const { address, family, port, remote, remotePort, queuedBytes, receiveMax, sendingBytes, sendMax } = socket;
  return {
    netid: 'udp',
    state: remote === null ? 'UNCONN' : ESTABLISHED_CODE,
    recvQ: queuedBytes,
    sendQ: sendingBytes,
    local: { address: addressText(address, family), port },
    peer: { address: remote === null ? anyOf(family) : String(remote), port: remotePort },
    id: 0,
    timer: null,
    memory: { r: queuedBytes, rb: receiveMax, t: sendingBytes, tb: sendMax, w: sendingBytes },
    congestion: '',
    beliefs: null,
    info: null,
  };
}

const anyOf = (family: 0 | 4 | 6): string => (family === 0 ? '*' : family === 4 ? '0.0.0.0' : '::');
const addressText = (address: Address | null, family: 0 | 4 | 6): string =>
  address === null ? anyOf(family) : String(address);
