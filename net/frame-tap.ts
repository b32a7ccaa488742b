import type { Device } from '../device/device';
import type { Millis } from '../stack/base/bytes';
import type { Interface } from '../stack/ip/interface';

/** Called for every frame, in either direction, before the stack sees it or after it left; for captures. */
export interface FrameTap {
  received(
    device: Device,
    bytes: Uint8Array,
    at: number,
    length: number,
    flags: number,
    segmentBytes: number,
    now: Millis,
  ): void;
  sent(device: Device, queue: Interface['tx'], record: number, now: Millis): void;
}
