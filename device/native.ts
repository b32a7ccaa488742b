import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DeviceError } from './errors';

/** A port of the addon: opaque here, valid until `close`, and afterwards harmless. */
export type Port = { readonly port: unique symbol };

/** Bits of the `wishes` of openTun, adoptTun and openPacket. */
export const WISH_OFFLOAD = 1;
export const WISH_MULTI_QUEUE = 2;
export const WISH_PROMISCUOUS = 4;

/** Bits of PortInfo.offload (linux/if_tun.h). */
export const TUN_F_CSUM = 1;
export const TUN_F_TSO4 = 2;
export const TUN_F_TSO6 = 4;

export const KIND_TUN = 0;
export const KIND_TAP = 1;
export const KIND_PACKET = 2;

/** What the addon knows of a port. Flags are 0 or 1. */
export interface PortInfo {
  readonly name: string;
  readonly fd: number;
  /** KIND_TUN, KIND_TAP or KIND_PACKET. */
  readonly kind: number;
  readonly ipLink: number;
  /** Bytes of virtio-net header that the kernel puts before each frame; the addon hides them. */
  readonly vnetBytes: number;
  readonly offload: number;
  readonly ifindex: number;
  readonly multiQueue: number;
  readonly persistent: number;
  /** rxFrames, rxBytes, txFrames, txBytes, txErrors, kept up to date by the addon. */
  readonly counters: Float64Array;
}

/**
 * The addon (device/native). Functions throw Errors with `code`, `errno` and `syscall`; on a closed port they do nothing and
 * return undefined.
 */
export interface Native {
  /** A new queue of the interface `name` (at most 15 bytes; '' or a name with %d: the kernel numbers it). */
  openTun(name: string, tap: 0 | 1, wishes: number): Port;
  /** A queue that another process opened. On success the descriptor belongs to the port. */
  adoptTun(fd: number, tap: 0 | 1, wishes: number): Port;
  /** Whether the interface outlives its descriptors, and which user and group may open it (-1: leave). */
  setPersistent(port: Port, on: 0 | 1, uid: number, gid: number): void;
  openPacket(name: string, wishes: number): Port;
  infoOf(port: Port): PortInfo;
  addArena(port: Port, arena: Uint8Array): void;
  dropArenas(port: Port): void;
  /** Frames read into `slab` from `fill` on; a negative errno when none could be. */
  receive(port: Port, slab: Uint8Array, fill: number, records: Int32Array): number;
  transmit(port: Port, records: Int32Array, first: number, frames: number): number;
  /** Calls back while the port is readable, with 0, or with a negative errno when its interface is gone. */
  onReady(port: Port, ready: ((status: number) => void) | null): void;
  hold(port: Port, on: boolean): void;
  close(port: Port): void;
  /** One rtnetlink request that asks for an acknowledgement; the answer's messages. */
  netlink(request: Uint8Array): Uint8Array;
}

/** The addon cannot be loaded: everything in memory still works, TUN, TAP and packet sockets do not. */
export class NativeUnavailable extends DeviceError {}

/** The folder with binding.gyp: one up from device/, two up from dist/device/. */
function packageRoot(): string {
  const near = resolve(__dirname, '..');
  return existsSync(join(near, 'binding.gyp')) ? near : resolve(near, '..');
}

let loaded: Native | null = null;

/**
 * The addon, loaded once.
 *
 * @throws NativeUnavailable with the cause and the cure.
 */
export function loadNative(): Native {
  if (loaded !== null) return loaded;
  if (process.platform !== 'linux') {
    throw new NativeUnavailable({
      what: 'No network device can be opened',
      cause: `TUN, TAP and packet sockets need Linux; this is ${process.platform}`,
      code: 'ERR_TAPWIRE_PLATFORM',
      cure: 'Use the in-memory device, or run on Linux (a virtual machine or a container will do).',
    });
  }
  try {
    loaded = require('node-gyp-build')(packageRoot()) as Native;
    return loaded;
  } catch (error) {
    throw new NativeUnavailable({
      what: 'The native addon is not available',
      cause: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
      code: 'ERR_TAPWIRE_NATIVE',
      cure: 'Build it with `npm rebuild tapwire` (needs python3, make and gcc). Everything in memory works without it.',
    });
  }
}
