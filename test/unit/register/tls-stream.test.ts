import { agrees } from './program';

// TLS over our handles has the order that it has over a kernel's: each program runs on both.

const BEGIN = `
  const tls = require('tls'), http2 = require('http2'), net = require('net');
  const log = [];
  process.on('exit', () => console.log(log.join('\\n')));
  const psk = Buffer.from('key');
  const version = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
  const server = { ...version, pskCallback: () => psk };
  const client = { ...version, host: '127.0.0.1', checkServerIdentity() {}, pskCallback: () => ({ psk, identity: 'a' }) };
  const serve = (onSocket, then) => {
    const one = tls.createServer(server, onSocket);
    one.listen(0, '127.0.0.1', () => then(one.address().port, one));
  };`;

test('a write is done before what setImmediate was asked for, and not at once', async () => {
  const out = await agrees(`${BEGIN}
    serve((socket) => socket.resume().on('end', () => socket.end()), (port, one) => {
      const socket = tls.connect({ ...client, port }, () => {
        const write = (name, after) => {
          setImmediate(() => log.push(name + ': immediate before'));
          socket.write(name, () => {
            log.push(name + ': written');
            after();
          });
          setImmediate(() => log.push(name + ': immediate behind'));
          process.nextTick(() => log.push(name + ': tick'));
          Promise.resolve().then(() => log.push(name + ': promise'));
        };
        write('one', () => setTimeout(() => setImmediate(() => write('two', () => socket.end())), 5));
      });
      socket.resume().on('close', () => one.close());
    });`);
  const order = ['tick', 'promise', 'written', 'immediate before', 'immediate behind'];
  expect(out.split('\n')).toEqual(['one', 'two'].flatMap((name) => order.map((what) => `${name}: ${what}`)));
}, 120_000);

test('ticks run between two records that arrive together', async () => {
  const out = await agrees(`${BEGIN}
    serve((socket) => {
      socket.cork();
      socket.setNoDelay(false);
      for (const text of ['one', 'two', 'three']) socket.write(text);
      socket.uncork();
      socket.write('four');
      socket.end('five');
    }, (port, one) => {
      const socket = tls.connect({ ...client, port });
      socket.on('data', (chunk) => {
        log.push('data ' + chunk);
        process.nextTick(() => log.push('tick ' + chunk));
        Promise.resolve().then(() => log.push('promise ' + chunk));
      });
      socket.on('end', () => log.push('end')).on('close', () => one.close());
    });`);
  const told = ['onetwothree', 'fourfive'].flatMap((text) =>
    ['data', 'tick', 'promise'].map((what) => `${what} ${text}`),
  );
  expect(out.split('\n')).toEqual([...told, 'end']);
}, 120_000);

test('a session over TLS that was connected long before says goodbye and closes', async () => {
  const out = await agrees(`${BEGIN}
    const one = http2.createSecureServer(server, (request, response) => response.end());
    one.on('session', (session) => session.on('close', () => log.push('closed')));
    one.listen(0, '127.0.0.1', () => {
      const socket = tls.connect({ ...client, port: one.address().port, ALPNProtocols: ['h2'] }, () => {
        socket.once('readable', () => {
          const session = http2.connect('https://localhost', { createConnection: () => socket });
          session.once('remoteSettings', () => {
            const request = session.request();
            request.on('response', () => log.push('response')).resume();
            request.on('end', () => {
              session.close();
              request.close();
              one.close();
            });
          });
        });
      });
    });`);
  expect(out).toBe('response\nclosed');
}, 120_000);

test('much goes through in both directions, with a reader that waits', async () => {
  const out = await agrees(`${BEGIN}
    const { createHash } = require('crypto');
    const all = Buffer.alloc(8_000_000, 'not the same everywhere ');
    const digest = (socket, then) => {
      const hash = createHash('md5');
      socket.on('data', (chunk) => hash.update(chunk)).on('end', () => then(hash.digest('hex')));
      socket.pause();
      setTimeout(() => socket.resume(), 50);
    };
    serve((socket) => {
      socket.allowHalfOpen = true;
      digest(socket, (hash) => log.push('server ' + hash));
      socket.end(all);
    }, (port, one) => {
      const socket = tls.connect({ ...client, port, allowHalfOpen: true });
      digest(socket, (hash) => {
        log.push('client ' + hash);
        socket.end(all);
      });
      socket.on('close', () => one.close());
    });`);
  const [one, two] = out.split('\n');
  expect(one!.split(' ')[1]).toBe(two!.split(' ')[1]);
}, 120_000);

test('what was said in plain before, on both ends, is not in the way', async () => {
  const out = await agrees(`${BEGIN}
    const plain = net.createServer((socket) => {
      socket.once('data', (chunk) => {
        log.push('asked ' + chunk);
        socket.write('go');
        const secured = new tls.TLSSocket(socket, { ...server, isServer: true });
        secured.on('data', (text) => secured.end('echo ' + text));
      });
    });
    plain.listen(0, '127.0.0.1', () => {
      const socket = net.connect(plain.address().port, '127.0.0.1', () => socket.write('start'));
      socket.once('data', (chunk) => {
        log.push(String(chunk));
        const secured = tls.connect({ ...client, socket });
        log.push('connecting ' + secured.connecting);
        secured.write('hello');
        secured.on('data', (text) => log.push(String(text)));
        secured.on('close', () => plain.close());
      });
    });`);
  expect(out).toBe('asked start\ngo\nconnecting false\necho hello');
}, 120_000);
