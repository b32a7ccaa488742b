import type { IncomingMessage, Server } from 'node:http';
import * as kernel from 'node:net';
import { showHost } from '../control/server';
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, surviveClosedOutput } from '../exit';
import { type Forward, startForward } from '../forward';
import { modulesOf } from '../modules';
import { CaptureFile } from '../pcap/recorder';
import { type Report, reportOn, reportText, watchLoop } from '../report';
import { hostSockets } from '../ss/entries';
import { type Row, socketTable } from '../ss/table';
import { version } from '../version';
import { openWire, type Wire } from '../wire';
import type { HostPort } from '../wire-options';
import type { ServeOptions } from './command';
import { createHandler } from './handler';
import { limitTrace } from './limit-trace';
import { type Story, tellStory } from './story';

const DEFAULT_FORWARD: HostPort = { host: '127.0.0.1', port: 8077 };
/** How long a response may take to end after Ctrl-C, and the last FINs after that. */
const GRACE_MS = 1000;
const GOODBYE_MS = 300;
/** A terminal's Ctrl-C reaches us twice when npm is in between, which passes it on; a second one later means it. */
const SAME_SIGNAL_MS = 500;
/** How often a device is asked whether it still works. */
const DEVICE_CHECK_MS = 1000;
/** Sockets that SIGUSR2 shows. */
const ROWS_MAX = 50;

/** Everything that has to be ended again. */
interface Running {
  wire: Wire;
  server: Server;
  forward: Forward | null;
  capture: CaptureFile | null;
  options: ServeOptions;
}

/** Does the work of `tapwire serve`; resolves when it has been told to stop. The exit code lands in process.exitCode. */
export async function runServe(root: string | null, options: ServeOptions): Promise<void> {
  surviveClosedOutput(() => {});
  const capture = options.pcap === undefined ? null : new CaptureFile(options.pcap);
  let wire: Wire | null = null;
  let hide = (): void => {};
  try {
    wire = openWire(options, capture);
    const running = await start(root, wire, capture, options);
    if (options.json) watchLoop();
    // Whoever reads the announcement may send a signal at once.
    const end = stopped(running);
    hide = showWire(wire);
    announce(running, root);
    await end;
  } finally {
    hide();
    wire?.close();
    capture?.close();
  }
}

/** From now on `tapwire ss` finds it. Returns what ends that. */
function showWire({ host, peer }: Wire): () => void {
  const shown = [showHost('server', host, 'tapwire serve')];
  if (peer !== null) shown.push(showHost('client', peer, 'tapwire serve'));
  return () => {
    for (const hide of shown) hide();
  };
}

async function start(
  root: string | null,
  wire: Wire,
  capture: CaptureFile | null,
  options: ServeOptions,
): Promise<Running> {
  const { http } = modulesOf(wire.host);
  const handler = createHandler({
    root,
    facts: { wire: wire.text, why: wire.why, version: version() },
    storyOf: (req) => storyOf(wire, req),
    onError: (error) =>
      process.stderr.write(`tapwire serve: ${error instanceof Error ? error.stack : String(error)}\n`),
  });
  const { trace } = wire.host.stack;
  // The page needs the event log, and so does a qlog, which shall have no gaps.
  const free = options.qlog === undefined;
  const server = http.createServer(root === null && free ? limitTrace(trace, handler) : handler);
  if (root !== null && free) trace.on = false;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  let forward: Forward | null = null;
  if (wire.peer !== null) {
    const from = { ...(options.forward ?? DEFAULT_FORWARD), over: kernel };
    const to = { host: String(wire.address), port: options.port, over: modulesOf(wire.peer).net };
    forward = await startForward(from, to);
  }
  return { wire, server, forward, capture, options };
}

function storyOf(wire: Wire, req: IncomingMessage): Story | null {
  const { localAddress, localPort, remoteAddress, remotePort } = req.socket;
  if (localAddress === undefined || remoteAddress === undefined) return null;
  return tellStory(wire.host, unmapped(localAddress), localPort!, unmapped(remoteAddress), remotePort!);
}

/** A dual-stack server names IPv4 peers ::ffff:10.0.0.1. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');

// ── what people see ──

function urlOf({ wire, forward, options }: Running): string {
  const at = forward === null ? { host: String(wire.address), port: options.port } : forward.at;
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return `http://${host}${at.port === 80 ? '' : `:${at.port}`}/`;
}

function announce(running: Running, root: string | null): void {
  const { wire, options } = running;
  const url = urlOf(running);
  if (options.json) {
    const { kind, text, why, device } = wire;
    print({
      event: 'listening',
      url,
      wire: kind,
      device: device.name,
      address: String(wire.address),
      text,
      why,
      pid: process.pid,
    });
    return;
  }
  const what = root === null ? 'a page about its own packets' : root;
  const lines = [
    `tapwire ${version()} serves ${what} on ${url}`,
    `  wire   ${wire.text}`,
    `  why    ${wire.why}`,
    `  try    curl ${wire.kind === 'packet' ? '(from another machine) ' : ''}${url}`,
    `  stop   Ctrl-C; kill -USR2 ${process.pid} shows what the process holds`,
    '  look   tapwire ss -ti shows its connections',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function report({ wire, options }: Running): void {
  const now: Report = reportOn({ server: wire.host, ...(wire.peer === null ? {} : { client: wire.peer }) });
  if (options.json) print({ event: 'report', ...now });
  else process.stderr.write(reportText(now) + socketText(wire));
}

/** The table of `tapwire ss -tioa`, but of the first connections only: a person is to read it. */
function socketText({ host }: Wire): string {
  const rows: Row[] = [];
  for (const entry of hostSockets(host)) {
    if (rows.length === ROWS_MAX) return `${tableOf(rows)}and more: tapwire ss -tioa --pid ${process.pid}\n`;
    rows.push({ entry, process: '' });
  }
  return tableOf(rows);
}

const tableOf = (rows: readonly Row[]): string => socketTable(rows, true, { info: true, timers: true });

// ── the end ──

/** Resolves when everything is closed, after a signal or when the device is gone. */
function stopped(running: Running): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    let stoppingSince = 0;
    const onReport = (): void => report(running);
    const check = setInterval(() => {
      const { failure } = running.wire.device;
      if (failure) stop(EXIT_FAILURE, failure.message);
    }, DEVICE_CHECK_MS).unref();
    const onSignal = (): void => {
      if (!stopping) stop(EXIT_OK, '');
      else if (performance.now() - stoppingSince > SAME_SIGNAL_MS) process.exit(EXIT_INTERRUPTED);
    };
    const stop = (code: number, why: string): void => {
      stopping = true;
      stoppingSince = performance.now();
      clearInterval(check);
      if (why !== '') process.stderr.write(`tapwire serve: ${why}\n`);
      process.exitCode = code;
      void shutDown(running).then(() => {
        for (const signal of ENDS) process.off(signal, onSignal);
        process.off('SIGUSR2', onReport);
        if (running.options.json) print({ event: 'stopped' });
        else process.stdout.write('stopped\n');
        resolve();
      });
    };
    for (const signal of ENDS) process.on(signal, onSignal);
    process.on('SIGUSR2', onReport);
  });
}

const ENDS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Nothing new; what is being answered may end; then what is left is cut, and the last segments go out. */
async function shutDown({ server, forward, wire }: Running): Promise<void> {
  forward?.stop();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await atMost(GRACE_MS, closed);
  server.closeAllConnections();
  forward?.cut();
  const until = performance.now() + GOODBYE_MS;
  while (wire.host.stack.tcp.connections.size > 0 && performance.now() < until) await pause(5);
  wire.close();
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for `task`, but no longer than that. */
async function atMost(ms: number, task: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([task, late]);
  clearTimeout(timer);
}
