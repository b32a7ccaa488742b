import { printable } from '../pcap/application';
import type { SocketEnd, SocketEntry } from './entries';
import { internalsText, memoryText, timerText } from './internals';

/** What `ss` shows of a socket beside its addresses. */
export interface TableOptions {
  /** -i: TCP's inner state. */
  info?: boolean;
  /** -o: timers. */
  timers?: boolean;
  /** -m: memory. */
  memory?: boolean;
  /** -e: the connection's number. */
  extended?: boolean;
  /** -p: the process. */
  processes?: boolean;
  /** -n: rates in full. */
  numeric?: boolean;
  /** -O: one line a socket. */
  oneline?: boolean;
  /** -H: no line with the columns' names. */
  noHeader?: boolean;
}

/** A socket, and whose it is. */
export interface Row {
  readonly entry: SocketEntry;
  /** `users:(("serve",pid=7))`; '' when that is not told. */
  readonly process: string;
}

const port = (end: SocketEnd): string => (end.port === 0 ? '*' : String(end.port));
const address = (end: SocketEnd): string => (end.address.includes(':') ? `[${end.address}]` : end.address);

const HEADER = {
  netid: 'Netid',
  state: 'State',
  recvQ: 'Recv-Q',
  sendQ: 'Send-Q',
  local: 'Local Address',
  localPort: 'Port',
  peer: 'Peer Address',
  peerPort: 'Port',
} as const;
type Cells = Record<keyof typeof HEADER, string>;

function cellsOf({ netid, state, recvQ, sendQ, local, peer }: SocketEntry): Cells {
  return {
    netid,
    state,
    recvQ: String(recvQ),
    sendQ: String(sendQ),
    local: address(local),
    localPort: port(local),
    peer: address(peer),
    peerPort: port(peer),
  };
}

/** The table that `ss` prints, in its layout. The column Netid is there when sockets of several kinds may be. */
export function socketTable(rows: readonly Row[], withNetid: boolean, options: TableOptions): string {
  const cells = rows.map(({ entry }) => cellsOf(entry));
  const widths = widthsOf(options.noHeader === true ? cells : [HEADER, ...cells]);
  const lines = options.noHeader === true ? [] : [`${line(HEADER, widths, withNetid)} Process`];
  rows.forEach((row, i) => {
    const beside = besideText(row, options);
    const inner = [
      options.memory === true && row.entry.memory !== null ? memoryText(row.entry.memory) : '',
      options.info === true ? internalsText(row.entry, options.numeric === true) : '',
    ].filter((text) => text !== '');
    const first = `${line(cells[i]!, widths, withNetid)} ${beside}`.trimEnd();
    if (inner.length === 0) lines.push(first);
    else if (options.oneline === true) lines.push(`${first} ${inner.join(' ')}`);
    else lines.push(first, `\t ${inner.join(' ')}`);
  });
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function besideText({ entry, process }: Row, options: TableOptions): string {
  const words: string[] = [];
  if (options.processes === true && process !== '') words.push(process);
  if (options.timers === true && entry.timer !== null) words.push(timerText(entry.timer));
  if (options.extended === true && entry.id !== 0) words.push(`sk:${entry.id}`);
  return words.join(' ');
}

function widthsOf(cells: readonly Cells[]): Record<keyof Cells, number> {
  const widths = Object.fromEntries(Object.keys(HEADER).map((key) => [key, 0])) as Record<keyof Cells, number>;
  for (const row of cells) {
    for (const key of Object.keys(HEADER) as (keyof Cells)[]) widths[key] = Math.max(widths[key], row[key].length);
  }
  return widths;
}

function line(c: Cells, w: Record<keyof Cells, number>, withNetid: boolean): string {
  return [
    ...(withNetid ? [c.netid.padEnd(w.netid)] : []),
    c.state.padEnd(w.state),
    c.recvQ.padEnd(w.recvQ),
    c.sendQ.padEnd(w.sendQ),
    `${c.local.padStart(w.local)}:${c.localPort.padEnd(w.localPort)}`,
    `${c.peer.padStart(w.peer)}:${c.peerPort.padEnd(w.peerPort)}`,
  ].join(' ');
}

/** The column Process, as `ss -p` writes it, but for the descriptor: a socket of ours has none. */
export const processText = (title: string, pid: number): string =>
  `users:(("${printable(title).replaceAll('"', '')}",pid=${pid}))`;
