import type { Event, PacketLine } from './ast';
import { type Difference, Gathering } from './compare';
import { decodeFrame } from './decode';
import { linePieces, marks, recordPieces, text } from './notation';
import type { PacketRecord } from './packet';
import { seconds } from './report';
import type { Stage } from './stage';
import type { Emitted } from './world';

/** An outbound packet is waited for until so long after its time. */
const PATIENCE_US = 2_000_000;
/** How long `*` waits when nothing comes: a day. */
const ANY_TIME_US = 86_400_000_000;

/** A packet of the connection under test, as it was sent. */
type Seen = Emitted & { readonly record: PacketRecord; readonly payload: Uint8Array };

/** When a line is due: an instant, or from and to. */
interface Due {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Waits for the packets that the script expects of the stack, and judges them. */
export class Expecting {
  constructor(private readonly stage: Stage) {}

  /** Runs an outbound line. `baseUs` is what its relative times count from. */
  expect(event: Event, line: PacketLine, dueUs: number, baseUs: number): void {
    const { stage } = this;
    const { time } = event;
    const { config } = stage.script;
    const due: Due = { fromUs: dueUs, toUs: 'toUs' in time ? baseUs + time.toUs : dueUs };
    const limitUs = time.kind === 'any' ? dueUs + ANY_TIME_US : due.toUs + PATIENCE_US;
    const gathering = new Gathering(line, {
      strict: stage.options.strict,
      strictSegments: stage.options.strict || config.strictSegments,
      tsTickUs: config.tsTickUs,
      toleranceUs: config.toleranceUs,
    });
    let seenUs = dueUs;
    for (let verdict: 'done' | 'more' | null = 'more'; verdict === 'more'; ) {
      const seen = this.next(line, limitUs, gathering);
      if (seen === null) break;
      seenUs = seen.atUs;
      verdict = this.judge(line, seen, gathering);
      if (verdict !== null && time.kind !== 'any') this.checkTime(line, due, seen);
    }
    stage.previousUs = time.kind === 'any' ? seenUs : dueUs;
  }

  /** The next packet of the connection, waited for until `limitUs`; null when there was none and that is not fatal. */
  private next(line: PacketLine, limitUs: number, gathering: Gathering): Seen | null {
    const { world } = this.stage;
    for (;;) {
      const emitted = world.sent.shift();
      if (emitted === undefined) {
        if (!world.step(limitUs)) break;
        continue;
      }
      const seen = this.see(emitted, line);
      if (seen !== null) return seen;
    }
    world.nowUs = Math.max(world.nowUs, limitUs);
    const { gathered } = gathering;
    const message = gathered > 0 ? `only ${gathered} bytes of this packet came` : 'timed out waiting for packet';
    this.stage.fail({ kind: 'missing-packet', message, expected: text(linePieces(line)), actual: 'nothing' });
    return null;
  }

  /** Takes a sent datagram apart; null when it is none of the connection under test. */
  private see(emitted: Emitted, line: PacketLine): Seen | null {
    const { record, payload, error } = decodeFrame(emitted.frame);
    if (error !== null) {
      this.stage.fail({ kind: 'packet', message: `the stack sent ${error}`, expected: text(linePieces(line)) });
      return null;
    }
    return this.stage.concerns(record) ? { ...emitted, record, payload } : null;
  }

  /** Compares a packet; null when it is wrong and that is not fatal. */
  private judge(line: PacketLine, seen: Seen, gathering: Gathering): 'done' | 'more' | null {
    const { stage } = this;
    const { connection } = stage;
    let { record } = seen;
    if (record.protocol === 'tcp' && connection !== null) {
      if (line.kind === 'tcp') {
        connection.learnLocal(record, line);
        connection.learnTimestamp(record, line);
      }
      record = connection.toScript(record);
    }
    stage.log('out', text(recordPieces(record, null)), stage.event.line, seen.atUs);
    const gathered = gathering.gathered;
    let verdict = gathering.add(record);
    if (!Array.isArray(verdict)) {
      const nonZero =
        stage.zeroPayload && record.protocol !== 'icmp' ? seen.payload.findIndex((byte) => byte !== 0) : -1;
      if (nonZero < 0) return verdict;
      verdict = [{ field: 'seq', what: `byte ${nonZero} of the payload is not zero, though only zeros were written` }];
    }
    this.failPacket(line, record, verdict, seen.cause, gathered);
    return null;
  }

  private failPacket(
    line: PacketLine,
    record: PacketRecord,
    found: readonly Difference[],
    cause: string,
    gathered: number,
  ): void {
    const pieces = recordPieces(record, line);
    const after = gathered > 0 ? `after ${gathered} bytes of this packet: ` : '';
    const message = after + found.map(({ what }) => what).join('; ');
    const underlined = marks(pieces, new Set(found.map(({ field }) => field)));
    const expected = text(linePieces(line));
    this.stage.fail({ kind: 'packet', message, expected, actual: text(pieces), marks: underlined, cause });
  }

  private checkTime(line: PacketLine, { fromUs, toUs }: Due, { atUs, cause }: Seen): void {
    const allowed = this.stage.allowedUs(fromUs);
    if (atUs >= fromUs - allowed && atUs <= toUs + allowed) return;
    const early = atUs < fromUs;
    const due = fromUs === toUs ? seconds(fromUs) : `${seconds(fromUs)} to ${seconds(toUs)}`;
    const packet = text(linePieces(line));
    const by = seconds(early ? fromUs - atUs : atUs - toUs);
    this.stage.fail({
      kind: 'time',
      message: `${by} s too ${early ? 'early' : 'late'} (tolerance ${seconds(allowed)} s)`,
      expected: `${due} ${packet}`,
      actual: `${seconds(atUs)} ${packet}`,
      cause,
    });
  }

  /** Logs what no line expected any more. */
  logLeftovers(): void {
    const { world, connection } = this.stage;
    for (const emitted of world.sent) {
      const { record } = decodeFrame(emitted.frame);
      if (record === null || !this.stage.concerns(record)) continue;
      const shown = record.protocol === 'tcp' && connection !== null ? connection.toScript(record) : record;
      this.stage.log('out', text(recordPieces(shown, null)), 0, emitted.atUs);
    }
  }
}
