import { finished } from 'node:stream';
import type { Net, Server, Socket } from '../../../net';
import { fieldsOf } from '../../unit/net/both';
import type { Op, Program, Reading, Via, Who } from './net-program';

/** What a program told: everything in order, as "who what", and for each who his own. */
export interface Told {
  readonly all: readonly string[];
  readonly each: Readonly<Record<string, readonly string[]>>;
}

const EVENTS = ['lookup', 'connect', 'ready', 'end', 'drain', 'finish', 'timeout', 'error', 'close'] as const;
const IDLE_MS = 15;
/** Rounds of the loop in which nothing happens, after which nothing more will. */
const QUIET_ROUNDS = 5;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One run of a program over one net module. */
export class Play {
  private readonly all: string[] = [];
  private readonly actors = new Map<string, Socket | Server>();
  private readonly seen = new Map<string, number>();
  /** Things that will happen by themselves. */
  private due = 0;
  private over = false;
  private port = 0;
  private accepted = 0;
  private last = '';

  constructor(
    private readonly net: Net,
    private readonly program: Program,
  ) {}

  async run(): Promise<Told> {
    const { program } = this;
    const server = this.net.createServer({ ...program.serverOptions });
    this.actors.set('server', server);
    if (program.maxConnections > 0) server.maxConnections = program.maxConnections;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.port = (server.address() as { port: number }).port;
    if (program.refused) await new Promise((resolve) => server.close(resolve));
    else this.watchServer(server);
    if (program.from === 'timer') await pass(1);
    else await turn();
    for (let i = 0; i < program.clients; i++) this.client(`c${i}` as Who);
    await this.quiet();
    this.over = true;
    for (const actor of this.actors.values()) {
      if ('destroy' in actor) actor.destroy();
    }
    server.close();
    await turn();
    await turn();
    return this.told();
  }

  private told(): Told {
    const each: Record<string, string[]> = {};
    for (const line of this.all) {
      const who = line.slice(0, line.indexOf(' '));
      each[who] ??= [];
      each[who]!.push(line.slice(who.length + 1));
    }
    return { all: this.all.map((line) => line.split(' [')[0]!), each };
  }

  private async quiet(): Promise<void> {
    for (let rounds = 0, before = -1; rounds < QUIET_ROUNDS || this.due > 0; rounds++) {
      if (this.all.length !== before) rounds = 0;
      before = this.all.length;
      await turn();
      await turn();
      await pass(1);
    }
  }

  private log(who: string, what: string, socket?: Socket): void {
    if (this.over || this.all.length > 2000) return;
    const text = what
      .split(String(this.port))
      .join('PORT')
      .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT');
    this.all.push(`${who} ${text}${socket === undefined ? '' : ` [${this.state(socket)}]`}`);
  }

  /** What a socket says of itself. */
  private state(s: Socket): string {
    const flags = [
      s.readyState,
      s.pending && 'pending',
      s.connecting && 'connecting',
      s.destroyed && 'destroyed',
      s.closed && 'closed',
      s.readableEnded && 'readableEnded',
      s.readableAborted && 'readableAborted',
      s.writableEnded && 'writableEnded',
      s.writableFinished && 'writableFinished',
      s.errored !== null && 'errored',
      s.isPaused() && 'paused',
      `flowing=${s.readableFlowing}`,
    ];
    const counts = [
      s.writableNeedDrain && 'needDrain',
      `waits=${s.writableLength}`,
      `unread=${s.readableLength}`,
      `read=${s.bytesRead}`,
      `written=${s.bytesWritten}`,
    ];
    return [...flags, ...(this.program.bulk ? [] : counts)].filter(Boolean).join(' ');
  }

  private happened(who: Who, event: string): void {
    const key = `${who} ${event}`;
    const nth = (this.seen.get(key) ?? 0) + 1;
    this.seen.set(key, nth);
    if (this.over) return;
    for (const rule of this.program.rules) {
      if (rule.who === who && rule.on === event && rule.nth === nth) {
        this.by(rule.via, () => {
          for (const op of rule.ops) this.act(rule.to, op);
        });
      }
    }
  }

  private by(via: Via, task: () => void): void {
    const later = (): void => {
      this.due--;
      task();
    };
    if (via === 'now') return task();
    this.due++;
    if (via === 'tick') process.nextTick(later);
    else if (via === 'promise') void Promise.resolve().then(later);
    else if (via === 'immediate') setImmediate(later);
    else setTimeout(later, 10);
  }

  private watchServer(server: Server): void {
    server.on('connection', (socket) => {
      const who = `s${this.accepted++}` as Who;
      this.log('server', 'connection');
      this.watch(who, socket, this.program.reading.s);
      this.happened('server', 'connection');
      this.happened(who, 'connection');
    });
    for (const event of ['close', 'drop', 'error']) {
      server.on(event, () => {
        this.log('server', event);
        this.happened('server', event);
      });
    }
  }

  private client(who: Who): void {
    const { clientOptions, reading } = this.program;
    if (clientOptions['timeout'] !== undefined) this.await(IDLE_MS * 2);
    const socket = this.net.connect({ ...clientOptions, port: this.port, host: '127.0.0.1' });
    this.watch(who, socket, reading.c);
    this.happened(who, 'start');
  }

  private await(ms: number): void {
    this.due++;
    setTimeout(() => {
      this.due--;
    }, ms);
  }

  private watch(who: Who, socket: Socket, reading: Reading): void {
    this.actors.set(who, socket);
    for (const event of EVENTS) {
      socket.on(event, (...args: unknown[]) => {
        this.log(who, [event, ...args.map(fieldsOf)].join(' '), socket);
        this.happened(who, event);
      });
    }
    if (reading === 'data') this.act(who, ['onData', 0], true);
    else if (reading === 'readable') this.act(who, ['onReadable', 0], true);
    else if (reading === 'resume') socket.resume();
  }

  /** Text came: where it was cut counts only when little was sent. */
  private text(who: Who, how: string, bytes: number, socket: Socket): void {
    if (!this.program.bulk) this.log(who, `${how} ${bytes}`, socket);
    else if (this.last !== who + how) this.log(who, how);
    this.last = who + how;
    this.happened(who, 'data');
  }

  private act(who: Who, op: Op, silent = false): void {
    const actor = this.actors.get(who);
    if (actor === undefined || this.over) return;
    const [name, n] = op;
    try {
      const outcome = who === 'server' ? this.onServer(actor as Server, name) : this.onSocket(who, actor as Socket, op);
      if (!silent) this.log(who, `${name}(${n})${outcome}`, who === 'server' ? undefined : (actor as Socket));
    } catch (error) {
      this.log(who, `${name}(${n}) throws ${fieldsOf(error)}`);
    }
  }

  private onServer(server: Server, name: string): string {
    if (name === 'close')
      server.close((error) => this.log('server', `closed ${error === undefined ? '' : fieldsOf(error)}`));
    else server.maxConnections = 1;
    return '';
  }

  private onSocket(who: Who, socket: Socket, [name, n]: Op): string {
    const done = (what: string) => (error?: unknown) => {
      this.log(who, `${what} ${error == null ? '' : fieldsOf(error)}`);
      if (what === 'wrote') this.happened(who, 'wrote');
    };
    switch (name) {
      case 'write':
        return ` ${socket.write('x'.repeat(n), done('wrote'))}`;
      case 'writeEmpty':
        return ` ${socket.write('', done('wrote nothing'))}`;
      case 'end':
        socket.end(done('ended'));
        return '';
      case 'endWith':
        socket.end('y'.repeat(n), done('ended'));
        return '';
      case 'destroyError':
        socket.destroy(new Error('boom'));
        return '';
      case 'reset':
        socket.resetAndDestroy();
        return '';
      case 'destroy':
      case 'destroySoon':
      case 'pause':
      case 'resume':
      case 'cork':
      case 'uncork':
      case 'ref':
      case 'unref':
        socket[name]();
        return '';
      case 'read': {
        const chunk = socket.read() as { length: number } | null;
        return this.program.bulk ? '' : ` ${chunk === null ? null : chunk.length}`;
      }
      case 'onData':
        socket.on('data', (chunk: { length: number }) => this.text(who, 'data', chunk.length, socket));
        return '';
      case 'offData':
        socket.removeAllListeners('data');
        return '';
      case 'onReadable':
        socket.on('readable', () => {
          const chunk = socket.read() as { length: number } | null;
          if (this.program.bulk) return;
          this.log(who, `readable ${chunk === null ? null : chunk.length}`, socket);
          this.happened(who, 'data');
        });
        return '';
      case 'timeout':
        this.await(IDLE_MS * 2);
        socket.setTimeout(IDLE_MS);
        return '';
      case 'setEncoding':
        socket.setEncoding('latin1');
        return '';
      case 'unshift':
        socket.unshift('u'.repeat(n));
        return '';
      case 'finished':
        finished(socket, done('finished'));
        return '';
      case 'echo':
        socket.pipe(socket);
        return '';
      case 'iterate':
        void this.iterate(who, socket);
        return '';
      case 'connectAgain':
        socket.connect({ port: this.port, host: '127.0.0.1' });
        return '';
      default:
        throw new Error(`no such operation: ${name}`);
    }
  }

  private async iterate(who: Who, socket: Socket): Promise<void> {
    try {
      for await (const chunk of socket) {
        if (!this.program.bulk) this.log(who, `iterated ${(chunk as { length: number }).length}`);
      }
      this.log(who, 'iterated all');
    } catch (error) {
      this.log(who, `iterated ${fieldsOf(error)}`);
    }
  }
}
