import { Http2Frames } from '../../../register/http2-frames';
import { agrees } from './program';

const BEGIN = `
  const http2 = require('http2'), net = require('net'), { text } = require('stream/consumers');
  const log = [];
  process.on('exit', () => console.log(log.join('\\n')));
  const listen = (server, then) => server.listen(0, '127.0.0.1', () => then(server.address().port));
  const to = (port, options) => http2.connect('http://127.0.0.1:' + port, options);`;

test('a session says goodbye to a server that reset it, and nobody hears of an error', async () => {
  const out = await agrees(`${BEGIN}
    const server = net.createServer((socket) => {
      log.push('accepted');
      socket.resume().on('error', (error) => log.push(error.code));
    });
    listen(server, (port) => {
      let left = 4;
      for (let i = 0; i < 4; i++) {
        const client = to(port);
        client.on('error', (error) => log.push(error.syscall + ' ' + error.code));
        client.once('connect', () => {
          log.push('connect');
          client.close();
          if (--left === 0) server.close();
        });
        client.on('close', () => log.push('close'));
      }
    });`);
  expect(out).toBe('accepted\nconnect\nconnect\nconnect\nconnect\nclose\nclose\nclose\nclose');
}, 120_000);

test('a session shows the socket of the program', async () => {
  const out = await agrees(`${BEGIN}
    const server = http2.createServer();
    server.on('connection', (socket) => server.socket = socket);
    server.on('stream', (stream) => {
      const { socket } = stream.session;
      socket.unref();
      log.push(socket._handle.hasRef());
      socket.ref();
      log.push(socket._handle.hasRef(), socket instanceof net.Socket, socket._server === server, socket.connecting);
      log.push(socket.remotePort === server.socket.remotePort, socket.localAddress, socket.address().family);
      log.push(server.socket.readyState, typeof socket.remotePort);
      stream.respond();
      stream.end('x');
      const { session } = stream;
      session.on('close', () => log.push('session ' + session.socket));
    });
    listen(server, (port) => {
      const client = to(port, {}, () => log.push('connected'));
      const { socket } = client;
      const request = client.request();
      request.on('close', () => {
        client.close();
        server.close();
        setImmediate(() => {
          try { socket.anything; } catch (error) { log.push(error.code); }
        });
      });
      text(request).then((all) => log.push(all));
    });`);
  expect(out).toMatch(/^false\ntrue\ntrue\ntrue\nfalse\ntrue\n127\.0\.0\.1\nIPv4\nopen\nnumber\n/);
  expect(out).toMatch('ERR_HTTP2_SOCKET_UNBOUND');
}, 120_000);

test('a program hears of each frame before the session knows of the next', async () => {
  // Two requests in one piece of text, then the end of one of them: frames are written by hand.
  const out = await agrees(`${BEGIN}
    const frame = (type, flags, id, body) => {
      const head = Buffer.alloc(9);
      head.writeUIntBE(body.length, 0, 3);
      head[3] = type;
      head[4] = flags;
      head.writeUInt32BE(id, 5);
      return Buffer.concat([head, body]);
    };
    const fields = Buffer.from([0x82, 0x84, 0x86, 0x41, 1, 0x61]);
    const server = http2.createServer();
    server.on('stream', (stream) => {
      log.push('stream ' + stream.id + ' ' + stream.session.state.lastProcStreamID);
      stream.on('aborted', () => log.push('aborted ' + stream.id));
      stream.on('error', (error) => log.push(error.code + ' ' + stream.id));
      stream.on('close', () => log.push('close ' + stream.id));
      Promise.resolve().then(() => log.push('promise ' + stream.id));
      if (stream.id === 3) stream.session.destroy();
    });
    listen(server, (port) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'), frame(4, 0, 0, Buffer.alloc(0)),
        frame(1, 4, 1, fields), frame(3, 0, 1, Buffer.from([0, 0, 0, 8])),
        frame(1, 4, 3, fields), frame(1, 4, 5, fields),
      ])));
      socket.on('error', () => {});
      socket.resume().on('close', () => server.close());
    });`);
  expect(out).toBe('stream 1 1\npromise 1\naborted 1\nclose 1\nstream 3 3\naborted 3\nclose 3\npromise 3');
}, 120_000);

test('much goes through in both directions, and a reader that waits stops the writer', async () => {
  const out = await agrees(`${BEGIN}
    const { createHash } = require('crypto');
    const all = Buffer.alloc(5_000_000, 'not the same everywhere ');
    const server = http2.createServer();
    server.on('stream', (stream) => {
      const hash = createHash('md5');
      stream.respond();
      stream.on('data', (chunk) => hash.update(chunk)).on('end', () => {
        stream.end(hash.digest('hex'));
        server.close();
      });
      stream.pause();
      setTimeout(() => stream.resume(), 50);
    });
    listen(server, (port) => {
      const client = to(port);
      const requests = [1, 2].map(() => client.request({ ':method': 'POST' }));
      for (const request of requests) request.end(all);
      Promise.all(requests.map(text)).then((digests) => {
        log.push(digests.every((one) => one === createHash('md5').update(all).digest('hex')));
        client.close();
      });
    });`);
  expect(out).toBe('true');
}, 120_000);

test('what a listener throws amid frames harms none of the frames behind it', async () => {
  const out = await agrees(`${BEGIN}
    process.on('uncaughtException', (error) => log.push(error.message));
    const server = http2.createServer();
    server.on('stream', (stream, headers) => {
      stream.respond();
      stream.end('x');
      if (headers[':path'] === '/1') throw new Error('thrown');
    });
    listen(server, (port) => {
      const client = to(port, {}).on('connect', () => {
        let left = 3;
        for (const path of ['/1', '/2', '/3']) {
          const request = client.request({ ':path': path });
          text(request).then((all) => {
            log.push(all);
            if (--left > 0) return;
            client.close();
            server.close();
          });
        }
      });
    });`);
  expect(out).toBe('thrown\nx\nx\nx');
}, 120_000);

test('HTTP/1 of a secure server makes the messages that its options name', async () => {
  const out = await agrees(`
    const http = require('http'), http2 = require('http2'), https = require('https');
    const psk = Buffer.from('key');
    const version = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    class Request extends http.IncomingMessage { path() { return this.url; } }
    class Response extends http.ServerResponse { say(text) { this.end(text); } }
    const classes = { allowHTTP1: true, Http1IncomingMessage: Request, Http1ServerResponse: Response };
    const server = http2.createSecureServer({ ...version, ...classes, pskCallback: () => psk });
    server.on('request', (request, response) => response.say(request.path() + request.httpVersion));
    server.listen(0, '127.0.0.1', () => {
      const to = { port: server.address().port, host: '127.0.0.1', path: '/a', checkServerIdentity() {}, agent: false };
      https.get({ ...version, ...to, pskCallback: () => ({ psk, identity: 'a' }) }, (response) => {
        response.on('data', (chunk) => console.log(String(chunk)));
        server.close();
      });
    });`);
  expect(out).toBe('/a1.1');
}, 120_000);

describe('frames', () => {
  const frame = (type: number, length: number): Uint8Array =>
    Uint8Array.from([0, 0, length, type, 0, 0, 0, 0, 1, ...new Uint8Array(length).fill(0x50)]);
  const text = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    ...[frame(4, 6), frame(1, 3), frame(8, 4), frame(0, 0), frame(0, 1), frame(6, 8)],
  ]);
  /** Behind HEADERS and each DATA, and at the end. */
  const CUTS = [51, 73, 83, text.length];

  function cutsOf(pieces: Uint8Array[]): number[] {
    const frames = new Http2Frames();
    const cuts: number[] = [];
    let before = 0;
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; cuts.push(before + at)) at = frames.cut(piece, at, piece.length);
      before += piece.length;
    }
    return cuts;
  }

  test('are cut behind those that programs hear of', () => {
    expect(cutsOf([text])).toEqual(CUTS);
    // A server has no preface.
    expect(cutsOf([text.subarray(24)])).toEqual(CUTS.map((at) => at - 24));
  });

  test('are cut there wherever the text is', () => {
    for (let at = 1; at < text.length; at++) {
      expect(cutsOf([text.subarray(0, at), text.subarray(at)])).toEqual(
        [...new Set([...CUTS, at])].sort((a, b) => a - b),
      );
    }
    expect(cutsOf([...text].map((byte) => Uint8Array.of(byte)))).toEqual([...text.keys()].map((at) => at + 1));
  });
});
