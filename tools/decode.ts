import type { Command } from 'commander';
import { parseCidr } from '../stack/base/address';
import type { Drop } from '../stack/base/drops';
import { packetLine } from './notation';
import { printable } from './pcap/application';
import { dissect } from './pcap/dissect';
import { compileFilter, type Filter, FilterError } from './pcap/filter';
import { FlowTracker, type SegmentView } from './pcap/flows';
import { hexDump } from './pcap/hex-dump';
import { directionName, packetJson } from './pcap/json';
import { type Output, OutputError, StdoutOutput } from './pcap/output';
import type { Packet } from './pcap/packet';
import { type CapturedPacket, CaptureError, CaptureParser } from './pcap/parser';
import { readCaptureFile } from './pcap/reader';
import { CaptureStats } from './pcap/stats';
import { StackReplays } from './replay-stack';

export interface DecodeOptions {
  json?: boolean;
  /** Sequence numbers as the wire has them. */
  absolute?: boolean;
  hex?: boolean;
  filter?: string;
  /** Stop after this many packets have passed the filter. */
  count?: string;
  stats?: boolean;
  /** Whose stack ours is to take the place of. */
  stack?: string;
}

/** One packet on its way through a command. */
export interface DecodedPacket {
  captured: CapturedPacket;
  packet: Packet;
  view: SegmentView | null;
  /** Why our stack, in the place of the receiver, would drop it; null when it was not asked, or the packet is not for it. */
  drops: readonly Drop[] | null;
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
    .option('--stack <address>', 'put this stack in the place of the end with that address: what it drops, and why')
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
    const replay = options.stack === undefined ? null : replayOf(file, options.stack, out);
    const capture = openCapture(file, options.filter, out, replay);
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

/** Runs a command's body and turns what can go wrong with a file into one clear message and exit code 2; 1 for the output. */
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
    return error instanceof OutputError ? 1 : 2;
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
  if (error instanceof UsageError || error instanceof OutputError) return error.message;
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
export function openCapture(
  file: string,
  filter: string | undefined,
  out: Output,
  replay: StackReplays | null = null,
): DecodedCapture {
  const test = filter === undefined ? null : compileFilter(filter);
  const parser = new CaptureParser();
  const tracker = new FlowTracker();
  return { parser, tracker, packets: decodeAll(file, parser, tracker, test, out, replay) };
}

/** So many ends, and the other one of the last, are named to who asked for one that is not there. */
const ENDS_NAMED = 4;

/** Stacks with that address, which know what the capture's first pass tells. */
function replayOf(file: string, address: string, out: Output): StackReplays {
  const cidr = parseCidr(address);
  if (cidr === null) throw new UsageError(`--stack: "${printable(address)}" is not an address, such as 10.77.0.2`);
  if (file === '-') throw new UsageError('--stack reads the capture twice: give a file, not standard input');
  const replay = new StackReplays(cidr);
  const here = String(cidr.address);
  const others = new Set<string>();
  let isThere = false;
  for (const { captured, packet } of openCapture(file, undefined, out).packets) {
    replay.at(captured.iface.id).scout(packet);
    const { ip } = packet;
    if (ip === null || isThere) continue;
    isThere = ip.source === here || ip.destination === here;
    if (others.size < ENDS_NAMED) others.add(ip.source).add(ip.destination);
  }
  // Nothing would be dropped, and that would look like an answer.
  if (!isThere && others.size > 0)
    throw new UsageError(`--stack: nobody in the capture is ${here}; there are ${[...others].join(', ')}`);
  return replay;
}

function* decodeAll(
  file: string,
  parser: CaptureParser,
  tracker: FlowTracker,
  test: Filter | null,
  out: Output,
  replay: StackReplays | null,
): Generator<DecodedPacket, void, void> {
  let firstNs: bigint | null = null;
  for (const captured of readCaptureFile(file, parser, () => out.flush())) {
    const { bytes, linkType, originalLength, timeMs } = captured;
    firstNs ??= captured.timeNs;
    const packet = dissect(bytes, 0, bytes.length, linkType, captured);
    const view = tracker.observe(packet, timeMs, String(captured.iface.id));
    const { direction, comments } = captured;
    const drops = replay === null ? null : replay.at(captured.iface.id).look(packet, timeMs);
    const candidate = { packet, view, length: originalLength, direction, comments, names: parser.names };
    if (test !== null && !test(candidate)) continue;
    yield { captured, packet, view, drops, seconds: secondsText(captured.timeNs - firstNs) };
  }
}

/** "1.000120": seconds to the microsecond, as packetdrill and tcpdump write them. */
export function secondsText(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const micros = ((ns < 0n ? -ns : ns) + 500n) / 1000n;
  return `${sign}${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}`;
}

function packetText(decoded: DecodedPacket, parser: CaptureParser, options: DecodeOptions): string {
  const { captured, packet, view, drops, seconds } = decoded;
  const line = packetLine(packet, view, options);
  if (options.json) {
    const json = packetJson(captured, packet, view, seconds, line);
    return `${JSON.stringify(drops === null ? json : { ...json, dropped: drops })}\n`;
  }
  const words = [seconds];
  if (parser.interfaces.length > 1) words.push(printable(captured.iface.name ?? `if${captured.iface.id}`));
  const direction = directionName(captured.direction);
  if (direction !== null) words.push(direction === 'in' ? '<' : '>');
  words.push(line);
  if (drops !== null && drops.length > 0) words.push(`[dropped by the stack: ${drops.join(', ')}]`);
  for (const comment of captured.comments) words.push(`# ${printable(comment)}`);
  const text = `${words.join(' ')}\n`;
  return options.hex ? text + hexDump(captured.bytes) : text;
}
