import { AsyncLocalStorage } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { event, row, soon } from './rows/bench';

describe('asynchronous context', () => {
  row('a request, its body and its response run in a context of their own', async (b) => {
    const storage = new AsyncLocalStorage<string>();
    const seen: string[] = [];
    const server = await b.serve((req, res) => {
      storage.enterWith(req.url!);
      req.on('data', () => seen.push(`data ${storage.getStore()}`));
      req.on('end', () => {
        seen.push(`end ${storage.getStore()}`);
        setTimeout(() => res.end(storage.getStore()), 2);
      });
      res.on('finish', () => seen.push(`finish ${storage.getStore()}`));
      res.on('close', () => seen.push(`close ${storage.getStore()}`));
    });
    server.on('request', () => {});
    const results = await Promise.all(
      ['/1', '/2'].map((path) => b.finish(b.request({ method: 'POST', path, agent: b.agent() }), 'x')),
    );
    await soon(20);
    expect(results.map(({ text }) => text)).toEqual(['/1', '/2']);
    expect(seen.filter((line) => line.endsWith('/1'))).toEqual(['data /1', 'end /1', 'finish /1', 'close /1']);
    expect(seen).toHaveLength(8);
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
