import { AsyncLocalStorage } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { MODULES, type Modules } from './exchange';
import { Bench, event, row } from './rows/bench';

/** What a store holds while two requests at once are told of, by request. */
async function contexts(modules: Modules): Promise<Record<string, string[]>> {
  const bench = new Bench(modules);
  const storage = new AsyncLocalStorage<string>();
  const seen: Record<string, string[]> = { '/1': [], '/2': [] };
  const closed: Promise<unknown>[] = [];
  try {
    await bench.serve((req, res) => {
      const note = (what: string): void => void seen[req.url!]!.push(`${what} ${storage.getStore()}`);
      storage.enterWith(req.url!);
      note('handler');
      req.on('data', () => note('data'));
      req.on('end', () => {
        note('end');
        setTimeout(() => {
          note('timer');
          res.end('x');
        }, 2);
      });
      res.on('finish', () => note('finish'));
      res.on('close', () => note('close'));
      closed.push(event(res, 'close'));
    });
    await Promise.all(
      ['/1', '/2'].map((path) => bench.finish(bench.request({ method: 'POST', path, agent: bench.agent() }), 'x')),
    );
    await Promise.all(closed);
  } finally {
    await bench.close();
  }
  return seen;
}

describe('asynchronous context', () => {
  test('a request, its body and its response run in the context that Node gives them', async () => {
    const seen = await Promise.all(['node', 'our http and net'].map((name) => contexts(MODULES[name as 'node'])));
    expect(seen[1]).toEqual(seen[0]);
    // Whatever version: the handler's own context is that of the request alone.
    expect(seen[0]!['/1']![0]).toBe('handler /1');
    expect(seen[0]!['/1']!.length).toBe(6);
  });

  row('requests see what was entered where the server began to listen', async (b) => {
    const storage = new AsyncLocalStorage<string>();
    await storage.run('outer', () => b.serve((_req, res) => res.end(storage.getStore() ?? 'nothing')));
    expect((await b.get()).text).toBe('outer');
  });

  row('the events of a client\u2019s request run where it was made, on a kept connection, too', async (b) => {
    await b.serve();
    const storage = new AsyncLocalStorage<number>();
    const agent = b.agent({ keepAlive: true, maxSockets: 1 });
    const seen: unknown[] = [];
    const ask = (n: number): Promise<void> =>
      storage.run(n, async () => {
        const request = b.request({ agent });
        for (const name of ['socket', 'finish', 'close'])
          request.on(name, () => seen.push([n, name, storage.getStore()]));
        request.on('response', (res) => {
          seen.push([n, 'response', storage.getStore()]);
          res.on('data', () => seen.push([n, 'data', storage.getStore()]));
          res.on('end', () => seen.push([n, 'end', storage.getStore()]));
        });
        request.end();
        await event(request, 'close');
      });
    await Promise.all([ask(1), ask(2)]);
    await ask(3);
    expect(seen).toHaveLength(18);
    for (const [n, name, store] of seen as [number, string, unknown][]) expect([name, store]).toEqual([name, n]);
  });

  row('diagnostics channels tell of requests and responses', async (b) => {
    const seen: string[] = [];
    const names = [
      'http.server.request.start',
      'http.server.response.finish',
      'http.client.request.start',
      'http.client.response.finish',
      'http.client.request.error',
    ];
    const listeners = names.map((name) => {
      const listener = (message: unknown): void => void seen.push(`${name} ${Object.keys(message as object).sort()}`);
      diagnostics.subscribe(name, listener);
      return () => diagnostics.unsubscribe(name, listener);
    });
    try {
      await b.serve();
      await b.get();
      await b.get({ port: 1 }).catch(() => {});
    } finally {
      for (const stop of listeners) stop();
    }
    expect([...seen].sort()).toEqual([
      'http.client.request.error error,request',
      'http.client.request.start request',
      'http.client.request.start request',
      'http.client.response.finish request,response',
      'http.server.request.start request,response,server,socket',
      'http.server.response.finish request,response,server,socket',
    ]);
  });
});
