import type { Command } from 'commander';
import { askReport, askSockets } from '../control/client';
import { controlFolders, findControlPoints } from '../control/folder';
import { EXIT_FAILURE, EXIT_OK, surviveClosedOutput } from '../exit';
import { reportText } from '../report';
import { integer } from '../wire-options';
import type { SocketEntry } from './entries';
import { parseFilter, type SocketFilter } from './filter';
import { type SsState, STATES_ALL, STATES_DEFAULT, STATES_LISTENING } from './states';
import { processText, type Row, socketTable, type TableOptions } from './table';

export interface SsOptions extends TableOptions {
  tcp?: boolean;
  udp?: boolean;
  listening?: boolean;
  all?: boolean;
  ipv4?: boolean;
  ipv6?: boolean;
  summary?: boolean;
  json?: boolean;
  pid?: number;
}

/** Adds `tapwire ss` to the program. */
export function registerSs(program: Command): void {
  program
    .command('ss')
    .description("show the sockets of running stacks, as Linux's ss shows the kernel's")
    .argument('[filter...]', 'state NAME, exclude NAME, src, dst, sport, dport, and, or, not')
    .option('-t, --tcp', 'TCP sockets (default: TCP and UDP)')
    .option('-u, --udp', 'UDP sockets')
    .option('-l, --listening', 'only sockets that listen')
    .option('-a, --all', 'listening ones, TIME-WAIT and SYN-RECV as well')
    .option('-4, --ipv4', 'only IPv4')
    .option('-6, --ipv6', 'only IPv6')
    .option('-n, --numeric', 'rates in full (addresses and ports are always numbers)')
    .option('-i, --info', "TCP's inner state: congestion control, times, windows, counters")
    .option('-o, --options', 'timers')
    .option('-m, --memory', 'memory')
    .option('-e, --extended', "the connection's number, by which traces and qlog name it")
    .option('-p, --processes', 'the process')
    .option('-H, --no-header', 'no names of columns')
    .option('-O, --oneline', 'one line a socket')
    .option('-s, --summary', 'what each process holds and has dropped, instead of its sockets')
    .option('--json', 'one JSON array: all that there is to know of each socket')
    .option('--pid <number>', 'only this process', integer(1, 4_194_304))
    .addHelpText('after', HELP)
    .action(async (words: string[], flags: SsOptions & { options?: boolean; header: boolean }) => {
      surviveClosedOutput(() => {});
      const options: SsOptions = { ...flags, timers: flags.options, noHeader: !flags.header };
      process.exitCode = await runSs(words, options, (text) => process.stdout.write(text));
    });
}

const HELP = `
Whom it finds: \`tapwire serve\`, and programs of yours with TAPWIRE_CONTROL=1 or createHost({ control: true }), as the
same user. With one process and one stack the output is that of ss(8); with several each part has a heading.

  tapwire ss -ti                             every connection with its inner state
  tapwire ss -tan state time-wait
  tapwire ss -ti '( dport = :80 or sport = :80 )' and dst 10.77.0.0/24`;

/** Does the work of `tapwire ss`; returns the exit code. */
export async function runSs(
  words: readonly string[],
  options: SsOptions,
  out: (text: string) => void,
): Promise<number> {
  const filter = parseFilter(words);
  const points = findControlPoints().filter(({ pid }) => options.pid === undefined || pid === options.pid);
  const found = options.summary === true ? await summaries(points) : await sockets(points, filter, options);
  if (found === null) {
    const where = options.pid === undefined ? '' : `process ${options.pid} cannot be asked: `;
    process.stderr.write(
      `tapwire ss: ${where}no stack of this user's answers in ${controlFolders().join(' or ')}. ` +
        'Start one with `tapwire serve`, or set TAPWIRE_CONTROL=1 for a program of yours.\n',
    );
    return EXIT_FAILURE;
  }
  out(found);
  return EXIT_OK;
}

async function summaries(points: ReturnType<typeof findControlPoints>): Promise<string | null> {
  const texts: string[] = [];
  for (const point of points) {
    const told = await askReport(point);
    if (told !== null) texts.push(reportText(told.report, point.pid));
  }
  return texts.length === 0 ? null : texts.join('');
}

/** One stack's rows. */
interface Part {
  readonly pid: number;
  readonly title: string;
  readonly host: string;
  readonly rows: Row[];
}

async function sockets(
  points: ReturnType<typeof findControlPoints>,
  filter: SocketFilter,
  options: SsOptions,
): Promise<string | null> {
  const test = selection(filter, options);
  const parts: Part[] = [];
  for (const point of points) {
    const told = await askSockets(point);
    if (told === null) continue;
    const process = processText(told.title, point.pid);
    for (const [host, entries] of told.hosts) {
      const rows = entries.filter(test).map((entry) => ({ entry, process }));
      parts.push({ pid: point.pid, title: told.title, host, rows });
    }
  }
  if (parts.length === 0) return null;
  return options.json === true ? json(parts) : text(parts, options);
}

function json(parts: readonly Part[]): string {
  const all = parts.flatMap(({ pid, title, host, rows }) => rows.map(({ entry }) => ({ pid, title, host, ...entry })));
  return `${JSON.stringify(all, null, 1)}\n`;
}

function text(parts: readonly Part[], options: SsOptions): string {
  const withNetid = options.tcp === options.udp;
  if (parts.length === 1) return socketTable(parts[0]!.rows, withNetid, options);
  return parts
    .map(({ pid, title, host, rows }) => {
      const table = socketTable(rows, withNetid, options);
      return options.noHeader === true ? table : `# ${title}, process ${pid}, stack ${host}\n${table}`;
    })
    .join('');
}

/** Which sockets are shown: families, states (named ones win over -l and -a), and the filter's expression. */
function selection(filter: SocketFilter, options: SsOptions): (entry: SocketEntry) => boolean {
  const { tcp, udp, ipv4, ipv6 } = options;
  const states: ReadonlySet<SsState> = filter.states ?? new Set(statesOf(options));
  return (entry) => {
    if (tcp !== udp && entry.netid !== (tcp === true ? 'tcp' : 'udp')) return false;
    if (ipv4 !== ipv6 && familyOf(entry) !== (ipv4 === true ? 4 : 6)) return false;
    return states.has(entry.state) && filter.test(entry);
  };
}

function statesOf({ all, listening }: SsOptions): readonly SsState[] {
  if (all === true) return STATES_ALL;
  return listening === true ? STATES_LISTENING : STATES_DEFAULT;
}

/** A socket for both families is IPv6's, as on Linux. */
const familyOf = ({ local }: SocketEntry): 4 | 6 =>
  local.address.includes('.') && !local.address.includes(':') ? 4 : 6;
