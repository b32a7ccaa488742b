import { parseAddress } from '../../../../stack/base/address';
import * as calls from '../../../../stack/tcp/calls';
import { ADVICE, type Connection, type ConnectionOwner, FAILED, type TcpError } from '../../../../stack/tcp/connection';
import type { UdpSocket } from '../../../../stack/udp/udp';
import * as f from './frames';
import type { Lab } from './lab';

/** One TCP connection of the lab's, its peer played by hand: enough to see what ICMP does to it. */
export class Flow implements ConnectionOwner {
  readonly c: Connection;
  readonly errors: (TcpError | null)[] = [];
  readonly advice: (TcpError | null)[] = [];
  readonly us: string;
  /** Our initial sequence number. */
  readonly iss = 100_000;

  constructor(
    readonly lab: Lab,
    readonly remote: string,
    readonly port = 80,
  ) {
    const { tcp } = lab.stack;
    tcp.initialSequenceFixed = this.iss as never;
    const c = calls.connect(tcp, parseAddress(remote)!, port, null, 0, this, lab.now);
    if (typeof c === 'string') throw new Error(c);
    this.c = c;
    this.us = c.local.toString();
    lab.poll();
  }

  get isV6(): boolean {
    return this.remote.includes(':');
  }

  onSignals(c: Connection, bits: number): void {
    if ((bits & FAILED) !== 0) this.errors.push(c.error);
    if ((bits & ADVICE) !== 0) this.advice.push(c.softError);
  }

  /** What the owner is told. */
  tell(): this {
    const { signalled } = this.lab.stack.tcp;
    for (let c = signalled.take(); c !== null; c = signalled.take()) {
      const bits = c.signals;
      c.signals = 0;
      c.owner?.onSignals(c, bits);
    }
    return this;
  }

  /** A segment of the peer's, whole. */
  segment(fields: f.TcpFields): Uint8Array {
    const ends = { from: this.remote, to: this.us, sport: this.port, dport: this.c.localPort };
    const body = f.tcp({ ...ends, window: 65_535, ...fields });
    return this.isV6 ? f.ip6(f.TCP, body, ends) : f.ip4(f.TCP, body, ends);
  }

  /** The peer answers: no options but its MSS. */
  establish(mss = 1460): this {
    this.lab.sent();
    const options = [2, 4, ...f.word(mss)];
    this.lab.rx(this.segment({ flags: f.SYN | f.ACK, seq: 7000, ack: this.iss + 1, options }));
    this.lab.sent();
    return this.tell();
  }

  write(bytes: number): this {
    const taken = calls.send(this.lab.stack.tcp, this.c, new Uint8Array(bytes), 0, bytes);
    if (taken !== bytes) throw new Error(`${taken} of ${bytes} bytes taken`);
    this.lab.poll();
    return this;
  }

  /** The peer acknowledges our text up to `offset`. */
  ack(offset: number): this {
    this.lab.rx(this.segment({ flags: f.ACK, seq: 7001, ack: this.iss + 1 + offset }));
    return this.tell();
  }

  /** Offset and length of each segment of text that was sent, and the size of its datagram. */
  texts(): [offset: number, bytes: number, datagram: number][] {
    return this.lab
      .take()
      .map(({ bytes }) => bytes)
      .map((bytes) => (bytes.length > 14 && bytes[12] === 0x08 && bytes[0] === 2 ? bytes.subarray(14) : bytes))
      .map((bytes): [number, number, number] => {
        const at = this.isV6 ? 40 : 20;
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const header = (bytes[at + 12]! >> 4) * 4;
        return [view.getUint32(at + 4) - this.iss - 1, bytes.length - at - header, bytes.length];
      })
      .filter(([, bytes]) => bytes > 0);
  }

  /** The packet of ours with text at `offset`, as a router would quote it: header and eight bytes. */
  quote(offset: number, length = 1500): Uint8Array {
    const ends = { from: this.us, to: this.remote, sport: this.c.localPort, dport: this.port };
    const body = f.tcp({ ...ends, flags: f.ACK, seq: this.iss + 1 + offset });
    return this.isV6
      ? f.ip6(f.TCP, body, { ...ends, length: length - 40 })
      : f.ip4(f.TCP, body.slice(0, 8), { ...ends, length, df: true });
  }

  /** "Too big" about such a packet, from a router on the way. */
  tooBig(mtu: number, offset: number, length = 1500): Uint8Array {
    return this.error(this.isV6 ? [2, 0] : [3, 4], offset, mtu, length);
  }

  /** An error about such a packet. */
  error([type, code]: readonly [number, number], offset: number, rest = 0, length = 1500): Uint8Array {
    const quote = this.quote(offset, length);
    const ends = { from: this.isV6 ? 'fd00::fe' : '10.0.0.254', to: this.us };
    return this.isV6
      ? f.ip6(f.ICMP6, f.icmp6(type, code, rest, quote, ends), ends)
      : f.ip4(f.ICMP, f.icmp4(type, code, rest, quote), ends);
  }
}

/** A UDP socket, connected to `remote` if that is given. */
export function udpSocket(lab: Lab, port: number, remote: string | null = null, remotePort = 7): UdpSocket {
  const socket = lab.stack.udp.bind(null, 0, port, false);
  if (typeof socket === 'string') throw new Error(socket);
  if (remote !== null) {
    const refused = lab.stack.udp.connect(socket, parseAddress(remote)!, remotePort);
    if (refused !== null) throw new Error(refused);
  }
  return socket;
}

/** Sends and polls; returns why not. */
export function udpSend(
  lab: Lab,
  socket: UdpSocket,
  remote: string,
  port = 7,
  bytes: Uint8Array = new Uint8Array(1),
): string | null {
  const refused = lab.stack.udp.send(socket, bytes, parseAddress(remote)!, port);
  lab.poll();
  return refused;
}
