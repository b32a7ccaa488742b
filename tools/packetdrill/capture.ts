import { basename } from 'node:path';
import type { Bytes } from '../../stack/base/bytes';
import { type DecodedPacket, secondsText } from '../decode';
import { LadderBuilder } from '../ladder';
import { dissect } from '../pcap/dissect';
import { FlowTracker } from '../pcap/flows';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from '../pcap/format';
import type { Ladder } from '../pcap/ladder-model';
import { readCapture } from '../pcap/reader';
import { type CaptureSink, MemorySink } from '../pcap/sink';
import { PcapngWriter } from '../pcap/writer';

/** Hears of every datagram that crosses the wire of a run, at its virtual time. */
export interface FrameObserver {
  /** `comment` says which line sent it, or which rule made the stack send it; '' for none. */
  frame(direction: 'in' | 'out', frame: Bytes, atUs: number, comment: string): void;
}

/** Writes the packets of runs into a capture (pcapng): an interface a script, the times virtual, the reasons as comments. */
export class RunCapture {
  private readonly writer: PcapngWriter;

  constructor(sink: CaptureSink) {
    this.writer = new PcapngWriter(sink, { application: 'tapwire packetdrill' });
  }

  /** Where the packets of a script go. */
  script(file: string): FrameObserver {
    const id = this.writer.addInterface({ name: basename(file, '.pkt'), description: file, linkType: 'ip' });
    return {
      frame: (direction, frame, atUs, comment) => {
        const way = direction === 'in' ? DIRECTION_INBOUND : DIRECTION_OUTBOUND;
        this.writer.writeFrame(id, atUs / 1000, frame, 0, frame.length, way, comment === '' ? undefined : comment);
      },
    };
  }

  /** Completes the capture. Throws the system's error when it could not be written. */
  close(): void {
    this.writer.close();
  }
}

/** Keeps the packets of one run for a sequence diagram. */
export class RunLadder {
  private readonly sink = new MemorySink();
  private readonly capture = new RunCapture(this.sink);
  readonly observer: FrameObserver;

  constructor(file: string) {
    this.observer = this.capture.script(file);
  }

  /** The diagram of what crossed the wire. */
  build(): Ladder {
    this.capture.close();
    const builder = new LadderBuilder();
    for (const packet of decoded(this.sink.bytes())) builder.add(packet);
    return builder.build();
  }
}

function* decoded(bytes: Uint8Array): Generator<DecodedPacket, void, void> {
  const tracker = new FlowTracker();
  let firstNs: bigint | null = null;
  for (const captured of readCapture(bytes)) {
    const packet = dissect(captured.bytes, 0, captured.bytes.length, captured.linkType, captured);
    const view = tracker.observe(packet, captured.timeMs, '');
    firstNs ??= 0n;
    yield { captured, packet, view, drops: null, seconds: secondsText(captured.timeNs - firstNs) };
  }
}

/** Tells several observers. */
export function both(a: FrameObserver | undefined, b: FrameObserver | undefined): FrameObserver | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    frame: (direction, frame, atUs, comment) => {
      a.frame(direction, frame, atUs, comment);
      b.frame(direction, frame, atUs, comment);
    },
  };
}
