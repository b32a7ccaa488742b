import type { Command } from 'commander';
import { packetLine } from './notation';
import { printable } from './pcap/application';
import { dissect } from './pcap/dissect';
import { compileFilter, type Filter, FilterError } from './pcap/filter';
import { FlowTracker, type SegmentView } from './pcap/flows';
import { hexDump } from './pcap/hex-dump';
import { directionName, packetJson } from './pcap/json';
import { type Output, StdoutOutput } from './pcap/output';
import type { Packet } from './pcap/packet';
import { type CapturedPacket, CaptureError, CaptureParser } from './pcap/parser';
import { readCaptureFile } from './pcap/reader';
import { CaptureStats } from './pcap/stats';

export interface DecodeOptions {
  json?: boolean;
  /** Sequence numbers as the wire has them. */
  absolute?: boolean;
  hex?: boolean;
  filter?: string;
  /** Stop after this many packets have passed the filter. */
  count?: string;
  stats?: boolean;
}

/** One packet on its way through a command. */
export interface DecodedPacket {
  captured: CapturedPacket;
  packet: Packet;
  view: SegmentView | null;
  /** Since the capture's first packet: "0.000120". */
  seconds: string;
}

export interface DecodedCapture {
  parser: CaptureParser;
  tracker: FlowTracker;
  packets: Generator<DecodedPacket, void, void>;
}

/** A command that cannot do what was asked: the message is for people, the exit code is 2. */
export class UsageError extends Error {}

/** Adds `tapwire decode` to the program. */
export function registerDecode(program: Command): void {
  program
    .command('decode')
    .description('print a capture (pcap or pcapng), one line per packet')
    .argument('<file>', 'the capture, or - for standard input')
    .option('--json', 'one JSON object per packet')
    .option('--absolute', 'sequence numbers as on the wire instead of relative ones')
    .option('--hex', "add each packet's bytes")
    .option('--filter <expression>', 'only packets that match, such as "host 10.0.0.1 and port 80 and not syn"')
    .option('--count <number>', 'stop after this many packets')
    .option('--stats', 'print sums and connections instead of packets')
    .action((file: string, options: DecodeOptions) => {
      process.exitCode = runDecode(file, options, new StdoutOutput(), (line) => process.stderr.write(line));
    });
}

/** Does the work of `tapwire decode`; returns the exit code: 0, or 2 with one clear message on `complain`. */
export function runDecode(file: string, options: DecodeOptions, out: Output, complain: (text: string) => void): number {
  return guarded('decode', file, out, complain, () => {
    const stats = new CaptureStats();
    const count = readCount(options.count);
    const capture = openCapture(file, options.filter, out);
    let left = count;
    let problem: CaptureError | null = null;
    try {
      for (const decoded of capture.packets) {
        stats.add(decoded.captured, decoded.packet, decoded.view);
        if (!options.stats && !out.write(packetText(decoded, capture.parser, options))) return;
        if (--left === 0) break;
      }
    } catch (error) {
      // A damaged file still has sums, of what could be read.
      if (!(error instanceof CaptureError) || !options.stats) throw error;
      problem = error;
    }
    const { parser, tracker } = capture;
    if (options.stats && options.json) out.write(`${JSON.stringify(stats.toJson(parser, tracker.flows))}\n`);
    else if (options.stats) out.write(stats.toText(parser, tracker.flows));
    if (problem !== null) throw problem;
  });
}

/** Runs a command's body and turns what can go wrong with a file into one clear message and exit code 2. */
export function guarded(
  command: string,
  file: string,
  out: Output,
  complain: (text: string) => void,
  body: () => void,
): number {
  const name = file === '-' ? 'standard input' : printable(file);
  try {
    body();
    out.flush();
    return 0;
  } catch (error) {
    out.flush();
    const what = explain(error, name);
    if (what === null) throw error;
    complain(`tapwire ${command}: ${what}\n`);
    return 2;
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'reading it is not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'part of the path is not a directory',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
};

/** Null: not the user's doing but ours. */
function explain(error: unknown, name: string): string | null {
  if (error instanceof UsageError) return error.message;
  if (error instanceof FilterError) return `--filter: ${error.message}`;
  if (error instanceof CaptureError) return `${name}: ${error.message}`;
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return null;
  return `${path === undefined ? name : printable(path)}: ${CAUSES[code] ?? message}`;
}

/** A positive whole number, or Infinity when the option is absent. Throws UsageError. */
export function readCount(text: string | undefined, option = '--count'): number {
  if (text === undefined) return Infinity;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new UsageError(`${option}: a number of at least 1 was expected, not "${printable(text)}"`);
  return value;
}

/** The decoded packets of a capture that pass the filter; every packet is seen by the tracker. */
export function openCapture(file: string, filter: string | undefined, out: Output): DecodedCapture {
  const test = filter === undefined ? null : compileFilter(filter);
  const parser = new CaptureParser();
  const tracker = new FlowTracker();
  return { parser, tracker, packets: decodeAll(file, parser, tracker, test, out) };
}

function* decodeAll(
  file: string,
  parser: CaptureParser,
  tracker: FlowTracker,
  test: Filter | null,
  out: Output,
): Generator<DecodedPacket, void, void> {
  let firstNs: bigint | null = null;
  for (const captured of readCaptureFile(file, parser, () => out.flush())) {
    const { bytes, linkType, originalLength, timeMs } = captured;
    firstNs ??= captured.timeNs;
    const packet = dissect(bytes, 0, bytes.length, linkType, captured);
    const view = tracker.observe(packet, timeMs, String(captured.iface.id));
    const { direction, comments } = captured;
    const candidate = { packet, view, length: originalLength, direction, comments, names: parser.names };
    if (test !== null && !test(candidate)) continue;
    yield { captured, packet, view, seconds: secondsText(captured.timeNs - firstNs) };
  }
}

/** "1.000120": seconds to the microsecond, as packetdrill and tcpdump write them. */
export function secondsText(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const micros = ((ns < 0n ? -ns : ns) + 500n) / 1000n;
  return `${sign}${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}`;
}

function packetText(decoded: DecodedPacket, parser: CaptureParser, options: DecodeOptions): string {
  const { captured, packet, view, seconds } = decoded;
  const line = packetLine(packet, view, options);
  if (options.json) return `${JSON.stringify(packetJson(captured, packet, view, seconds, line))}\n`;
  const words = [seconds];
  if (parser.interfaces.length > 1) words.push(printable(captured.iface.name ?? `if${captured.iface.id}`));
  const direction = directionName(captured.direction);
  if (direction !== null) words.push(direction === 'in' ? '<' : '>');
  words.push(line);
  for (const comment of captured.comments) words.push(`# ${printable(comment)}`);
  const text = `${words.join(' ')}\n`;
  return options.hex ? text + hexDump(captured.bytes) : text;
}
