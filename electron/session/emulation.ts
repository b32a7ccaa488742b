import type { Duplex } from 'node:stream';

/** What `enableNetworkEmulation` takes. */
export interface NetworkEmulation {
  /** Every request fails with net::ERR_INTERNET_DISCONNECTED. */
  offline?: boolean;
  /** A round trip takes so much longer, in milliseconds. */
  latency?: number;
  /** Bytes a second; 0: as fast as it goes. */
  downloadThroughput?: number;
  uploadThroughput?: number;
}

/**
 * Conditions on the wire below a host. `electron/session` knows links by this only; `fault`'s rules are one (`faultLink`).
 */
export interface EmulatedLink {
  /** From now on the flows that `covers` names have these conditions. Returns what takes them away. */
  impose(conditions: LinkConditions, covers: (localPort: number) => boolean): () => void;
}

/** In the units of links: milliseconds one way, bytes a second. */
export interface LinkConditions {
  readonly delayMs: number;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
}

const LATENCY_MAX_MS = 3_600_000;

/** The emulated conditions of one session: on its own connections, and on no others of the host. */
export class Emulation {
  offline = false;
  private readonly ports = new Set<number>();
  private lift: (() => void) | null = null;

  constructor(private readonly link: EmulatedLink | null) {}

  /**
   * @throws RangeError for numbers that make no sense; Error when conditions other than offline are asked for and the host
   * has no link that can have any
   */
  enable(options: NetworkEmulation): void {
    const { offline = false, latency = 0, downloadThroughput = 0, uploadThroughput = 0 } = options;
    check('latency', latency, LATENCY_MAX_MS);
    check('downloadThroughput', downloadThroughput, Number.MAX_SAFE_INTEGER);
    check('uploadThroughput', uploadThroughput, Number.MAX_SAFE_INTEGER);
    const slows = latency > 0 || downloadThroughput > 0 || uploadThroughput > 0;
    if (slows && this.link === null) {
      throw new Error(
        'latency and throughput are emulated on the link: make the host on faultDevice(device) and give ' +
          'createElectron the option link: faultLink(that)',
      );
    }
    this.disable();
    this.offline = offline;
    if (!slows) return;
    const conditions: LinkConditions = {
      delayMs: latency / 2,
      downloadBytesPerSecond: downloadThroughput,
      uploadBytesPerSecond: uploadThroughput,
    };
    this.lift = this.link!.impose(conditions, (port) => this.ports.has(port));
  }

  disable(): void {
    this.offline = false;
    this.lift?.();
    this.lift = null;
  }

  /** A connection of the session begins: its port is known by the time its SYN leaves. */
  opened(socket: Duplex): void {
    if (this.link === null) return;
    const tcp = socket as Duplex & { localPort?: number; connecting?: boolean };
    let port = 0;
    const note = (): void => {
      if (port !== 0 || tcp.localPort === undefined) return;
      port = tcp.localPort;
      this.ports.add(port);
    };
    if (tcp.connecting === false) note();
    // The attempt is announced right before it is made; what is done in the next tick comes before the stack sends. To ask
    // any sooner would make the socket believe that it has no port.
    tcp.on('connectionAttempt', () => process.nextTick(note));
    tcp.once('connect', note);
    tcp.once('close', () => this.ports.delete(port));
  }
}

function check(what: string, value: number, max: number): void {
  if (!(typeof value === 'number' && value >= 0 && value <= max)) {
    throw new RangeError(`${what} is ${String(value)}: from 0 to ${max}`);
  }
}
