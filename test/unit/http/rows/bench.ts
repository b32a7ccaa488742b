import type nodeHttp from 'node:http';
import type nodeNet from 'node:net';
import { MODULES, type Modules, quietTurns } from '../exchange';

type Server = nodeHttp.Server;
export type Handler = (req: nodeHttp.IncomingMessage, res: nodeHttp.ServerResponse) => void;
export type Fault = Error & { code?: string; errno?: number };

/** What a row's test works with: one pair of modules, a server to set up, and requests to it. */
export class Bench {
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<nodeNet.Socket>();
  readonly agents: nodeHttp.Agent[] = [];
  port = 0;

  constructor(readonly modules: Modules) {}

  get http(): typeof nodeHttp {
    return this.modules.http;
  }
  get net(): typeof nodeNet {
    return this.modules.net;
  }

  /** Starts a server; requests go to the last one started. */
  async serve(
    handler: Handler = (_req, res) => void res.end('ok'),
    options: nodeHttp.ServerOptions = {},
  ): Promise<Server> {
    const server = this.http.createServer(options, handler);
    await this.listen(server);
    return server;
  }

  async listen(server: Server | nodeNet.Server): Promise<void> {
    this.servers.push(server as Server);
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.port = (server.address() as nodeNet.AddressInfo).port;
  }

  /** Starts a server that answers each connection with `bytes` once it has sent something. */
  async answer(bytes: string | ((socket: nodeNet.Socket, text: string) => void)): Promise<nodeNet.Server> {
    const server = this.net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        if (typeof bytes === 'function') bytes(socket, data.toString('latin1'));
        else socket.write(bytes);
      });
    });
    await this.listen(server);
    return server;
  }

  request(options: nodeHttp.RequestOptions = {}): nodeHttp.ClientRequest {
    return this.http.request({ host: '127.0.0.1', port: this.port, ...options });
  }

  agent(options?: nodeHttp.AgentOptions): nodeHttp.Agent {
    const agent = new this.http.Agent(options);
    this.agents.push(agent);
    return agent;
  }

  /** Ends a request and waits for its response and the response's text. */
  async finish(
    request: nodeHttp.ClientRequest,
    body?: string | Buffer,
  ): Promise<{ res: nodeHttp.IncomingMessage; text: string }> {
    const response = new Promise<nodeHttp.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
    });
    request.end(body);
    const res = await response;
    const text = await textOf(res);
    return { res, text };
  }

  get(options: nodeHttp.RequestOptions = {}): Promise<{ res: nodeHttp.IncomingMessage; text: string }> {
    return this.finish(this.request(options));
  }

  /** Sends bytes and gives what came back, once the server closed or was silent. */
  raw(...pieces: (string | Buffer)[]): Promise<string> {
    return new Promise((resolve) => {
      const socket = this.net.connect(this.port, '127.0.0.1');
      let text = '';
      let timer: NodeJS.Timeout | undefined;
      const done = (): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(text);
      };
      const quiet = (): void =>
        quietTurns(
          () => text.length,
          next,
          () => {},
        );
      const next = (): void => {
        const piece = pieces.shift();
        if (piece === undefined) return done();
        socket.write(piece);
        timer = setTimeout(quiet, 120);
      };
      socket.on('connect', next);
      socket.on('data', (data) => {
        text += data.toString('latin1');
        clearTimeout(timer);
        timer = setTimeout(quiet, 30);
      });
      socket.on('close', done);
      socket.on('error', () => {});
    });
  }

  /** The bytes that a request puts on the wire. */
  async wire(make: (bench: Bench) => void): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      let timer: NodeJS.Timeout | undefined;
      const server = this.net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => {
          text += data.toString('latin1');
          clearTimeout(timer);
          timer = setTimeout(() => resolve(text), 25);
        });
      });
      this.listen(server).then(() => make(this), reject);
    });
  }

  async close(): Promise<void> {
    for (const agent of [...this.agents, this.http.globalAgent]) agent.destroy();
    for (const socket of this.sockets) socket.destroy();
    const closed = this.servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const server of this.servers) server.closeAllConnections?.();
    await Promise.all(closed);
  }
}

export async function textOf(message: nodeHttp.IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message) text += chunk.toString('latin1');
  return text;
}

/** Waits for an event; an array of what it told. */
export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Lets what is under way happen: in several sleeps, so that the loop turns as often on a machine that is slow. */
export async function soon(ms = 0): Promise<void> {
  for (let i = 0; i < 10; i++) await sleep(ms / 10);
}

/** Waits until something is so: as long as Jest lets it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}

/** What a call throws. */
export function thrown(task: () => unknown): Fault {
  try {
    task();
  } catch (error) {
    return error as Fault;
  }
  throw new Error('nothing was thrown');
}

/** An argument of the wrong type. */
export const wrong = (value: unknown): never => value as never;

const SIDES: [string, Modules][] = [
  ['Node', MODULES.node],
  ['ours', MODULES['our http and net']],
];

/** A requirement, proved on Node's own modules, which shows that the test is right, and on ours. */
export function row(title: string, task: (bench: Bench) => Promise<void> | void): void {
  test.each(SIDES)(`${title} [%s]`, async (_side, modules) => {
    const bench = new Bench(modules);
    try {
      await task(bench);
    } finally {
      await bench.close();
    }
  });
}
