import type { Bytes } from '../../stack/base/bytes';
import type { IcmpLine, IpInfo, PacketLine, TcpLine } from './ast';
import type { Connection } from './connection';
import { encodeIcmp, encodeQuote, encodeTcp, encodeUdp, PROTOCOL_TCP, PROTOCOL_UDP } from './encode';
import type { IpFields, IpVersion, TcpRecord } from './packet';

const DEFAULT_TTL = 255;
const ECN_BITS = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: 2 } as const;

/** A scripted packet to the stack as a datagram, or what the script says that cannot be. */
export type Built = { readonly frame: Bytes } | { readonly error: string };

/** Turns a line into the datagram that the stack gets, with the live addresses, ports and numbers of the connection. */
export function buildInbound(line: PacketLine, connection: Connection, version: IpVersion, scaleEcho: boolean): Built {
  const ip = ipFields(line.ip, version, connection.remote.ip, connection.local.ip);
  try {
    if (line.kind === 'tcp') return buildTcp(line, connection, ip, scaleEcho);
    if (line.kind === 'icmp') return { frame: buildIcmp(line, connection, ip) };
    const sourcePort = line.ports?.source ?? connection.remote.port;
    const destinationPort = line.ports?.destination ?? connection.local.port;
    return { frame: encodeUdp({ protocol: 'udp', ip, sourcePort, destinationPort, payloadBytes: line.length }) };
  } catch (error) {
    if (error instanceof RangeError) return { error: error.message };
    throw error;
  }
}

function ipFields(info: IpInfo, version: IpVersion, source: string, destination: string): IpFields {
  const tos = info.tos ?? (info.ecn === null ? 0 : ECN_BITS[info.ecn]);
  return { version, ttl: info.ttl ?? DEFAULT_TTL, tos, flowLabel: info.flowLabel ?? 0, source, destination };
}

function buildTcp(line: TcpLine, connection: Connection, ip: IpFields, scaleEcho: boolean): Built {
  const live = connection.toLive(line, scaleEcho);
  if ('unknownEcho' in live) {
    return { error: `no packet from the stack carried the timestamp ${live.unknownEcho} that is echoed` };
  }
  const record: TcpRecord = {
    protocol: 'tcp',
    ip,
    sourcePort: line.ports?.source ?? connection.remote.port,
    destinationPort: line.ports?.destination ?? connection.local.port,
    flags: line.flags,
    seq: live.seq,
    ack: live.ack,
    window: line.window ?? 0,
    urgent: line.urgent ?? 0,
    options: [...live.options],
    payloadBytes: line.length,
  };
  return { frame: encodeTcp(record) };
}

/** Types that quote the datagram they are about. */
const isError = (version: IpVersion, type: number): boolean =>
  version === 6 ? type < 128 : [3, 4, 5, 11, 12].includes(type);

function buildIcmp(line: IcmpLine, connection: Connection, ip: IpFields): Bytes {
  const quotes = isError(ip.version, line.type.number) && line.quote?.protocol !== 'raw';
  const body = quotes ? quote(line, connection, ip.version) : new Uint8Array(line.quote?.length ?? 0);
  const { mtu, id } = line;
  return encodeIcmp({ ip, type: line.type.number, code: line.code?.number ?? 0, mtu: mtu ?? 0, id: id ?? 0, body });
}

/** The datagram of the stack that the message is about: its IP header and eight bytes. */
function quote(line: IcmpLine, connection: Connection, version: IpVersion): Bytes {
  const ip: IpFields = {
    version,
    ttl: 64,
    tos: 0,
    flowLabel: 0,
    source: connection.local.ip,
    destination: connection.remote.ip,
  };
  const ends = { protocol: 'udp' as const, sourcePort: connection.local.port, destinationPort: connection.remote.port };
  const length = line.quote?.length ?? 0;
  const headerBytes = version === 4 ? 20 : 40;
  const isUdp = line.quote === null ? connection.protocol === 'udp' : line.quote.protocol === 'udp';
  if (isUdp) {
    const header = encodeUdp({ ...ends, ip, payloadBytes: length }).subarray(headerBytes);
    return encodeQuote(ip, PROTOCOL_UDP, header, 8 + length);
  }
  const header = encodeTcp({
    ...ends,
    protocol: 'tcp',
    ip,
    flags: 0,
    seq: connection.quotedSeq(line),
    ack: 0,
    window: 0,
    urgent: 0,
    options: [],
    payloadBytes: 0,
  }).subarray(headerBytes);
  return encodeQuote(ip, PROTOCOL_TCP, header, 20 + length);
}
