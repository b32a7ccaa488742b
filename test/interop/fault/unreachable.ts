import { put16 } from '../../../stack/base/bytes';
import { finish, sum } from '../../../stack/base/checksum';

const ICMP = 1;
const IPV4_HEADER = 20;
const ICMP_HEADER = 8;

/** ICMP 3/3 about an IPv4 packet without options, from where that was to go. */
export function unreachableFor(packet: Uint8Array): Uint8Array {
  const quoted = packet.subarray(0, IPV4_HEADER + 8);
  const made = new Uint8Array(IPV4_HEADER + ICMP_HEADER + quoted.length);
  made.set([0x45, 0, 0, made.length, 0, 1, 0, 0, 64, ICMP, 0, 0]);
  made.set(packet.subarray(16, 20), 12);
  made.set(packet.subarray(12, 16), 16);
  made.set([3, 3], IPV4_HEADER);
  made.set(quoted, IPV4_HEADER + ICMP_HEADER);
  put16(made, 10, finish(sum(made, 0, IPV4_HEADER, 0)));
  put16(made, IPV4_HEADER + 2, finish(sum(made, IPV4_HEADER, made.length, 0)));
  return made;
}
