/**
 * tapwire: a TCP/IP and HTTP stack in the process, on raw frames.
 *
 * @example
 * const [a, b] = memoryPair();
 * const server = createHost({ device: a, addresses: '10.0.0.1/24' });
 * server.http.createServer((req, res) => res.end('hello')).listen(80);
 */

import type * as NodeDgram from 'node:dgram';
import type * as NodeHttp from 'node:http';
import type * as NodeHttps from 'node:https';
import type * as NodeNet from 'node:net';
import { basename } from 'node:path';
import type { Device } from './device/device';
import { Host, type HostOptions as StackHostOptions } from './net/host';
import type { Trace } from './stack/base/trace';
import { type HostReport, hostReport } from './tools/report';

export type { Device, DeviceCounters, LinkType, Offloads } from './device/device';
export { DeviceError } from './device/errors';
export { type MemoryOptions, memoryPair } from './device/memory';
export { openPacket, type PacketOptions } from './device/packet';
export { type Support, tunSupport } from './device/support';
export { openTap, openTun, type TapOptions, type TunOptions } from './device/tun';
export type { Attachment, FrameTap, RouteOption } from './net/host';
export { type Loop, nodeLoop } from './net/loop';
export { Address, Cidr, parseAddress, parseCidr } from './stack/base/address';
export { DROPS, type Drop } from './stack/base/drops';
export type { TraceEvent, TraceKind } from './stack/base/trace';
export type { StackLimits } from './stack/stack';
export type { AckSample } from './stack/tcp/ack-sample';
export { type CongestionControl, Controller } from './stack/tcp/congestion/control';
export type { Connection } from './stack/tcp/connection';
export { LINUX, RFC, type TcpProfile } from './stack/tcp/profile';
export type { HostReport } from './tools/report';

/** One device with its addresses, several, or none: a host that only reaches itself. */
export interface HostOptions extends Omit<StackHostOptions, 'devices'> {
  device?: Device;
  /** "10.0.0.1/24", one or several, for `device`. */
  addresses?: string | readonly string[];
  devices?: StackHostOptions['devices'];
  /** Lets `tapwire ss` of the same user look at this host; a string names it there. Default: false. */
  control?: boolean | string;
}

/** A TCP/IP stack on its devices, with Node's modules on top. */
export class TapwireHost extends Host {
  private netModule: typeof NodeNet | null = null;
  private httpModule: typeof NodeHttp | null = null;
  private httpsModule: typeof NodeHttps | null = null;
  private dgramModule: typeof NodeDgram | null = null;
  private hide: (() => void) | null = null;
  private readonly logs: { close(): void }[] = [];

  /** Node's `net`, and typed like it: its sockets connect from this host, its servers listen on it. */
  get net(): typeof NodeNet {
    const { createNet } = require('./net') as typeof import('./net');
    this.netModule ??= createNet(this) as unknown as typeof NodeNet;
    return this.netModule;
  }

  /** Node's `http`, likewise. */
  get http(): typeof NodeHttp {
    const { createHttp } = require('./http') as typeof import('./http');
    this.httpModule ??= createHttp(this.net) as unknown as typeof NodeHttp;
    return this.httpModule;
  }

  /** Node's `https`: Node's own TLS over this host's connections. */
  get https(): typeof NodeHttps {
    const { createHttps } = require('./http/https') as typeof import('./http/https');
    this.httpsModule ??= createHttps(this.net) as unknown as typeof NodeHttps;
    return this.httpsModule;
  }

  /** Node's `dgram`: UDP from and to this host. */
  get dgram(): typeof NodeDgram {
    const { createDgram } = require('./net/dgram') as typeof import('./net/dgram');
    this.dgramModule ??= createDgram(this) as unknown as typeof NodeDgram;
    return this.dgramModule;
  }

  /** The event log; it is kept when the host was made with `trace: true`. */
  get trace(): Trace {
    return this.stack.trace;
  }

  /** Lets `tapwire ss` look at this host, under that name, until it is closed. */
  show(name: string): void {
    const { showHost } = require('./tools/control/server') as typeof import('./tools/control/server');
    this.hide ??= showHost(name, this, basename(process.argv[1] ?? 'node'));
  }

  /**
   * Records what TCP does, and why, as qlog, from now on until the host is closed, or what this returns: JSON-SEQ, or a
   * line a record when the name ends in .ndjson. Keeps the event log from now on.
   *
   * @throws the system's error when the file cannot be created
   */
  qlog(path: string): { close(): void } {
    const { QlogFile } = require('./tools/qlog/writer') as typeof import('./tools/qlog/writer');
    const log = new QlogFile(path);
    log.record(this);
    this.logs.push(log);
    return log;
  }

  override close(): void {
    this.hide?.();
    this.hide = null;
    super.close();
    for (const log of this.logs.splice(0)) log.close();
  }

  /** What the stack holds and has counted. */
  stats(): HostReport {
    return hostReport(this);
  }
}

/**
 * Makes a host. It keeps the process alive only while servers listen and sockets are open; `close` ends it.
 *
 * @throws RangeError for an address, route or profile that makes no sense.
 */
export function createHost(options: HostOptions = {}): TapwireHost {
  const { device, addresses = [], devices = [], control = false, ...rest } = options;
  const list = typeof addresses === 'string' ? [addresses] : addresses;
  if (device === undefined && list.length > 0) throw new RangeError('addresses need a device');
  const attached = device === undefined ? devices : [{ device, addresses: list }, ...devices];
  const host = new TapwireHost({ ...rest, devices: attached });
  if (control !== false) host.show(control === true ? 'host' : control);
  return host;
}
