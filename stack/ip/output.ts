import type { Millis } from '../base/bytes';
import { put16, put32 } from '../base/bytes';
import { addPiece, finish, fold, sum } from '../base/checksum';
import { UDP } from '../base/datagram';
import { NO_ROOM, type Path, type Transmitter } from '../base/transmit';
import { PIECE_FIELDS, TX_CHECKSUM_PARTIAL, TX_FIXED, TX_PIECES, TX_SEGMENT, type TxQueue } from '../base/tx-queue';
import { DONT_FRAGMENT, IPV4_HEADER_BYTES, MORE_FRAGMENTS, writeIpv4 } from './ipv4';
import { FRAGMENT_HEADER_BYTES, FRAGMENT_V6, IPV6_HEADER_BYTES, writeIpv6 } from './ipv6';
import type { IpPath } from './paths';

const NO_HEADER = new Uint8Array(0);

/** What IP needs of the link below; the stack joins the two. */
export interface LinkOutput {
  /** Whether the next hop's link address is known; asks for it when it is not. Always true on links without addresses. */
  resolve(path: IpPath, now: Millis): boolean;
  /** Writes the link header of a datagram on `path` at `at`. */
  writeHeader(path: IpPath, b: Uint8Array, at: number): void;
  /** The next hop is not resolved: keeps the frame until it is. */
  park(path: IpPath, frame: Uint8Array): void;
  /** A frame that could not even be parked, or whose interface is down, is lost. */
  lost(path: IpPath): void;
  /** A frame of `bytes` bytes joined the interface's queue. */
  sent(path: IpPath, bytes: number): void;
}

/** Builds IP and link headers around what the transports wrote: the one way into an interface's queue for datagrams. */
export class IpOutput implements Transmitter {
  header: Uint8Array = NO_HEADER;
  private path: IpPath | null = null;
  private at = 0;
  now: Millis = 0;
  flowLabel = 0;

  constructor(private readonly link: LinkOutput) {}

  begin(path: Path): number {
    const p = path as IpPath;
    const queue = p.iface.tx;
    if (!queue.hasRoom) return NO_ROOM;
    this.path = p;
    this.at = queue.begin();
    this.header = queue.header;
    return this.at + p.iface.linkBytes + (p.local.family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
  }

  piece(arena: number, at: number, bytes: number): void {
    this.path!.iface.tx.piece(arena, at, bytes);
  }

  end(
    headerBytes: number,
    protocol: number,
    tos: number,
    hopLimit: number,
    checksumField: number,
    segmentBytes: number,
  ): void {
    const path = this.path!;
    const { flowLabel } = this;
    this.flowLabel = 0;
    const iface = path.iface;
    const queue = iface.tx;
    const family = path.local.family;
    const linkBytes = iface.linkBytes;
    const ipBytes = family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    const ipAt = this.at + linkBytes;
    const bodyAt = ipAt + ipBytes;
    const payloadBytes = queue.frameBytes;
    const bodyBytes = headerBytes + payloadBytes;
    if (!iface.up) {
      this.path = null;
      return this.link.lost(path);
    }
    if (ipBytes + bodyBytes > path.mtu && segmentBytes === 0 && payloadBytes === 0) {
      return this.endInFragments(path, headerBytes, protocol, tos, hopLimit, checksumField);
    }
    queue.headers(linkBytes + ipBytes + headerBytes);
    if (family === 4) {
      path.identification = (path.identification + 1) & 0xffff;
      writeIpv4(
        this.header,
        ipAt,
        IPV4_HEADER_BYTES + bodyBytes,
        path.identification,
        path.dontFragment ? DONT_FRAGMENT : 0,
        tos,
        hopLimit,
        protocol,
        path.local.w3,
        path.remote.w3,
      );
    } else {
      writeIpv6(this.header, ipAt, bodyBytes, tos, flowLabel, hopLimit, protocol, path.local, path.remote);
    }
    const resolved = linkBytes === 0 || this.link.resolve(path, this.now);
    if (checksumField >= 0) {
      const pseudo = path.addressSum + protocol + bodyBytes;
      // A frame of headers only is summed faster than described; a parked one must be complete in itself.
      if (iface.config.checksumOffload && payloadBytes > 0 && resolved) {
        put16(this.header, bodyAt + checksumField, fold(pseudo));
        const flags = segmentBytes > 0 ? TX_CHECKSUM_PARTIAL | TX_SEGMENT : TX_CHECKSUM_PARTIAL;
        queue.offload(flags, linkBytes + ipBytes, checksumField, segmentBytes);
      } else {
        const value = this.checksumOf(queue, bodyAt, headerBytes, pseudo);
        put16(this.header, bodyAt + checksumField, value === 0 && protocol === UDP ? 0xffff : value);
      }
    }
    this.path = null;
    if (linkBytes > 0) this.link.writeHeader(path, this.header, this.at);
    if (resolved) {
      const bytes = queue.frameBytes;
      queue.commit();
      this.link.sent(path, bytes);
    } else if (segmentBytes > 0) {
      this.link.lost(path);
    } else {
      this.link.park(path, queue.copyOpen());
    }
  }

  /**
   * A datagram built whole in `header` that is larger than the path takes (RFC 791 §3.2, RFC 8200 §4.5): UDP and ICMP;
   * TCP never gets here. A link whose queue fills up midway loses the rest, and with it the datagram.
   */
  private endInFragments(
    path: IpPath,
    bodyBytes: number,
    protocol: number,
    tos: number,
    hopLimit: number,
    checksumField: number,
  ): void {
    const v4 = path.local.family === 4;
    const ipBytes = v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES + FRAGMENT_HEADER_BYTES;
    const bodyAt = this.at + path.iface.linkBytes + (v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
    if (checksumField >= 0) {
      const value = finish(sum(this.header, bodyAt, bodyAt + bodyBytes, path.addressSum + protocol + bodyBytes));
      put16(this.header, bodyAt + checksumField, value === 0 && protocol === UDP ? 0xffff : value);
    }
    const body = this.header.slice(bodyAt, bodyAt + bodyBytes);
    path.identification = (path.identification + 1) | 0;
    const step = (path.mtu - ipBytes) & ~7;
    for (let from = 0; from < bodyBytes; from += step) {
      if (!path.iface.tx.hasRoom) return this.link.lost(path);
      const bytes = Math.min(step, bodyBytes - from);
      this.fragment(path, body.subarray(from, from + bytes), from, from + bytes < bodyBytes, protocol, tos, hopLimit);
    }
    this.path = null;
  }

  private fragment(
    path: IpPath,
    piece: Uint8Array,
    from: number,
    more: boolean,
    protocol: number,
    tos: number,
    hopLimit: number,
  ): void {
    const queue = path.iface.tx;
    const b = queue.header;
    const linkAt = queue.begin();
    const at = linkAt + path.iface.linkBytes;
    let bodyAt = at + IPV4_HEADER_BYTES;
    if (path.local.family === 4) {
      const flags = (from >>> 3) | (more ? MORE_FRAGMENTS : 0);
      const length = IPV4_HEADER_BYTES + piece.length;
      const id = path.identification & 0xffff;
      writeIpv4(b, at, length, id, flags, tos, hopLimit, protocol, path.local.w3, path.remote.w3);
    } else {
      bodyAt = at + IPV6_HEADER_BYTES + FRAGMENT_HEADER_BYTES;
      writeIpv6(b, at, FRAGMENT_HEADER_BYTES + piece.length, tos, 0, hopLimit, FRAGMENT_V6, path.local, path.remote);
      b[at + IPV6_HEADER_BYTES] = protocol;
      b[at + IPV6_HEADER_BYTES + 1] = 0;
      put16(b, at + IPV6_HEADER_BYTES + 2, from | (more ? 1 : 0));
      put32(b, at + IPV6_HEADER_BYTES + 4, path.identification);
    }
    b.set(piece, bodyAt);
    queue.headers(bodyAt + piece.length - linkAt);
    this.close(path, queue, linkAt);
  }

  /** Link header, then into the queue, or into the neighbour's waiting room. */
  private close(path: IpPath, queue: TxQueue, linkAt: number): void {
    const onLink = path.iface.linkBytes > 0;
    const resolved = !onLink || this.link.resolve(path, this.now);
    if (onLink) this.link.writeHeader(path, queue.header, linkAt);
    if (!resolved) return this.link.park(path, queue.copyOpen());
    const bytes = queue.frameBytes;
    queue.commit();
    this.link.sent(path, bytes);
  }

  /** Header and pieces of the open frame, in order. */
  private checksumOf(queue: TxQueue, bodyAt: number, headerBytes: number, pseudo: number): number {
    let total = sum(this.header, bodyAt, bodyAt + headerBytes, pseudo);
    const r = queue.records;
    const record = queue.record;
    let before = headerBytes;
    for (let i = 1; i < r[record + TX_PIECES]!; i++) {
      const p = record + TX_FIXED + i * PIECE_FIELDS;
      const at = r[p + 1]!;
      total = addPiece(total, before, queue.arenas.list[r[p]!]!, at, at + r[p + 2]!);
      before += r[p + 2]!;
    }
    return finish(total);
  }
}
