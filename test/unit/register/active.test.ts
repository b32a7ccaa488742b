import { agrees } from './program';

const BEGIN = `
  const net = require('net'), http = require('http'), async_hooks = require('async_hooks');
  const log = [];
  process.on('exit', () => console.log(log.join('\\n')));
  // Pipes of standard input and output are opened when something looks at them.
  const names = () => process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
  const handles = () => process._getActiveHandles().filter((handle) => handle.address().port > 0);
  const show = (when) => log.push(when + ': ' + names() + ' ' + handles().map((handle) => handle.constructor.name));`;

test('what is open is listed as on stock Node, from its opening to its end', async () => {
  const out = await agrees(`${BEGIN}
    show('begin');
    const server = net.createServer((socket) => {
      show('accepted');
      socket.on('data', () => {
        socket.end();
        show('ending');
      });
    });
    server.listen(0, '127.0.0.1', () => {
      show('listening');
      const client = net.connect(server.address().port, '127.0.0.1');
      show('connecting');
      client.write('x');
      client.resume().on('end', () => {
        client.unref();
        show('unref');
        client.ref();
      });
      client.on('close', () => {
        show('closed');
        server.unref();
        show('server unref');
        server.close();
      });
      server.on('close', () => setImmediate(() => setImmediate(() => show('end'))));
    });`);
  expect(out).toMatch('accepted: ConnectWrap,TCPServerWrap,TCPSocketWrap,TCPSocketWrap Server,Socket');
  expect(out).toMatch(/\nserver unref: TCPSocketWrap Socket\n/);
  expect(out).toMatch(/\nend: *$/);
}, 120_000);

test('handles are the sockets and servers of the program, timers its own', async () => {
  const out = await agrees(`${BEGIN}
    const timer = setInterval(() => {}, 1000);
    const server = http.createServer((request, response) => response.end()).listen(0, '127.0.0.1', () => {
      log.push(process._getActiveHandles().includes(server));
      log.push(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);
      const client = net.connect(server.address().port, '127.0.0.1', () => {
        log.push(process._getActiveHandles().includes(client));
        client.on('close', () => {
          clearInterval(timer);
          server.close();
        });
        client.destroy();
      });
    });`);
  expect(out).toBe('true\n1\ntrue');
}, 120_000);

test('asynchronous hooks hear of the end of each handle, and may ask whether it is waited for', async () => {
  const out = await agrees(`${BEGIN}
    const open = new Map();
    // Ours also closes some of libuv's that nobody opened.
    const gone = new Set();
    process.on('exit', () => console.log([...gone].sort().join()));
    async_hooks.createHook({
      init(id, type, trigger, resource) {
        if (/^TCP(SERVER)?WRAP$/.test(type)) open.set(id, [type, resource]);
      },
      destroy(id) { if (open.has(id)) gone.add('gone ' + open.get(id)[0]); },
    }).enable();
    const server = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1', () => {
      const refs = () => [...open.values()].map(([type, resource]) => type + ' ' + resource.hasRef());
      log.push(refs());
      server.unref();
      log.push(refs());
      server.ref();
      const client = net.connect(server.address().port, '127.0.0.1');
      // What is destroyed is told in an immediate of its own.
      client.resume().on('close', () => server.close());
      const wait = (turns) => { if (turns > 0) setImmediate(wait, turns - 1); else log.push('left ' + server.listening); };
      server.on('close', () => wait(5));
    });`);
  expect(out).toMatch(/^TCPSERVERWRAP true\nTCPSERVERWRAP false\n/);
  expect(out).toMatch('gone TCPSERVERWRAP,gone TCPWRAP');
}, 120_000);

test('what is waited for is listed as on stock Node, outside of its own callback', async () => {
  const out = await agrees(`${BEGIN}
    const requests = (when) => log.push(when + ': ' + process._getActiveRequests().map((one) => one.constructor.name));
    requests('begin');
    const server = net.createServer((socket) => {
      socket.pause();
      setTimeout(() => socket.resume(), 50);
    }).listen(0, '127.0.0.1', () => {
      const client = net.connect(server.address().port, '127.0.0.1');
      process.nextTick(() => process.nextTick(requests, 'connecting'));
      client.on('connect', () => setImmediate(() => {
        requests('connected');
        client.write(Buffer.alloc(12e6));
        setImmediate(requests, 'writing');
      }));
      client.on('drain', () => setImmediate(() => {
        requests('written');
        client.end();
        requests('ending');
      }));
      client.on('finish', () => setImmediate(requests, 'ended'));
      client.resume().on('close', () => server.close(() => requests('closed')));
    });`);
  expect(out).toMatch(
    'connecting: TCPConnectWrap\nconnected: \nwriting: WriteWrap\nwritten: \nending: ShutdownWrap\nended:',
  );
}, 120_000);
