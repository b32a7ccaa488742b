/** `tapwire/device`: every way in which frames come into the process and leave it. */

export type { Device, DeviceCounters, FrameBatch, LinkType, Offloads } from './device';
export {
  FRAMES_PER_BATCH,
  NO_OFFLOADS,
  newBatch,
  newCounters,
  RX_AT,
  RX_BYTES,
  RX_CHECKSUM_PARTIAL,
  RX_CHECKSUM_VALID,
  RX_FIELDS,
  RX_FLAGS,
  RX_SEGMENT_BYTES,
} from './device';
export { DeviceError } from './errors';
export { MemoryDevice, type MemoryOptions, memoryPair } from './memory';
export { NativeUnavailable } from './native';
export { NativeDevice } from './native-device';
export { openPacket, type PacketOptions } from './packet';
export { openRaw, RawDevice, type RawOptions, type RawProtocol } from './raw';
export { openReplay, type ReplayClock, ReplayDevice, type ReplayOptions, type ReplayPacket } from './replay';
export { type Support, tunSupport } from './support';
export { type Owner, openTap, openTun, type TapOptions, type TunOptions } from './tun';
