/** `tapwire/pcap`: captures written and read, packets told in one line. */

export { type Ladder, LadderBuilder, type LadderRow, ladderSvg, ladderText } from '../ladder';
export { flagsText, type NotationOptions, notation, packetLine, segmentText } from '../notation';
export { type DissectOptions, dissect } from './dissect';
export { type Candidate, compileFilter, type Filter, FilterError } from './filter';
export { type Flow, FlowTracker, type SegmentView } from './flows';
export type { Packet } from './packet';
export { type CapturedPacket, CaptureError, type CaptureInterface, CaptureParser } from './parser';
export { readCapture, readCaptureFile, readCaptureStream } from './reader';
export { CaptureFile, type CaptureFileOptions, RecordingDevice } from './recorder';
export { type CaptureSink, FileSink, MemorySink } from './sink';
export { type InterfaceOptions, PcapngWriter, type WriterOptions } from './writer';
