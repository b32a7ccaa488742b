import type { Address } from './address';

/**
 * Where datagrams between two addresses go, worked out once and kept by connections: interface, next hop, limits.
 * The IP layer makes and updates paths; the layers above read them.
 */
export interface Path {
  readonly local: Address;
  readonly remote: Address;
  /** The largest datagram, in bytes: the interface's MTU or what path MTU discovery has learned (RFC 1191, 8201). */
  mtu: number;
  /** The interface's own MTU, which bounds what we announce as our MSS. */
  readonly linkMtu: number;
  /** The link cuts TCP segments itself: datagrams up to this many bytes may be handed down. 0: it does not. */
  readonly segmentationMax: number;
  /** The link it leaves by, for those who compare. */
  readonly link: Link;
}

/** An interface, as far as the layers above IP care. */
export interface Link {
  /** What leaves by it comes back to this host. */
  readonly isLoopback: boolean;
}

/** What is known of a next hop's link address. */
export interface NextHop {
  readonly address: Address;
  readonly mac: Uint8Array;
  readonly usable: boolean;
}

/** No room in the link's queue: flush and come back. */
export const NO_ROOM = -1;

/**
 * The one way out for everything above IP. `begin`, write the transport header at the returned position of `header`, add
 * payload by reference, `end`. IP writes its own header, the link's, and the transport checksum, or leaves the latter to
 * the device.
 */
export interface Transmitter {
  /** The buffer that the current frame's headers are built in. Valid from `begin` to `end`. */
  header: Uint8Array;
  /** The IPv6 flow label of the datagram that `end` completes (RFC 6437), in 20 bits; 0, none, again after it. */
  flowLabel: number;
  /** Returns where the transport header begins in `header`, or NO_ROOM. */
  begin(path: Path): number;
  /** Payload by reference: `bytes` bytes of arena `arena` from `at` on. They must stay unchanged until the flush. */
  piece(arena: number, at: number, bytes: number): void;
  /**
   * Completes the datagram. `headerBytes` is what stands in `header` from where `begin` said; `checksumField` is the
   * checksum's offset in it, or -1; `segmentBytes` is the payload of each segment when the link shall cut, else 0.
   */
  end(
    headerBytes: number,
    protocol: number,
    tos: number,
    hopLimit: number,
    checksumField: number,
    segmentBytes: number,
  ): void;
}
