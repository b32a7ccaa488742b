/**
 * tapwire: a TCP/IP and HTTP stack in the process, on raw frames.
 *
 * @example
 * const [a, b] = memoryPair();
 * const server = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }] });
 */

export type { Device, DeviceCounters, LinkType, Offloads } from './device/device';
export { DeviceError } from './device/errors';
export { type MemoryOptions, memoryPair } from './device/memory';
export { openPacket, type PacketOptions } from './device/packet';
export { type Support, tunSupport } from './device/support';
export { openTap, openTun, type TapOptions, type TunOptions } from './device/tun';
export { type Attachment, createHost, type FrameTap, Host, type HostOptions, type RouteOption } from './net/host';
export { type Loop, nodeLoop } from './net/loop';
export { Address, Cidr, parseAddress, parseCidr } from './stack/base/address';
export { DROPS, type Drop } from './stack/base/drops';
export type { TraceEvent, TraceKind } from './stack/base/trace';
export type { StackLimits } from './stack/stack';
export type { TcpProfile } from './stack/tcp/profile';
