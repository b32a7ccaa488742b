import { formatAddress, parseAddress } from './address';
import type { Event, Script } from './ast';
import type { FrameObserver } from './capture';
import type { Connection } from './connection';
import { decodeFrame } from './decode';
import { recordPieces, text } from './notation';
import { type PacketRecord, SYN } from './packet';
import type { Failure, FailureKind, LoggedPacket } from './report';
import { Unsupported } from './source';
import type { Profile, TargetFactory, TargetSocket } from './target';
import { World } from './world';

export interface RunOptions {
  readonly factory: TargetFactory;
  readonly profile: Profile;
  /** No tolerance: see CompareOptions; times must be exact unless the script sets a tolerance. */
  readonly strict: boolean;
  readonly seed: number;
  /** Hears of each event as it begins, and what code blocks print. */
  readonly trace?: (line: string) => void;
  /** Hears of every datagram on the wire. */
  readonly observer?: FrameObserver;
}

/** What is wrong, without what the stage adds. */
export interface Wrong {
  readonly kind: FailureKind;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly expected?: string;
  readonly actual?: string;
  readonly marks?: string;
  readonly cause?: string;
  readonly hint?: string;
  /** Where, when it is not the event's line. */
  readonly line?: number;
}

/** Ends a run. */
export class Mismatch extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** What the parts of a run share: the world, where the script stands, and how a run fails. */
export class Stage {
  readonly world: World;
  readonly warnings: string[];
  readonly packets: LoggedPacket[] = [];
  /** The connection under test; null until there is one. */
  connection: Connection | null = null;
  /** The socket that code blocks look at. */
  underTest: TargetSocket | null = null;
  /** Payloads are all zeros as long as the script writes nothing else. */
  zeroPayload = true;
  /** The event that is being run. */
  event: Event;
  /** The line of the packet that came last, and why the stack did not use it; null when it did. */
  dropped: { readonly line: number; readonly reason: string } | null = null;
  /** The scripted time of the event before, in microseconds. */
  previousUs = 0;

  constructor(
    readonly script: Script,
    readonly options: RunOptions,
  ) {
    const { factory, profile, seed } = options;
    const { family, wireVersion, localIp, remoteIp, gatewayIp, netmaskIp, mtu, mss } = script.config;
    const addresses = { localIp, remoteIp, gatewayIp, netmaskIp };
    this.world = new World(factory, { profile, seed, family, wireVersion, ...addresses, mtu, mss });
    this.world.observer = options.observer ?? null;
    this.warnings = [...script.warnings];
    this.event = script.events[0]!;
  }

  /** An event as written, on one line. */
  sourceOf(event: Event): string {
    return this.script.source.text.slice(event.at, event.end).replace(/\s+/g, ' ');
  }

  failure(wrong: Wrong, event = this.event): Failure {
    return {
      line: wrong.line ?? event.line,
      kind: wrong.kind,
      message: wrong.message,
      expected: wrong.expected ?? '',
      actual: wrong.actual ?? '',
      marks: wrong.marks ?? '',
      atUs: this.world.nowUs,
      state: this.underTest?.state() ?? '',
      cause: wrong.cause ?? '',
      hint: this.hintFor(wrong),
      source: this.sourceOf(event),
    };
  }

  /** A packet that was dropped says more than anything else. */
  private hintFor({ kind, hint = '' }: Wrong): string {
    if (this.dropped === null || kind === 'parse' || kind === 'unsupported') return hint;
    return `the stack did not use the packet of line ${this.dropped.line}: ${this.dropped.reason}`;
  }

  /** Whether a packet belongs to the connection under test. An active one learns its port from its first packet. */
  concerns(record: PacketRecord): boolean {
    const { connection, script } = this;
    const remoteIp = connection?.remote.ip ?? canonicalAddress(script.config.remoteIp);
    const localIp = connection?.local.ip ?? canonicalAddress(script.config.localIp);
    if (record.ip.destination !== remoteIp || record.ip.source !== localIp) return false;
    if (record.protocol === 'icmp') return !isLinkNoise(record.ip.version, record.type);
    if (connection === null) return record.protocol === 'tcp';
    if (connection.protocol !== record.protocol || record.destinationPort !== connection.remote.port) return false;
    // An active one begins with a SYN: what still comes from an earlier connection's port is none of it.
    const begins = record.protocol !== 'tcp' || (record.flags & SYN) !== 0;
    if (connection.local.port === 0 && begins) connection.local.port = record.sourcePort;
    return record.sourcePort === connection.local.port;
  }

  /** What the stack has sent for this connection and no line has expected so far, in the script's notation. */
  untaken(): string[] {
    return this.world.sent.flatMap(({ frame }) => {
      const { record } = decodeFrame(frame);
      if (record === null || !this.concerns(record)) return [];
      const { connection } = this;
      const shown = record.protocol === 'tcp' && connection !== null ? connection.toScript(record) : record;
      return [text(recordPieces(shown, null))];
    });
  }

  /** Ends the run, or goes on with a warning when the script said that this kind is not fatal. */
  fail(wrong: Wrong, event = this.event): void {
    const failure = this.failure(wrong, event);
    const { packet, syscall } = this.script.config.nonFatal;
    const mayGoOn = failure.kind === 'syscall' ? syscall : failure.kind === 'packet' ? packet : false;
    if (!mayGoOn) throw new Mismatch(failure);
    this.warnings.push(`line ${failure.line}: ${failure.kind}: ${failure.message}`);
  }

  /** How far off a time may be: an absolute tolerance, or a part of the distance to the event before. */
  allowedUs(dueUs: number): number {
    const { toleranceUs, tolerancePercent, toleranceGiven } = this.script.config;
    if (this.options.strict) return toleranceGiven ? toleranceUs : 0;
    return Math.max(toleranceUs, (tolerancePercent / 100) * Math.abs(dueUs - this.previousUs));
  }

  log(direction: 'in' | 'out', text: string, line: number, atUs: number): void {
    this.packets.push({ atUs, direction, text, line });
  }
}

/** An address in the form in which decoded packets show it. Throws Unsupported when it is none. */
export function canonicalAddress(ip: string): string {
  const bytes = parseAddress(ip);
  if (bytes === null) throw new Unsupported(`${ip} is not an IP address`);
  return formatAddress(bytes);
}

/** Neighbour and router discovery and multicast listener reports. */
const isLinkNoise = (version: number, type: number): boolean =>
  version === 6 && ((type >= 130 && type <= 137) || type === 143);
