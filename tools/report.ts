import { readdirSync } from 'node:fs';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { DeviceCounters } from '../device/device';
import type { Host } from '../net/host';
import type { Drop } from '../stack/base/drops';
import type { TcpCounters } from '../stack/tcp/tcp';

/** What one stack holds at this moment, and what it has counted. All zero in the first part: nothing has leaked. */
export interface HostReport {
  /** By state, such as { ESTABLISHED: 2 }; only states that occur. */
  connections: Record<string, number>;
  connectionsTotal: number;
  timeWaits: number;
  listeners: number;
  /** Established and waiting to be accepted. */
  acceptQueue: number;
  /** Slabs of received frames: all there are, of which something is still kept, and replaced because views left. */
  slabs: { total: number; pinned: number; replaced: number };
  /** Pieces of received text that wait: unread or out of order. */
  receiveNodes: number;
  /** Send blocks that hold written and not yet acknowledged bytes. */
  sendBlocks: number;
  sendBytes: number;
  /** Segments that are on their way and not acknowledged. */
  segmentsInFlight: number;
  /** Dropped frames by reason; only reasons that occurred. */
  drops: Partial<Record<Drop, number>>;
  tcp: TcpCounters;
  devices: (DeviceCounters & { name: string })[];
}

export interface ProcessReport {
  /** Open descriptors of the process; null where the system does not tell. */
  descriptors: number | null;
  /** What keeps Node's loop busy, by kind. */
  resources: Record<string, number>;
  heapMiB: number;
  buffersMiB: number;
  uptimeSeconds: number;
  /** The longest that the loop was late since the watch began; null when nobody watches. */
  loopDelayMaxMs: number | null;
}

export interface Report {
  process: ProcessReport;
  hosts: Record<string, HostReport>;
}

/** Looks; changes nothing. `hosts` by the name that the report shall use. */
export function reportOn(hosts: Readonly<Record<string, Host>>): Report {
  const entries = Object.entries(hosts).map(([name, host]) => [name, hostReport(host)]);
  return { process: processReport(), hosts: Object.fromEntries(entries) };
}

export function hostReport(host: Host): HostReport {
  const { stack } = host;
  const { tcp } = stack;
  const listeners = [...tcp.allListeners()];
  return {
    connections: countBy([...tcp.connections].map((c) => c.state)),
    connectionsTotal: tcp.connections.size,
    timeWaits: tcp.timeWaits.size,
    listeners: listeners.length,
    acceptQueue: listeners.reduce((sum, listener) => sum + listener.accepted.length, 0),
    slabs: { total: stack.slabs.slabs.length, pinned: stack.slabs.pinned(), replaced: stack.slabs.replaced },
    receiveNodes: tcp.store.inUse,
    sendBlocks: stack.blocks.inUse,
    sendBytes: stack.blocks.bytesInUse,
    segmentsInFlight: tcp.sent.inUse,
    drops: stack.drops.nonZero(),
    tcp: { ...tcp.counters },
    devices: host.devices.map(({ name, counters }) => {
      const { rxFrames, rxBytes, txFrames, txBytes, txErrors } = counters;
      return { name, rxFrames, rxBytes, txFrames, txBytes, txErrors };
    }),
  };
}

let loopDelay: IntervalHistogram | null = null;

/** From now on reports tell the longest delay of the event loop. Costs a timer of 20 ms. */
export function watchLoop(): void {
  if (loopDelay !== null) return;
  loopDelay = monitorEventLoopDelay({ resolution: 20 });
  loopDelay.enable();
}

function processReport(): ProcessReport {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return {
    descriptors: countDescriptors(),
    resources: countBy(process.getActiveResourcesInfo()),
    heapMiB: mebibytes(heapUsed),
    buffersMiB: mebibytes(arrayBuffers),
    uptimeSeconds: Math.round(process.uptime()),
    loopDelayMaxMs: loopDelay === null ? null : Math.round(loopDelay.max / 1e6),
  };
}

function countDescriptors(): number | null {
  try {
    // One of them is the folder being read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

const mebibytes = (bytes: number): number => Math.round(bytes / 104_857.6) / 10;

/** For people: a few lines for the process and each stack. */
export function reportText(report: Report, pid = process.pid): string {
  const { descriptors, resources, heapMiB, buffersMiB, uptimeSeconds } = report.process;
  const lines = [
    `process ${pid}: up ${uptimeSeconds} s, ${counted(descriptors, 'descriptor')}, heap ${heapMiB} MiB, buffers ${buffersMiB} MiB`,
    `  loop: ${pairs(resources)}`,
  ];
  for (const [name, host] of Object.entries(report.hosts)) lines.push(...hostLines(name, host));
  return `${lines.join('\n')}\n`;
}

function hostLines(name: string, r: HostReport): string[] {
  const devices = r.devices.map(
    (d) =>
      `  ${d.name}: in ${traffic(d.rxFrames, d.rxBytes)}, out ${traffic(d.txFrames, d.txBytes)}, ${counted(d.txErrors, 'error')}`,
  );
  return [
    `${name}: ${counted(r.connectionsTotal, 'connection')} (${pairs(r.connections)}), ${r.timeWaits} in TIME-WAIT, ` +
      `${counted(r.listeners, 'listener')}, ${r.acceptQueue} to accept`,
    `  slots: slabs ${r.slabs.pinned} of ${r.slabs.total} pinned (${r.slabs.replaced} replaced), ${counted(r.receiveNodes, 'piece')} unread, ` +
      `send blocks ${r.sendBlocks} (${counted(r.sendBytes, 'byte')}), ${counted(r.segmentsInFlight, 'segment')} in flight`,
    `  drops: ${pairs(r.drops)}`,
    `  tcp: ${pairs(r.tcp as unknown as Record<string, number>)}`,
    ...devices,
  ];
}

const traffic = (frames: number, bytes: number): string => `${counted(frames, 'frame')} ${counted(bytes, 'byte')}`;

/** "1 connection", "2 connections"; null: the system does not tell. */
const counted = (count: number | null, thing: string): string => `${count ?? '?'} ${thing}${count === 1 ? '' : 's'}`;

function pairs(counts: Readonly<Partial<Record<string, number>>>): string {
  const text = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return text.length === 0 ? 'none' : text.join(', ');
}
