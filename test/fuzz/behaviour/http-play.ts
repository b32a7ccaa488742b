import { errorMonitor } from 'node:events';
import type nodeHttp from 'node:http';
import type nodeNet from 'node:net';
import { finished } from 'node:stream';
import { fieldsOf } from '../../unit/net/both';
import type { HttpProgram, Kind } from './http-program';
import type { Told } from './net-play';
import type { Op, Via } from './net-program';

const EVENTS: Readonly<Record<Kind, readonly string[]>> = {
  request: ['socket', 'finish', 'close', 'error', 'continue', 'information', 'abort', 'drain'],
  response: ['end', 'close', 'error', 'aborted'],
  incoming: ['end', 'close', 'error', 'aborted'],
  outgoing: ['finish', 'close', 'error', 'drain'],
  socket: ['connect', 'end', 'close', 'free', 'agentRemove'],
  peer: ['end', 'close'],
  server: ['close', 'dropRequest'],
};
const QUIET_ROUNDS = 6;

/** Errors of Node's are of another realm's class where tests have a realm of their own. */
const isError = (arg: unknown): arg is Error => typeof arg === 'object' && arg !== null && 'stack' in arg;

/** Where in a packet an error is depends on how the text was cut, which is nobody's promise. */
const errorText = (error: Error): string => fieldsOf(error).replace(/ bytesParsed=\d+| rawPacket=.*/gs, '');

// biome-ignore lint/suspicious/noExplicitAny: whatever emits, of either module
type Actor = any;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One run of a program over one http module. */
export class HttpPlay {
  private readonly all: string[] = [];
  private readonly actors = new Map<string, Actor>();
  private readonly known = new Map<object, string>();
  private readonly seen = new Set<string>();
  private readonly sockets = new Set<nodeNet.Socket>();
  private due = 0;
  private over = false;
  private port = 0;
  private peers = 0;

  constructor(
    private readonly http: typeof nodeHttp,
    private readonly program: HttpProgram,
  ) {}

  async run(): Promise<Told> {
    const { program } = this;
    const { maxRequestsPerSocket, ...options } = program.serverOptions as nodeHttp.ServerOptions & {
      maxRequestsPerSocket?: number;
    };
    const server = this.http.createServer(options, (request, response) => this.requested(request, response));
    if (maxRequestsPerSocket !== undefined) server.maxRequestsPerSocket = maxRequestsPerSocket;
    this.watchServer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.port = (server.address() as { port: number }).port;
    await pass(1);
    const agent = this.agent();
    for (let i = 0; i < program.requests.length; i++) this.request(i, agent);
    await this.quiet();
    this.over = true;
    if (agent !== false) agent.destroy();
    for (const socket of this.sockets) socket.destroy();
    server.close();
    await turn();
    await turn();
    const each: Record<string, string[]> = {};
    for (const line of this.all) {
      const who = line.slice(0, line.indexOf(' '));
      each[who] ??= [];
      each[who]!.push(line.slice(who.length + 1));
    }
    return { all: this.all, each };
  }

  private agent(): nodeHttp.Agent | false {
    const { agent } = this.program;
    if (agent === 'none') return false;
    const { Agent } = this.http;
    if (agent === 'new') return new Agent();
    return new Agent(agent === 'kept' ? { keepAlive: true } : { keepAlive: true, maxSockets: 1 });
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

  private log(who: string, what: string): void {
    if (this.over || this.all.length > 2000) return;
    const text = what
      .split(String(this.port))
      .join('PORT')
      .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT');
    this.all.push(`${who} ${text.replace(/Date: [^\r]*/g, 'Date: X')}${this.state(who, text)}`);
  }

  private state(who: string, text: string): string {
    const a = this.actors.get(who);
    if (a === undefined || who === 'server') return '';
    const flags = [
      'destroyed',
      'closed',
      'aborted',
      'complete',
      'readableEnded',
      'headersSent',
      'writableEnded',
      'writableFinished',
      'finished',
      'reusedSocket',
      'writableNeedDrain',
      'shouldKeepAlive',
    ];
    if (who.startsWith('response') || who.startsWith('incoming')) flags.push('readableFlowing');
    // Node parses a whole wake-up's text before it tells of any: ours a segment, and then the next.
    const set = flags.filter((flag) => a[flag] === true && !(flag === 'complete' && text.startsWith('data')));
    const counts =
      who.startsWith('request') || who.startsWith('outgoing')
        ? [`waits=${a.writableLength}`]
        : [`unread=${a.readableLength}`];
    return ` [${[...set, ...(who.startsWith('socket') || who.startsWith('peer') ? [] : counts), a.socket === null && 'no socket'].filter(Boolean).join(' ')}]`;
  }

  private happened(who: string, event: string): void {
    const key = `${who} ${event}`;
    if (this.seen.has(key) || this.over) return;
    this.seen.add(key);
    for (const rule of this.program.rules) {
      const its = rule.kind === 'server' ? 'server' : `${rule.kind}${rule.index}`;
      if (its !== who || rule.on !== event) continue;
      const to = rule.to === 'server' ? 'server' : `${rule.to}${rule.index}`;
      this.by(rule.via, () => {
        for (const op of rule.ops) this.act(to, op);
      });
    }
  }

  private by(via: Via, task: () => void): void {
    if (via === 'now') return task();
    this.due++;
    const later = (): void => {
      this.due--;
      task();
    };
    if (via === 'tick') process.nextTick(later);
    else if (via === 'promise') void Promise.resolve().then(later);
    else if (via === 'immediate') setImmediate(later);
    else setTimeout(later, 10);
  }

  private watch(kind: Kind, who: string, actor: Actor): void {
    this.actors.set(who, actor);
    this.known.set(actor, who);
    // HTTP takes the errors of sockets itself: only heard on the way.
    if (kind === 'socket' || kind === 'peer') {
      actor.on(errorMonitor, (error: Error) => this.log(who, `error ${errorText(error)}`));
    }
    for (const event of EVENTS[kind]) {
      actor.on(event, (...args: unknown[]) => {
        const told = args
          .filter((arg) => isError(arg) || event === 'information')
          .map((arg) => (isError(arg) ? errorText(arg) : JSON.stringify(arg)));
        this.log(who, [event, ...told].join(' '));
        this.happened(who, event);
      });
    }
  }

  private watchServer(server: nodeHttp.Server): void {
    this.watch('server', 'server', server);
    const { listens } = this.program;
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      const who = `peer${this.peers++}`;
      this.watch('peer', who, socket);
      this.log(who, 'connection');
      this.happened(who, 'start');
    });
    for (const event of ['checkContinue', 'checkExpectation']) {
      if (!listens.includes(event)) continue;
      server.on(event, (request: nodeHttp.IncomingMessage, response: nodeHttp.ServerResponse) => {
        this.log('server', event);
        if (event === 'checkContinue') response.writeContinue();
        this.requested(request, response);
      });
    }
    for (const event of ['upgrade', 'connect']) {
      if (!listens.includes(event)) continue;
      server.on(event, (request: nodeHttp.IncomingMessage, socket: nodeNet.Socket, head: Buffer) => {
        this.log('server', `${event} ${request.method} ${head.length}`);
        socket.on('error', () => {});
        socket.write('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
        socket.resume();
      });
    }
    if (listens.includes('clientError')) {
      server.on('clientError', (error: Error & { bytesParsed?: number }, socket) => {
        this.log('server', `clientError ${error.message} ${socket.writable}`);
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      });
    }
  }

  private requested(request: nodeHttp.IncomingMessage, response: nodeHttp.ServerResponse): void {
    const index = Number(request.url!.slice(1));
    this.watch('incoming', `incoming${index}`, request);
    this.watch('outgoing', `outgoing${index}`, response);
    this.log(
      `incoming${index}`,
      `request ${request.method} ${request.httpVersion} ${JSON.stringify(request.rawHeaders)}`,
    );
    if (this.program.reads[1]) this.act(`incoming${index}`, ['onData', 0], true);
    this.happened(`incoming${index}`, 'start');
    this.happened(`outgoing${index}`, 'start');
    const answered = this.program.rules.some((rule) => rule.to === 'outgoing' && rule.index === index);
    if (!answered) this.act(`outgoing${index}`, ['endWith', 2]);
  }

  private request(index: number, agent: nodeHttp.Agent | false): void {
    const { method, headers, ends } = this.program.requests[index]!;
    const who = `request${index}`;
    const request = this.http.request({
      host: '127.0.0.1',
      port: this.port,
      path: `/${index}`,
      method,
      headers,
      agent,
    });
    this.watch('request', who, request);
    request.on('socket', (socket) => {
      if (this.known.has(socket)) return;
      this.sockets.add(socket);
      this.watch('socket', `socket${index}`, socket);
    });
    request.on('response', (response) => this.responded(index, response));
    if (this.program.listens.includes('clientUpgrade')) {
      request.on('upgrade', (response, socket, head) => {
        this.log(who, `upgrade ${response.statusCode} ${head.length}`);
        socket.resume();
      });
    }
    this.happened(who, 'start');
    if (ends && !request.writableEnded) this.act(who, method === 'POST' ? ['endWith', 4] : ['end', 0], true);
  }

  private responded(index: number, response: nodeHttp.IncomingMessage): void {
    const who = `response${index}`;
    this.watch('response', who, response);
    const headers = response.rawHeaders.map((text, n) =>
      /^date$/i.test(response.rawHeaders[n - 1] ?? '') ? 'X' : text,
    );
    this.log(who, `response ${response.statusCode} ${JSON.stringify(headers)}`);
    if (this.program.reads[0]) this.act(who, ['onData', 0], true);
    this.happened(`request${index}`, 'response');
    this.happened(who, 'start');
  }

  private act(who: string, op: Op, silent = false): void {
    const actor = this.actors.get(who);
    if (actor === undefined || this.over) return;
    const [name, n] = op;
    try {
      const outcome = this.done(who, actor, op);
      if (!silent) this.log(who, `${name}(${n}) ${outcome}`);
    } catch (error) {
      this.log(who, `${name}(${n}) throws ${errorText(error as Error)}`);
    }
  }

  private done(who: string, actor: Actor, [name, n]: Op): unknown {
    const told = (what: string) => (error?: unknown) => {
      this.log(who, `${what} ${error == null ? '' : errorText(error as Error)}`);
      if (what === 'wrote') this.happened(who, 'wrote');
    };
    const ops: Record<string, () => unknown> = {
      write: () => actor.write('x'.repeat(n), told('wrote')),
      end: () => actor.end(told('ended')) === actor,
      endWith: () => actor.end('y'.repeat(n), told('ended')) === actor,
      destroyError: () => actor.destroy(new Error('boom')) === actor,
      destroy: () => void actor.destroy(),
      setHeader: () => actor.setHeader('X-More', String(n)) === actor,
      setLength: () => actor.setHeader('Content-Length', n) === actor,
      status: () => {
        actor.statusCode = [200, 204, 304, 404, 500][n % 5];
        return actor.statusCode;
      },
      noKeepAlive: () => {
        actor.shouldKeepAlive = false;
        return '';
      },
      writeHead: () => actor.writeHead([200, 201, 204, 304, 500][n % 5], { 'X-Head': 'a' }) === actor,
      writeEarlyHints: () => actor.writeEarlyHints({ link: '</a>; rel=preload' }),
      addTrailers: () => actor.addTrailers({ 'X-Trailer': 't' }),
      finished: () => void finished(actor, told('finished')),
      onData: () =>
        void actor.on('data', (chunk: { length: number }) => {
          this.log(who, `data ${chunk.length}`);
          this.happened(who, 'data');
        }),
      read: () => {
        const chunk = actor.read() as { length: number } | null;
        return chunk === null ? null : chunk.length;
      },
      setEncoding: () => void actor.setEncoding('latin1'),
      iterate: () => void this.iterate(who, actor),
      reset: () => void actor.resetAndDestroy(),
      endSocket: () => void actor.end(),
      garbage: () => actor.write('garbage\r\n\r\n'),
      closeAll: () => actor.closeAllConnections(),
      closeIdle: () => actor.closeIdleConnections(),
      close: () => void actor.close(told('closed')),
    };
    return (ops[name] ?? (() => void actor[name]()))();
  }

  private async iterate(who: string, stream: AsyncIterable<{ length: number }>): Promise<void> {
    try {
      for await (const chunk of stream) this.log(who, `iterated ${chunk.length}`);
      this.log(who, 'iterated all');
    } catch (error) {
      this.log(who, `iterated ${errorText(error as Error)}`);
    }
  }
}
