import * as calls from '../../../../stack/tcp/calls';
import { STATE_NUMBERS } from '../../../../stack/tcp/connection';
import { tcpInfo } from '../../../../stack/tcp/info';
import { Ground, PLACES } from './grounds';
import type { Harness } from './harness';

/*
 * RFC 9293 §3.10 as a table: every state, every event. A cell says the state afterwards, what was sent, and the error that
 * the application was told: "ESTABLISHED . 1:1(0) ack 1".
 */

type Opener = (g: Ground) => Harness;

const STATES: Record<string, Opener> = {
  CLOSED: (g) => g.harness(),
  LISTEN: (g) => g.listening(),
  'SYN-SENT': (g) => g.connecting(),
  'SYN-RECEIVED passive': (g) => g.received(),
  'SYN-RECEIVED active': (g) => {
    const t = g.connecting();
    return t.rx(`S ${g.syn} win 1000 <mss 1000>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
  },
  ESTABLISHED: (g) => g.established(),
  'FIN-WAIT-1': (g) => g.established().shutdown().tx('F. 1:1(0) ack 1'),
  'FIN-WAIT-2': (g) => g.established().shutdown().tx('F. 1:1(0) ack 1').rx('. 1:1(0) ack 2 win 257'),
  'CLOSE-WAIT': (g) => g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2'),
  CLOSING: (g) => g.established().shutdown().tx('F. 1:1(0) ack 1').rx('F. 1:1(0) ack 1 win 257').tx('. 2:2(0) ack 2'),
  'LAST-ACK': (g) =>
    g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2').shutdown().tx('F. 1:1(0) ack 2'),
  'TIME-WAIT': (g) =>
    g.established().shutdown().tx('F. 1:1(0) ack 1').rx('F. 1:1(0) ack 2 win 257').tx('. 2:2(0) ack 2').after(1000),
};

/** Where the peer's stream stands in a state, and what of ours it has not acknowledged yet. */
const peerAt = (state: string): number => (['CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'].includes(state) ? 2 : 1);
const ourEnd = (state: string): number =>
  ['FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'].includes(state) ? 2 : 1;
const ackedAt = (state: string): number => (['FIN-WAIT-1', 'CLOSING', 'LAST-ACK'].includes(state) ? 1 : ourEnd(state));

const hasConnection = (state: string): boolean => state !== 'CLOSED' && state !== 'LISTEN' && state !== 'TIME-WAIT';

/** Does it, and says what the call answered, if it did. */
type Event = (t: Harness, state: string, g: Ground) => unknown;

const EPOCH_MS = 1_000_000;

const EVENTS: Record<string, Event> = {
  OPEN: (t, state) => {
    if (state === 'CLOSED' || state === 'LISTEN') return void t.connect();
    const { local, localPort, remote, remotePort } = state === 'TIME-WAIT' ? t.c : connectionOf(t);
    const opened = calls.connect(t.stack.tcp, remote, remotePort, local, localPort, t, EPOCH_MS + t.nowMs);
    return typeof opened === 'string' ? opened : undefined;
  },
  RECEIVE: (t, state, g) => {
    if (!hasConnection(state)) return undefined;
    t.rx(`P. ${at(g, state, 0, 5)} ack ${ackedAt(state)} win 257`).drain();
    const c = connectionOf(t) ?? t.connection;
    const { readable } = c;
    if (readable > 0) calls.consume(t.stack.tcp, c, readable, EPOCH_MS + t.nowMs);
    return `${readable} bytes`;
  },
  STATUS: (t, state) => {
    if (!hasConnection(state)) return undefined;
    return `number ${tcpInfo(t.stack.tcp, connectionOf(t), EPOCH_MS + t.nowMs).tcpi_state}`;
  },
  SEND: (t, state) => {
    if (hasConnection(state)) calls.send(t.stack.tcp, connectionOf(t), new Uint8Array(10), 0, 10);
  },
  CLOSE: (t, state) => {
    if (hasConnection(state)) calls.close(t.stack.tcp, connectionOf(t), 1_000_000 + t.nowMs);
    else if (state === 'LISTEN') calls.closeListener(t.stack.tcp, t.listener!, 1_000_000 + t.nowMs);
  },
  SHUTDOWN: (t, state) => {
    if (hasConnection(state)) calls.shutdown(t.stack.tcp, connectionOf(t), 1_000_000 + t.nowMs);
  },
  ABORT: (t, state) => {
    if (hasConnection(state)) calls.abort(t.stack.tcp, connectionOf(t), 1_000_000 + t.nowMs);
  },
  'a SYN': (t, _, g) => t.rx(`S ${g.raw(500)}:${g.raw(500)}(0) win 1000 <mss 1000>`),
  'the SYN again': (t, _, g) => t.rx(`S ${g.syn} win 1000 <mss 1000>`),
  'SYN,ACK': (t, state, g) => t.rx(`S. ${g.syn} ack ${ackedFor(state)} win 1000 <mss 1000>`),
  'RST, exact': (t, state, g) => t.rx(`R ${at(g, state, 0)} win 0`),
  'RST, inside': (t, state, g) => t.rx(`R ${at(g, state, 50)} win 0`),
  'RST, outside': (t, state, g) => t.rx(`R ${at(g, state, 0x4000_0000)} win 0`),
  'RST,ACK of ours': (t, state, g) => t.rx(`R. ${at(g, state, 0)} ack ${ackedFor(state)} win 0`),
  'ACK of nothing new': (t, state, g) => t.rx(`. ${at(g, state, 0)} ack ${ackedAt(state)} win 257`),
  'ACK of all': (t, state, g) => t.rx(`. ${at(g, state, 0)} ack ${ackedFor(state)} win 257`),
  'ACK of what was not sent': (t, state, g) => t.rx(`. ${at(g, state, 0)} ack 100 win 257`),
  'no ACK': (t, state, g) => t.rx(`P ${at(g, state, 0, 5)} win 257`),
  text: (t, state, g) => t.rx(`P. ${at(g, state, 0, 5)} ack ${ackedFor(state)} win 257`),
  'text outside': (t, state, g) => t.rx(`P. ${at(g, state, 0x4000_0000, 5)} ack ${ackedFor(state)} win 257`),
  FIN: (t, state, g) => t.rx(`F. ${at(g, state, 0)} ack ${ackedAt(state)} win 257`),
  'FIN and ACK of all': (t, state, g) => t.rx(`F. ${at(g, state, 0)} ack ${ackedFor(state)} win 257`),
  'the FIN again': (t, state, g) => t.rx(`F. ${at(g, state, 1 - peerAt(state))} ack 2 win 257`),
  'RETRANSMISSION TIMEOUT': (t, state) => {
    if (hasConnection(state)) calls.send(t.stack.tcp, connectionOf(t), new Uint8Array(10), 0, 10);
    t.drain();
    t.after(1500);
  },
  'USER TIMEOUT': (t, state) => {
    if (hasConnection(state)) {
      const c = connectionOf(t);
      c.userTimeout = 1000;
      calls.send(t.stack.tcp, c, new Uint8Array(10), 0, 10);
    }
    t.after(5000).drain();
  },
  'two minutes': (t) => t.after(120_000),
};

/** The acknowledgment of all that is out; before there is a connection, of something. */
const ackedFor = (state: string): number => (state === 'CLOSED' || state === 'LISTEN' ? 9 : ourEnd(state));

/** Until the peer's SYN has come with an ACK, or to a listener, the notation takes its numbers as they are on the wire. */
const isRaw = (state: string): boolean => ['SYN-RECEIVED active', 'SYN-SENT', 'CLOSED', 'LISTEN'].includes(state);

/** A segment of the peer's at its next number plus `offset`, with `bytes` of text. */
function at(g: Ground, state: string, offset: number, bytes = 0): string {
  const from = ((isRaw(state) ? g.irs : 0) + peerAt(state) + offset) >>> 0;
  return `${from}:${(from + bytes) >>> 0}(${bytes})`;
}

const connectionOf = (t: Harness): Parameters<typeof calls.close>[1] =>
  t.connection ?? [...t.stack.tcp.connections][0]!;

/** What came of it, the same wherever the streams began. */
function outcome(t: Harness, state: string, event: string, g: Ground, answer: unknown): string {
  t.at(t.nowMs);
  const { tcp } = t.stack;
  const sent = t.drain().map((line) => plain(line, state, event, g));
  let now: string;
  if (tcp.connections.size > 0) now = [...tcp.connections][0]!.state;
  else if (tcp.timeWaits.size > 0) now = 'TIME-WAIT';
  else if (state === 'LISTEN' || state === 'SYN-RECEIVED passive')
    now = tcp.listenersOn(8080).length > 0 ? 'LISTEN' : 'CLOSED';
  else now = 'CLOSED';
  return [now, ...new Set(sent), ...t.errors, ...(typeof answer === 'string' ? [answer] : [])].join(' | ');
}

/** Without time, window and options; numbers counted from where the peer's stream begins. */
function plain(line: string, state: string, event: string, g: Ground): string {
  const [, flags, seq, bytes, , ack] = /> (\S+) (\d+):\d+\((\d+)\)( ack (\d+))?/.exec(line)!;
  const active = state === 'SYN-SENT' || state === 'SYN-RECEIVED active';
  const knowsPeer = !isRaw(state) || event === 'SYN,ACK' || (!active && event.includes('SYN'));
  const shift = flags!.includes('S') || !knowsPeer ? g.irs : 0;
  // The successor of a TIME-WAIT begins somewhere beyond it.
  const from = state === 'TIME-WAIT' && flags!.startsWith('S') ? 'beyond' : seq;
  const acked = ack === undefined ? '' : ` ack ${(Number(ack) - shift) >>> 0}`;
  return `${flags!.replace('P', '')} ${from}(${bytes})${acked}`;
}

const TABLE: Record<string, Record<string, string>> = {
  CLOSED: {
    OPEN: 'SYN-SENT | S 0(0)',
    RECEIVE: 'CLOSED',
    STATUS: 'CLOSED',
    SEND: 'CLOSED',
    CLOSE: 'CLOSED',
    SHUTDOWN: 'CLOSED',
    ABORT: 'CLOSED',
    'a SYN': 'CLOSED | R. 0(0) ack 1',
    'the SYN again': 'CLOSED | R. 0(0) ack 1',
    'SYN,ACK': 'CLOSED | R 9(0)',
    'RST, exact': 'CLOSED',
    'RST, inside': 'CLOSED',
    'RST, outside': 'CLOSED',
    'RST,ACK of ours': 'CLOSED',
    'ACK of nothing new': 'CLOSED | R 1(0)',
    'ACK of all': 'CLOSED | R 9(0)',
    'ACK of what was not sent': 'CLOSED | R 100(0)',
    'no ACK': 'CLOSED | R. 0(0) ack 6',
    text: 'CLOSED | R 9(0)',
    'text outside': 'CLOSED | R 9(0)',
    FIN: 'CLOSED | R 1(0)',
    'FIN and ACK of all': 'CLOSED | R 9(0)',
    'the FIN again': 'CLOSED | R 2(0)',
    'RETRANSMISSION TIMEOUT': 'CLOSED',
    'USER TIMEOUT': 'CLOSED',
    'two minutes': 'CLOSED',
  },
  LISTEN: {
    OPEN: 'SYN-SENT | S 0(0)',
    RECEIVE: 'LISTEN',
    STATUS: 'LISTEN',
    SEND: 'LISTEN',
    CLOSE: 'CLOSED',
    SHUTDOWN: 'LISTEN',
    ABORT: 'LISTEN',
    'a SYN': 'SYN-RECEIVED | S. 0(0) ack 501',
    'the SYN again': 'SYN-RECEIVED | S. 0(0) ack 1',
    'SYN,ACK': 'LISTEN | R 9(0)',
    'RST, exact': 'LISTEN',
    'RST, inside': 'LISTEN',
    'RST, outside': 'LISTEN',
    'RST,ACK of ours': 'LISTEN',
    'ACK of nothing new': 'LISTEN | R 1(0)',
    'ACK of all': 'LISTEN | R 9(0)',
    'ACK of what was not sent': 'LISTEN | R 100(0)',
    'no ACK': 'LISTEN',
    text: 'LISTEN | R 9(0)',
    'text outside': 'LISTEN | R 9(0)',
    FIN: 'LISTEN | R 1(0)',
    'FIN and ACK of all': 'LISTEN | R 9(0)',
    'the FIN again': 'LISTEN | R 2(0)',
    'RETRANSMISSION TIMEOUT': 'LISTEN',
    'USER TIMEOUT': 'LISTEN',
    'two minutes': 'LISTEN',
  },
  'SYN-SENT': {
    OPEN: 'SYN-SENT | EADDRINUSE',
    RECEIVE: 'SYN-SENT | 0 bytes',
    STATUS: 'SYN-SENT | number 2',
    SEND: 'SYN-SENT',
    CLOSE: 'CLOSED',
    SHUTDOWN: 'SYN-SENT',
    ABORT: 'CLOSED',
    'a SYN': 'SYN-RECEIVED | S. 0(0) ack 501',
    'the SYN again': 'SYN-RECEIVED | S. 0(0) ack 1',
    'SYN,ACK': 'ESTABLISHED | . 1(0) ack 1',
    'RST, exact': 'SYN-SENT',
    'RST, inside': 'SYN-SENT',
    'RST, outside': 'SYN-SENT',
    'RST,ACK of ours': 'CLOSED | ECONNREFUSED',
    'ACK of nothing new': 'SYN-SENT',
    'ACK of all': 'SYN-SENT',
    'ACK of what was not sent': 'SYN-SENT | R 100(0)',
    'no ACK': 'SYN-SENT',
    text: 'SYN-SENT',
    'text outside': 'SYN-SENT',
    FIN: 'SYN-SENT',
    'FIN and ACK of all': 'SYN-SENT',
    'the FIN again': 'SYN-SENT | R 2(0)',
    'RETRANSMISSION TIMEOUT': 'SYN-SENT | S 0(0)',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'CLOSED | S 0(0) | ETIMEDOUT',
  },
  'SYN-RECEIVED passive': {
    OPEN: 'SYN-RECEIVED | EADDRINUSE',
    RECEIVE: 'ESTABLISHED | 5 bytes',
    STATUS: 'SYN-RECEIVED | number 3',
    SEND: 'SYN-RECEIVED',
    CLOSE: 'SYN-RECEIVED',
    SHUTDOWN: 'SYN-RECEIVED',
    ABORT: 'LISTEN | R. 1(0) ack 1',
    'a SYN': 'SYN-RECEIVED | . 1(0) ack 1',
    'the SYN again': 'SYN-RECEIVED | S. 0(0) ack 1',
    'SYN,ACK': 'SYN-RECEIVED | . 1(0) ack 1',
    'RST, exact': 'LISTEN',
    'RST, inside': 'SYN-RECEIVED | . 1(0) ack 1',
    'RST, outside': 'SYN-RECEIVED',
    'RST,ACK of ours': 'LISTEN',
    'ACK of nothing new': 'ESTABLISHED',
    'ACK of all': 'ESTABLISHED',
    'ACK of what was not sent': 'SYN-RECEIVED | R 100(0)',
    'no ACK': 'SYN-RECEIVED',
    text: 'ESTABLISHED | . 1(0) ack 6',
    'text outside': 'SYN-RECEIVED | . 1(0) ack 1',
    FIN: 'CLOSE-WAIT | . 1(0) ack 2',
    'FIN and ACK of all': 'CLOSE-WAIT | . 1(0) ack 2',
    'the FIN again': 'SYN-RECEIVED | R 2(0)',
    'RETRANSMISSION TIMEOUT': 'SYN-RECEIVED | S. 0(0) ack 1',
    'USER TIMEOUT': 'LISTEN',
    'two minutes': 'LISTEN | S. 0(0) ack 1',
  },
  'SYN-RECEIVED active': {
    OPEN: 'SYN-RECEIVED | EADDRINUSE',
    RECEIVE: 'ESTABLISHED | 5 bytes',
    STATUS: 'SYN-RECEIVED | number 3',
    SEND: 'SYN-RECEIVED',
    CLOSE: 'SYN-RECEIVED',
    SHUTDOWN: 'SYN-RECEIVED',
    ABORT: 'CLOSED | R. 1(0) ack 1',
    'a SYN': 'SYN-RECEIVED | . 1(0) ack 1',
    'the SYN again': 'SYN-RECEIVED | S. 0(0) ack 1',
    'SYN,ACK': 'ESTABLISHED | . 1(0) ack 1',
    'RST, exact': 'CLOSED | ECONNREFUSED',
    'RST, inside': 'SYN-RECEIVED | . 1(0) ack 1',
    'RST, outside': 'SYN-RECEIVED',
    'RST,ACK of ours': 'CLOSED | ECONNREFUSED',
    'ACK of nothing new': 'ESTABLISHED',
    'ACK of all': 'ESTABLISHED',
    'ACK of what was not sent': 'SYN-RECEIVED | R 100(0)',
    'no ACK': 'SYN-RECEIVED',
    text: 'ESTABLISHED | . 1(0) ack 6',
    'text outside': 'SYN-RECEIVED | . 1(0) ack 1',
    FIN: 'CLOSE-WAIT | . 1(0) ack 2',
    'FIN and ACK of all': 'CLOSE-WAIT | . 1(0) ack 2',
    'the FIN again': 'SYN-RECEIVED | R 2(0)',
    'RETRANSMISSION TIMEOUT': 'SYN-RECEIVED | S. 0(0) ack 1',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'CLOSED | S. 0(0) ack 1 | ETIMEDOUT',
  },
  ESTABLISHED: {
    OPEN: 'ESTABLISHED | EADDRINUSE',
    RECEIVE: 'ESTABLISHED | 5 bytes',
    STATUS: 'ESTABLISHED | number 1',
    SEND: 'ESTABLISHED | . 1(10) ack 1',
    CLOSE: 'FIN-WAIT-1 | F. 1(0) ack 1',
    SHUTDOWN: 'FIN-WAIT-1 | F. 1(0) ack 1',
    ABORT: 'CLOSED | R. 1(0) ack 1',
    'a SYN': 'ESTABLISHED | . 1(0) ack 1',
    'the SYN again': 'ESTABLISHED | . 1(0) ack 1',
    'SYN,ACK': 'ESTABLISHED | . 1(0) ack 1',
    'RST, exact': 'CLOSED | ECONNRESET',
    'RST, inside': 'ESTABLISHED | . 1(0) ack 1',
    'RST, outside': 'ESTABLISHED',
    'RST,ACK of ours': 'CLOSED | ECONNRESET',
    'ACK of nothing new': 'ESTABLISHED',
    'ACK of all': 'ESTABLISHED',
    'ACK of what was not sent': 'ESTABLISHED | . 1(0) ack 1',
    'no ACK': 'ESTABLISHED',
    text: 'ESTABLISHED | . 1(0) ack 6',
    'text outside': 'ESTABLISHED | . 1(0) ack 1',
    FIN: 'CLOSE-WAIT | . 1(0) ack 2',
    'FIN and ACK of all': 'CLOSE-WAIT | . 1(0) ack 2',
    'the FIN again': 'ESTABLISHED | . 1(0) ack 1',
    'RETRANSMISSION TIMEOUT': 'ESTABLISHED | . 1(10) ack 1',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'ESTABLISHED',
  },
  'FIN-WAIT-1': {
    OPEN: 'FIN-WAIT-1 | EADDRINUSE',
    RECEIVE: 'FIN-WAIT-1 | 5 bytes',
    STATUS: 'FIN-WAIT-1 | number 4',
    SEND: 'FIN-WAIT-1',
    CLOSE: 'FIN-WAIT-1',
    SHUTDOWN: 'FIN-WAIT-1',
    ABORT: 'CLOSED | R. 2(0) ack 1',
    'a SYN': 'FIN-WAIT-1 | . 2(0) ack 1',
    'the SYN again': 'FIN-WAIT-1 | . 2(0) ack 1',
    'SYN,ACK': 'FIN-WAIT-1 | . 2(0) ack 1',
    'RST, exact': 'CLOSED | ECONNRESET',
    'RST, inside': 'FIN-WAIT-1 | . 2(0) ack 1',
    'RST, outside': 'FIN-WAIT-1',
    'RST,ACK of ours': 'CLOSED | ECONNRESET',
    'ACK of nothing new': 'FIN-WAIT-1',
    'ACK of all': 'FIN-WAIT-2',
    'ACK of what was not sent': 'FIN-WAIT-1 | . 2(0) ack 1',
    'no ACK': 'FIN-WAIT-1',
    text: 'FIN-WAIT-2 | . 2(0) ack 6',
    'text outside': 'FIN-WAIT-1 | . 2(0) ack 1',
    FIN: 'CLOSING | . 2(0) ack 2',
    'FIN and ACK of all': 'TIME-WAIT | . 2(0) ack 2',
    'the FIN again': 'TIME-WAIT | . 2(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'FIN-WAIT-1 | F. 1(0) ack 1',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'FIN-WAIT-1 | F. 1(0) ack 1',
  },
  'FIN-WAIT-2': {
    OPEN: 'FIN-WAIT-2 | EADDRINUSE',
    RECEIVE: 'FIN-WAIT-2 | 5 bytes',
    STATUS: 'FIN-WAIT-2 | number 5',
    SEND: 'FIN-WAIT-2',
    CLOSE: 'FIN-WAIT-2',
    SHUTDOWN: 'FIN-WAIT-2',
    ABORT: 'CLOSED | R. 2(0) ack 1',
    'a SYN': 'FIN-WAIT-2 | . 2(0) ack 1',
    'the SYN again': 'FIN-WAIT-2 | . 2(0) ack 1',
    'SYN,ACK': 'FIN-WAIT-2 | . 2(0) ack 1',
    'RST, exact': 'CLOSED | ECONNRESET',
    'RST, inside': 'FIN-WAIT-2 | . 2(0) ack 1',
    'RST, outside': 'FIN-WAIT-2',
    'RST,ACK of ours': 'CLOSED | ECONNRESET',
    'ACK of nothing new': 'FIN-WAIT-2',
    'ACK of all': 'FIN-WAIT-2',
    'ACK of what was not sent': 'FIN-WAIT-2 | . 2(0) ack 1',
    'no ACK': 'FIN-WAIT-2',
    text: 'FIN-WAIT-2 | . 2(0) ack 6',
    'text outside': 'FIN-WAIT-2 | . 2(0) ack 1',
    FIN: 'TIME-WAIT | . 2(0) ack 2',
    'FIN and ACK of all': 'TIME-WAIT | . 2(0) ack 2',
    'the FIN again': 'TIME-WAIT | . 2(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'FIN-WAIT-2',
    'USER TIMEOUT': 'FIN-WAIT-2',
    'two minutes': 'FIN-WAIT-2',
  },
  'CLOSE-WAIT': {
    OPEN: 'CLOSE-WAIT | EADDRINUSE',
    RECEIVE: 'CLOSE-WAIT | 0 bytes',
    STATUS: 'CLOSE-WAIT | number 8',
    SEND: 'CLOSE-WAIT | . 1(10) ack 2',
    CLOSE: 'LAST-ACK | F. 1(0) ack 2',
    SHUTDOWN: 'LAST-ACK | F. 1(0) ack 2',
    ABORT: 'CLOSED | R. 1(0) ack 2',
    'a SYN': 'CLOSE-WAIT | . 1(0) ack 2',
    'the SYN again': 'CLOSE-WAIT | . 1(0) ack 2',
    'SYN,ACK': 'CLOSE-WAIT | . 1(0) ack 2',
    'RST, exact': 'CLOSED | EPIPE',
    'RST, inside': 'CLOSE-WAIT | . 1(0) ack 2',
    'RST, outside': 'CLOSE-WAIT',
    'RST,ACK of ours': 'CLOSED | EPIPE',
    'ACK of nothing new': 'CLOSE-WAIT',
    'ACK of all': 'CLOSE-WAIT',
    'ACK of what was not sent': 'CLOSE-WAIT | . 1(0) ack 2',
    'no ACK': 'CLOSE-WAIT',
    text: 'CLOSE-WAIT',
    'text outside': 'CLOSE-WAIT | . 1(0) ack 2',
    FIN: 'CLOSE-WAIT | . 1(0) ack 2',
    'FIN and ACK of all': 'CLOSE-WAIT | . 1(0) ack 2',
    'the FIN again': 'CLOSE-WAIT | . 1(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'CLOSE-WAIT | . 1(10) ack 2',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'CLOSE-WAIT',
  },
  CLOSING: {
    OPEN: 'CLOSING | EADDRINUSE',
    RECEIVE: 'CLOSING | 0 bytes',
    STATUS: 'CLOSING | number 11',
    SEND: 'CLOSING',
    CLOSE: 'CLOSING',
    SHUTDOWN: 'CLOSING',
    ABORT: 'CLOSED | R. 2(0) ack 2',
    'a SYN': 'CLOSING | . 2(0) ack 2',
    'the SYN again': 'CLOSING | . 2(0) ack 2',
    'SYN,ACK': 'CLOSING | . 2(0) ack 2',
    'RST, exact': 'CLOSED | ECONNRESET',
    'RST, inside': 'CLOSING | . 2(0) ack 2',
    'RST, outside': 'CLOSING',
    'RST,ACK of ours': 'CLOSED | ECONNRESET',
    'ACK of nothing new': 'CLOSING',
    'ACK of all': 'TIME-WAIT',
    'ACK of what was not sent': 'CLOSING | . 2(0) ack 2',
    'no ACK': 'CLOSING',
    text: 'TIME-WAIT',
    'text outside': 'CLOSING | . 2(0) ack 2',
    FIN: 'CLOSING | . 2(0) ack 2',
    'FIN and ACK of all': 'TIME-WAIT',
    'the FIN again': 'CLOSING | . 2(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'CLOSING | F. 1(0) ack 2',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'CLOSING | F. 1(0) ack 2',
  },
  'LAST-ACK': {
    OPEN: 'LAST-ACK | EADDRINUSE',
    RECEIVE: 'LAST-ACK | 0 bytes',
    STATUS: 'LAST-ACK | number 9',
    SEND: 'LAST-ACK',
    CLOSE: 'LAST-ACK',
    SHUTDOWN: 'LAST-ACK',
    ABORT: 'CLOSED | R. 2(0) ack 2',
    'a SYN': 'LAST-ACK | . 2(0) ack 2',
    'the SYN again': 'LAST-ACK | . 2(0) ack 2',
    'SYN,ACK': 'LAST-ACK | . 2(0) ack 2',
    'RST, exact': 'CLOSED | ECONNRESET',
    'RST, inside': 'LAST-ACK | . 2(0) ack 2',
    'RST, outside': 'LAST-ACK',
    'RST,ACK of ours': 'CLOSED | ECONNRESET',
    'ACK of nothing new': 'LAST-ACK',
    'ACK of all': 'CLOSED',
    'ACK of what was not sent': 'LAST-ACK | . 2(0) ack 2',
    'no ACK': 'LAST-ACK',
    text: 'CLOSED',
    'text outside': 'LAST-ACK | . 2(0) ack 2',
    FIN: 'LAST-ACK | . 2(0) ack 2',
    'FIN and ACK of all': 'CLOSED',
    'the FIN again': 'LAST-ACK | . 2(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'LAST-ACK | F. 1(0) ack 2',
    'USER TIMEOUT': 'CLOSED | ETIMEDOUT',
    'two minutes': 'LAST-ACK | F. 1(0) ack 2',
  },
  'TIME-WAIT': {
    OPEN: 'SYN-SENT | S beyond(0)',
    RECEIVE: 'TIME-WAIT',
    STATUS: 'TIME-WAIT',
    SEND: 'TIME-WAIT',
    CLOSE: 'TIME-WAIT',
    SHUTDOWN: 'TIME-WAIT',
    ABORT: 'TIME-WAIT',
    'a SYN': 'SYN-RECEIVED | S. beyond(0) ack 501',
    'the SYN again': 'TIME-WAIT | . 2(0) ack 2',
    'SYN,ACK': 'TIME-WAIT | . 2(0) ack 2',
    'RST, exact': 'CLOSED',
    'RST, inside': 'TIME-WAIT',
    'RST, outside': 'TIME-WAIT',
    'RST,ACK of ours': 'CLOSED',
    'ACK of nothing new': 'TIME-WAIT',
    'ACK of all': 'TIME-WAIT',
    'ACK of what was not sent': 'TIME-WAIT',
    'no ACK': 'TIME-WAIT | . 2(0) ack 2',
    text: 'TIME-WAIT | . 2(0) ack 2',
    'text outside': 'TIME-WAIT | . 2(0) ack 2',
    FIN: 'TIME-WAIT | . 2(0) ack 2',
    'FIN and ACK of all': 'TIME-WAIT | . 2(0) ack 2',
    'the FIN again': 'TIME-WAIT | . 2(0) ack 2',
    'RETRANSMISSION TIMEOUT': 'TIME-WAIT',
    'USER TIMEOUT': 'TIME-WAIT',
    'two minutes': 'CLOSED',
  },
};

test('every state of the machine is here, and every cell of it', () => {
  const states = new Set(Object.keys(STATES).map((state) => state.split(' ')[0]!));
  expect([...states].sort()).toEqual([...Object.keys(STATE_NUMBERS), 'LISTEN'].sort());
  for (const cells of Object.values(TABLE)) expect(Object.keys(cells).sort()).toEqual(Object.keys(EVENTS).sort());
});

describe.each(Object.keys(STATES))('%s', (state) => {
  test.each(Object.keys(EVENTS))('%s', (event) => {
    for (const place of PLACES) {
      const g = new Ground(place);
      const t = STATES[state]!(g);
      const answer = EVENTS[event]!(t, state, g);
      expect(`${place.title}: ${outcome(t, state, event, g, answer)}`).toBe(`${place.title}: ${TABLE[state]![event]}`);
    }
  });
});
