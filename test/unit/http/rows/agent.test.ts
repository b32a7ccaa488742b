import type nodeHttp from 'node:http';
import type { Duplex } from 'node:stream';
import { MODULES } from '../exchange';
import { type Bench, event, row, soon, thrown, wrong } from './bench';

/** An agent as its own code sees it. */
type Pool = nodeHttp.Agent & {
  totalSocketCount: number;
  keepAliveMsecs: number;
  keepAlive: boolean;
  createConnection(options: object, callback?: (error: Error | null, stream?: Duplex) => void): Duplex;
  getName(options?: object): string;
  keepSocketAlive(socket: Duplex): boolean;
  reuseSocket(socket: Duplex, request: nodeHttp.ClientRequest): void;
};
type PoolClass = new (options: object) => Pool;

const pool = (b: Bench, options?: nodeHttp.AgentOptions): Pool => b.agent(options) as Pool;
const count = (lists: NodeJS.ReadOnlyDict<unknown[]>): number =>
  Object.values(lists).reduce((sum: number, list) => sum + (list as unknown[]).length, 0);
const name = (b: Bench): string => `127.0.0.1:${b.port}:`;

describe('agents', () => {
  row('H-023 H-024 H-035 H-036 requests wait by name, and use one socket after the other', async (b) => {
    await b.serve();
    const agent = pool(b, { maxSockets: 1 });
    const used = new Set<unknown>();
    const requests = [1, 2, 3].map(() => b.request({ agent }));
    for (const request of requests) request.on('socket', (socket) => used.add(socket));
    expect(Object.keys(agent.requests)).toEqual([name(b)]);
    expect(agent.requests[name(b)]).toHaveLength(2);
    expect(agent.sockets[name(b)]).toHaveLength(1);
    expect(Object.getPrototypeOf(agent.requests)).toBeNull();
    expect(Object.getPrototypeOf(agent.sockets)).toBeNull();
    await Promise.all(requests.map((request) => b.finish(request)));
    expect(used.size).toBe(1);
    expect(requests.map((request) => request.reusedSocket)).toEqual([false, false, false]);
  });

  row('H-025 H-037 H-042 then the socket ends, or is pooled', async (b) => {
    await b.serve();
    const once = pool(b);
    await b.get({ agent: once });
    await soon(20);
    expect([count(once.sockets), count(once.freeSockets)]).toEqual([0, 0]);
    const keeps = pool(b, { keepAlive: true });
    expect([once.keepAlive, keeps.keepAlive]).toEqual([false, true]);
    await b.get({ agent: keeps });
    await soon(20);
    expect([count(keeps.sockets), count(keeps.freeSockets)]).toEqual([0, 1]);
    expect(Object.getPrototypeOf(keeps.freeSockets)).toBeNull();
  });

  row('H-026 H-044 pooled connections are probed', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true, keepAliveMsecs: 4321 });
    const calls: unknown[][] = [];
    const request = b.request({ agent });
    request.on('socket', (socket) => {
      socket.setKeepAlive = (...args: unknown[]) => {
        calls.push(args);
        return socket;
      };
    });
    await b.finish(request);
    await soon(20);
    expect(calls).toEqual([[true, 4321]]);
    expect(pool(b).keepAliveMsecs).toBe(1000);
  });

  row('H-027 H-029 H-032 a pooled connection that closes is forgotten', async (b) => {
    const server = await b.serve();
    const agent = pool(b, { keepAlive: true });
    await b.get({ agent });
    await soon(20);
    expect(count(agent.freeSockets)).toBe(1);
    server.closeIdleConnections();
    await soon(15);
    expect([count(agent.freeSockets), agent.totalSocketCount]).toEqual([0, 0]);
    expect((await b.get({ agent })).text).toBe('ok');
    await soon(20);
    (agent.freeSockets[name(b)]![0] as Duplex).destroy();
    await soon(20);
    expect(count(agent.freeSockets)).toBe(0);
  });

  row('H-028 a server can refuse to be asked again', async (b) => {
    await b.serve((_req, res) => void res.setHeader('Connection', 'close').end());
    const agent = pool(b, { keepAlive: true });
    await b.get({ agent });
    await soon(20);
    expect([count(agent.sockets), count(agent.freeSockets)]).toEqual([0, 0]);
  });

  row('H-030 H-056 H-058 idle sockets do not keep the process, used ones do', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true });
    const calls: string[] = [];
    const request = b.request({ agent });
    request.on('socket', (socket) => {
      const { ref, unref } = socket;
      socket.ref = () => {
        calls.push('ref');
        return ref.call(socket);
      };
      socket.unref = () => {
        calls.push('unref');
        return unref.call(socket);
      };
    });
    await b.finish(request);
    await soon(20);
    await b.get({ agent });
    await soon(20);
    expect(calls).toEqual(['unref', 'ref', 'unref']);
  });

  row('H-031 H-060 destroy ends what the agent holds', async (b) => {
    await b.serve((req, res) => void (req.url === '/hang' || res.end()));
    const agent = pool(b, { keepAlive: true });
    await b.get({ agent });
    const hanging = b.request({ agent: pool(b, { keepAlive: true }), path: '/hang' }).end();
    await event(hanging, 'socket');
    await soon(10);
    const failed = event(hanging, 'error');
    agent.destroy();
    (hanging as unknown as { agent: Pool }).agent.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
    await soon(20);
    expect(count(agent.freeSockets)).toBe(0);
  });

  row('H-033 agentRemove takes a socket from the agent', async (b) => {
    await b.serve((_req, res) => void setTimeout(() => res.end(), 10));
    const agent = pool(b, { keepAlive: true });
    const request = b.request({ agent });
    request.on('socket', (socket) => setImmediate(() => socket.emit('agentRemove')));
    await b.finish(request);
    await soon(20);
    expect([count(agent.sockets), count(agent.freeSockets), agent.totalSocketCount]).toEqual([0, 0, 0]);
    request.destroy();
    request.socket?.destroy();
  });

  row('H-034 H-071 agent: false is an agent for once', async (b) => {
    const text = await b.wire(() => {
      const request = b.request({ agent: false }).on('error', () => {});
      expect((request as unknown as { agent: unknown }).agent).toBeInstanceOf(b.http.Agent);
      expect((request as unknown as { agent: unknown }).agent).not.toBe(b.http.globalAgent);
      request.end();
    });
    expect(text).toMatch(/\r\nConnection: close\r\n/);
  });

  row('H-038 H-047 the timeout of an agent ends idle sockets', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true, timeout: 30 });
    const request = b.request({ agent });
    let timeout: unknown;
    request.on('socket', (socket) => {
      timeout = socket.timeout;
    });
    const free = event(agent, 'free');
    await b.finish(request);
    expect(timeout).toBe(30);
    const [socket] = (await free) as Duplex[];
    await event(socket!, 'close');
    expect([socket!.destroyed, count(agent.freeSockets)]).toEqual([true, 0]);
  });

  row('H-039 H-045 maxSockets holds further requests back', async (b) => {
    await b.serve();
    const agent = pool(b, { maxSockets: 2 });
    expect([agent.maxSockets, pool(b).maxSockets]).toEqual([2, Infinity]);
    const requests = [1, 2, 3].map(() => b.request({ agent }));
    expect([count(agent.sockets), count(agent.requests)]).toEqual([2, 1]);
    await Promise.all(requests.map((request) => b.finish(request)));
  });

  row('H-040 hosts of one name share the limit', async (b) => {
    await b.serve();
    const agent = pool(b, { maxSockets: 1 });
    agent.getName = () => 'everywhere';
    const requests = ['127.0.0.1', '127.0.0.2'].map((host) => b.request({ agent, host }).on('error', () => {}));
    expect([count(agent.sockets), count(agent.requests)]).toEqual([1, 1]);
    for (const request of requests) request.destroy();
    await soon(20);
  });

  row('H-041 H-046 maxFreeSockets of them are kept idle', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true, maxFreeSockets: 1 });
    expect([agent.maxFreeSockets, pool(b).maxFreeSockets]).toEqual([1, 256]);
    await Promise.all([1, 2, 3].map(() => b.get({ agent })));
    await soon(20);
    expect(count(agent.freeSockets)).toBe(1);
  });

  row('H-043 Connection: keep-alive is asked for where connections are used again', async (b) => {
    for (const [options, expected] of [
      [{}, 'close'],
      [{ keepAlive: true }, 'keep-alive'],
      [{ maxSockets: 5 }, 'keep-alive'],
      [{ keepAlive: true, maxSockets: 5 }, 'keep-alive'],
    ] as const) {
      const agent = pool(b, options);
      const text = await b.wire(
        () =>
          void b
            .request({ agent })
            .on('error', () => {})
            .end(),
      );
      expect(text).toContain(`\r\nConnection: ${expected}\r\n`);
    }
    const own = await b.wire(
      () =>
        void b
          .request({ agent: pool(b), headers: { connection: 'x' } })
          .on('error', () => {})
          .end(),
    );
    expect(own).toContain('\r\nconnection: x\r\n');
  });

  row('H-048 an agent takes the options of sockets', async (b) => {
    let from: string | undefined;
    await b.serve((req, res) => {
      from = req.socket.remoteAddress;
      res.end();
    });
    await b.get({ agent: pool(b, { localAddress: '127.0.0.3' } as nodeHttp.AgentOptions) });
    expect(from).toBe('127.0.0.3');
  });

  row('H-049 H-070 an agent is given to a request', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true });
    const request = b.request({ agent });
    expect((request as unknown as { agent: unknown }).agent).toBe(agent);
    expect(Object.keys(agent.sockets)).toEqual([name(b)]);
    await b.finish(request);
    expect(`${thrown(() => b.request({ agent: wrong('x') }))}`).toBe(
      'TypeError [ERR_INVALID_ARG_TYPE]: The "options.agent" property must be one of Agent-like Object, undefined, or false. ' +
        "Received type string ('x')",
    );
  });

  row('H-050 H-051 H-052 H-053 createConnection gives the socket, at once or later', async (b) => {
    await b.serve();
    const at = (): Duplex => b.net.connect(b.port, '127.0.0.1');
    const agent = pool(b);
    agent.createConnection = () => at();
    expect((await b.get({ agent })).text).toBe('ok');
    agent.createConnection = (_options, callback) => {
      setTimeout(() => callback!(null, at()), 5);
      return undefined as unknown as Duplex;
    };
    expect((await b.get({ agent })).text).toBe('ok');
    agent.createConnection = (_options, callback) => {
      callback!(new Error('no socket'), wrong(undefined));
      return undefined as unknown as Duplex;
    };
    await expect(b.get({ agent })).rejects.toThrow('no socket');
  });

  row('H-054 H-055 H-059 keepSocketAlive decides whether a socket is kept', async (b) => {
    await b.serve();
    const asked: unknown[] = [];
    class Choosy extends (b.http.Agent as unknown as PoolClass) {
      override keepSocketAlive(socket: Duplex): boolean {
        asked.push(super.keepSocketAlive(socket));
        return false;
      }
    }
    const agent = new Choosy({ keepAlive: true });
    b.agents.push(agent);
    await b.get({ agent });
    await soon(20);
    expect(asked).toEqual([true]);
    expect([agent.totalSocketCount, count(agent.freeSockets)]).toEqual([0, 0]);
  });

  row('H-056 the hint of a server shortens the wait, and one too short forbids it', async (b) => {
    let seconds = 2;
    await b.serve((_req, res) => void res.setHeader('Keep-Alive', `timeout=${seconds}`).end());
    const agent = pool(b, { keepAlive: true, timeout: 5000 });
    await b.get({ agent });
    await soon(20);
    expect((agent.freeSockets[name(b)]![0] as unknown as { timeout: number }).timeout).toBe(1000);
    seconds = 1;
    await b.get({ agent });
    await soon(20);
    expect(count(agent.freeSockets)).toBe(0);
  });

  row('H-057 H-059 reuseSocket is told of the second use', async (b) => {
    await b.serve();
    const told: unknown[] = [];
    class Telling extends (b.http.Agent as unknown as PoolClass) {
      override reuseSocket(socket: Duplex, request: nodeHttp.ClientRequest): void {
        super.reuseSocket(socket, request);
        told.push(request.reusedSocket);
      }
    }
    const agent = new Telling({ keepAlive: true });
    b.agents.push(agent);
    await b.get({ agent });
    await soon(20);
    expect(told).toEqual([]);
    await b.get({ agent });
    expect(told).toEqual([true]);
  });

  row('H-061 H-062 H-063 H-064 H-065 H-066 getName', (b) => {
    const agent = pool(b);
    expect(agent.getName()).toBe('localhost::');
    expect(agent.getName({})).toBe('localhost::');
    expect(agent.getName({ host: 'h', port: 80 })).toBe('h:80:');
    expect(agent.getName({ host: 'h', port: 80, localAddress: '1.2.3.4' })).toBe('h:80:1.2.3.4');
    expect(agent.getName({ host: 'h', port: 80, localAddress: '1.2.3.4', family: 6 })).toBe('h:80:1.2.3.4:6');
    expect(agent.getName({ host: 'h', family: 5 })).toBe('h::');
    expect(agent.getName({ socketPath: '/x' })).toBe('localhost:::/x');
  });

  test('H-067 getName of TLS connections tells all that makes them different', () => {
    const nodeHttps = jest.requireActual('node:https') as typeof import('node:https');
    const { createHttps } = jest.requireActual('../../../../http/https') as typeof import('../../../../http/https');
    const ours = createHttps(MODULES['our http and net'].net);
    const options = {
      host: 'h',
      port: 443,
      ca: 'ca',
      cert: 'cert',
      ciphers: 'c',
      key: 'k',
      servername: 'other',
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      honorCipherOrder: false,
      sigalgs: 'x',
      secureOptions: 0,
    };
    for (const one of [{}, options, { host: 'h', servername: 'h' }, { pfx: 'p', crl: 'r', sessionIdContext: 's' }]) {
      const named = new nodeHttps.Agent() as unknown as Pool;
      expect(new ours.Agent().getName(one as never)).toBe(named.getName(one));
    }
  });

  row('H-068 an agent tells of each socket that is free', async (b) => {
    await b.serve();
    const agent = pool(b, { keepAlive: true });
    let free = 0;
    agent.on('free', (_socket, options) => {
      free++;
      expect(options).toMatchObject({ host: '127.0.0.1', port: b.port });
    });
    await b.get({ agent });
    await soon(20);
    await b.get({ agent });
    await soon(20);
    expect(free).toBe(2);
  });

  row('arguments that make no sense', (b) => {
    expect(thrown(() => new b.http.Agent({ maxTotalSockets: 0 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    expect(`${thrown(() => new b.http.Agent({ scheduling: wrong('x') }))}`).toBe(
      "TypeError [ERR_INVALID_ARG_VALUE]: The argument 'scheduling' must be one of: 'fifo', 'lifo'. Received 'x'",
    );
  });
});
