import type { Command } from 'commander';
import { guarded, openCapture, readCount, UsageError } from './decode';
import { type Ladder, LadderBuilder } from './pcap/ladder-model';
import { ladderSvg } from './pcap/ladder-svg';
import { ladderText } from './pcap/ladder-text';
import { type Output, StdoutOutput } from './pcap/output';
import { writeText } from './pcap/sink';

export type { Ladder, LadderRow } from './pcap/ladder-model';
export { LadderBuilder, ladderSvg, ladderText };

export interface TraceOptions {
  /** Where to write an SVG instead of text; "-" is standard output. */
  svg?: string;
  /** Only the connection with this number. */
  follow?: string;
  filter?: string;
  /** At most this many packets; 2000 when absent. */
  count?: string;
  absolute?: boolean;
}

const ROWS_MAX = 2000;

/** Adds `tapwire trace` to the program. */
export function registerTrace(program: Command): void {
  program
    .command('trace')
    .description('draw a capture (pcap or pcapng) as a sequence diagram')
    .argument('<file>', 'the capture, or - for standard input')
    .option('--svg <file>', 'write an SVG instead of text; - for standard output')
    .option('--follow <number>', 'only this connection, numbered from 1 in order of appearance')
    .option('--filter <expression>', 'only packets that match, as in "tapwire decode"')
    .option('--count <number>', `at most this many packets (default: ${ROWS_MAX})`)
    .option('--absolute', 'sequence numbers as on the wire instead of relative ones')
    .action((file: string, options: TraceOptions) => {
      process.exitCode = runTrace(file, options, new StdoutOutput(), (line) => process.stderr.write(line));
    });
}

/** Does the work of `tapwire trace`; returns the exit code: 0, or 2 with one clear message on `complain`. */
export function runTrace(file: string, options: TraceOptions, out: Output, complain: (text: string) => void): number {
  return guarded('trace', file, out, complain, () => {
    const ladder = collect(file, options, out);
    if (ladder.rows.length === 0) complain(`tapwire trace: there is nothing to draw: no packet ${whichOf(options)}\n`);
    if (options.svg === undefined) out.write(ladderText(ladder));
    else if (options.svg === '-') out.write(ladderSvg(ladder));
    else {
      writeText(options.svg, ladderSvg(ladder));
      out.write(`${options.svg}: ${ladder.rows.length} packets between ${ladder.hosts.length} hosts\n`);
    }
  });
}

const whichOf = ({ filter }: TraceOptions): string =>
  filter === undefined ? 'has a sender and a receiver' : 'passes the filter';

function collect(file: string, options: TraceOptions, out: Output): Ladder {
  const follow = options.follow === undefined ? undefined : readCount(options.follow, '--follow');
  const rowsMax = options.count === undefined ? ROWS_MAX : readCount(options.count);
  const builder = new LadderBuilder({ follow, rowsMax, absolute: options.absolute });
  const capture = openCapture(file, options.filter, out);
  for (const decoded of capture.packets) builder.add(decoded);
  const ladder = builder.build();
  if (follow !== undefined && ladder.rows.length === 0) {
    const { flows } = capture.tracker;
    throw new UsageError(`--follow: there is no packet of connection ${follow}; the capture has ${flows.length}`);
  }
  return ladder;
}
