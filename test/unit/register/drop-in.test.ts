import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

/** Runs a program under the drop-in, from the sources as they are. Gives what it prints. */
async function program(source: string): Promise<string> {
  const preloads = ['-r', join(ROOT, 'test/typescript.cjs'), '-r', join(ROOT, 'register/index.ts')];
  const { stdout } = await run(process.execPath, [...preloads, '-e', source], { cwd: ROOT, timeout: 60_000 });
  return stdout.trim();
}

/** The symbol of an object that Node describes so. */
const KEY = `const key = (object, name) => Object.getOwnPropertySymbols(object).find((one) => one.description === name);`;

describe('under the drop-in', () => {
  test('what Node keeps under symbols of its own is found there', async () => {
    // Objects of Node's own, from before anything was replaced, know the symbols: its terminals are such sockets.
    const out = await program(`${KEY}
      const http = require('http'), net = require('net'), { AsyncResource } = require('async_hooks');
      const outgoing = Object.getOwnPropertySymbols(http.OutgoingMessage.prototype).map((one) => one.description);
      const kOutHeaders = key(http.OutgoingMessage.prototype, 'kOutHeaders');
      const message = new http.OutgoingMessage();
      const before = message[kOutHeaders];
      message.setHeader('X-Name', 1);
      const told = JSON.stringify(message[kOutHeaders]);
      message[kOutHeaders] = { host: ['Host', 'a'] };
      const kTimeout = key(net.Socket.prototype, 'timeout');
      const socket = new net.Socket();
      const without = socket[kTimeout];
      socket.setTimeout(5000);
      console.log(JSON.stringify([before, told, message.getHeader('HOST'), without, socket[kTimeout]._idleTimeout,
        outgoing.includes('kHighWaterMark'), socket[key(new AsyncResource('X'), 'async_id_symbol')]]));
      socket.destroy();`);
    expect(JSON.parse(out)).toEqual([null, '{"x-name":["X-Name",1]}', 'a', null, 5000, true, -1]);
  });

  test('arguments that Node made ready are taken as they are', async () => {
    const out = await program(`
      const net = require('net');
      const [mark] = Object.getOwnPropertySymbols(net._normalizeArgs([]));
      console.log(mark.description);`);
    expect(out).toBe('normalizedArgs');
  });

  test('resources of messages end with them', async () => {
    const out = await program(`
      const hooks = require('async_hooks'), http = require('http');
      const alive = new Map(), counts = {};
      hooks.createHook({
        init(id, type) { if (/^HTTP/.test(type)) { alive.set(id, type); counts[type] = (counts[type] ?? 0) + 1; } },
        destroy(id) { alive.delete(id); },
      }).enable();
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const server = http.createServer((req, res) => res.end('x')).listen(0, async () => {
        for (let i = 0; i < 3; i++) {
          await new Promise((resolve) => http.get({ port: server.address().port, agent }, (res) => res.resume().on('end', resolve)));
        }
        agent.destroy();
        server.close();
      });
      process.on('exit', () => console.log(JSON.stringify([counts, alive.size])));`);
    expect(JSON.parse(out)).toEqual([{ HTTPCLIENTREQUEST: 3, HTTPINCOMINGMESSAGE: 1 }, 0]);
  });

  test('a body that nobody reads does not keep the process', async () => {
    const out = await program(`
      const http = require('http'), net = require('net');
      const server = http.createServer((request) => {
        server.close();
        // What is read of it stops when its stream is full.
        request.on('readable', () => {
          if (request.readableLength < request.readableHighWaterMark) return;
          console.log('full');
          client.destroy();
        });
      }).listen(0);
      const client = net.connect(server.address().port);
      client.write('POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1000000\\r\\n\\r\\n');
      client.write(Buffer.alloc(1000000));
      client.on('close', () => console.log('closed'));`);
    expect(out).toBe('full\nclosed');
  }, 60_000);

  test('perf_hooks shows connections and messages, to whoever observes them', async () => {
    const out = await program(`
      const { PerformanceObserver, PerformanceEntry } = require('perf_hooks'), http = require('http');
      const entries = [];
      const observer = new PerformanceObserver((list) => entries.push(...list.getEntries()));
      observer.observe({ entryTypes: ['http', 'net'] });
      const server = http.createServer((req, res) => res.end('x')).listen(0, () => {
        const { port } = server.address();
        http.get({ port, path: '/a', agent: false }, (res) => res.resume().on('close', () => setImmediate(() => {
          observer.disconnect();
          http.get({ port, path: '/unseen', agent: false }, (res) => res.resume().on('close', () => server.close()));
        })));
      });
      process.on('exit', () => console.log(JSON.stringify(entries.map((entry) => [
        entry.entryType, entry.name, entry.duration >= 0, entry instanceof PerformanceEntry,
        entry.detail.req?.url.replace(/:\\d+/, ''), entry.detail.res?.statusCode, entry.detail.host]).sort())));`);
    expect(JSON.parse(out)).toEqual([
      ['http', 'HttpClient', true, true, 'http://localhost/a', 200, null],
      ['http', 'HttpRequest', true, true, '/a', 200, null],
      ['net', 'connect', true, true, null, null, expect.any(String)],
    ]);
  });

  test('what HTTP/2 shows of its connection is what the connection says of itself', async () => {
    const out = await program(`
      const http2 = require('http2'), net = require('net'), tty = require('tty');
      const seen = {};
      const server = http2.createServer((request, response) => {
        seen.server = [request.socket instanceof net.Socket, request.socket.remoteAddress, request.socket.localPort === port];
        response.end('x');
      });
      server.on('session', (session) => session.unref());
      let port;
      server.listen(0, '127.0.0.1', () => {
        port = server.address().port;
        const client = http2.connect('http://127.0.0.1:' + port, { localAddress: '127.0.0.3' });
        seen.before = [client.connecting, client.socket.connecting];
        client.on('connect', () => {
          seen.client = [client.connecting, client.socket instanceof net.Socket, client.socket.localAddress];
          client.request().resume().on('close', () => {
            server.close();
            // Nothing else keeps the process alive.
            client.unref();
          });
        });
      });
      seen.none = [{} instanceof net.Socket, net.Socket.prototype instanceof tty.ReadStream];
      process.on('exit', () => console.log(JSON.stringify(seen)));`);
    expect(JSON.parse(out)).toEqual({
      none: [false, false],
      before: [true, true],
      server: [true, '127.0.0.3', true],
      client: [false, true, '127.0.0.3'],
    });
  });

  test('HTTP/2 to where nobody listens fails before it connects', async () => {
    const out = await program(`
      const http2 = require('http2');
      const client = http2.connect('http://127.0.0.1:1');
      const told = [];
      client.on('connect', () => told.push('connect'));
      client.on('error', (error) => told.push(error.code));
      client.on('close', () => console.log(told.join()));`);
    expect(out).toBe('ECONNREFUSED');
  });

  test('functions that make sockets and servers may be called with new', async () => {
    const out = await program(`
      const net = require('net');
      const server = new net.createServer();
      server.listen(0, () => {
        const socket = new net.connect(server.address().port, () => {
          console.log(server instanceof net.Server, socket instanceof net.Socket);
          socket.destroy();
          server.close();
        });
      });`);
    expect(out).toBe('true true');
  });
});
