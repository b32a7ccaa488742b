// ws: WebSockets, server and client.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { WebSocket, WebSocketServer, createWebSocketStream } = require('ws');
const { bytes, hash, listening } = require('./common.cjs');

function echoing(notes) {
  const server = http.createServer((_req, res) => res.writeHead(426).end('Upgrade Required'));
  const plain = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 8_000_000 });
  const squeezed = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } });
  const tiny = new WebSocketServer({ noServer: true, maxPayload: 100 });
  const ways = { '/plain': plain, '/squeezed': squeezed, '/tiny': tiny };
  server.on('upgrade', (req, socket, head) => {
    if (req.url === '/forbidden') {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
      return;
    }
    if (req.url === '/cut') {
      socket.destroy();
      return;
    }
    const way = ways[req.url] ?? plain;
    way.handleUpgrade(req, socket, head, (ws) => way.emit('connection', ws, req));
  });
  for (const [path, way] of Object.entries(ways)) {
    way.on('connection', (ws, req) => {
      notes.add('connections', `${path} ${req.headers.cookie ?? ''} ${ws.protocol} ${ws.extensions}`);
      ws.on('message', (data, isBinary) => {
        const text = data.length < 100 ? data.toString() : '';
        if (text === 'close me') ws.close(4001, 'as you wish');
        else if (text === 'terminate me') ws.terminate();
        else if (text === 'ping me') ws.ping('are you there');
        else ws.send(data, { binary: isBinary });
      });
      ws.on('pong', (data) => notes.add('pong', data.toString()));
      ws.on('error', (error) => notes.add('error', error));
      ws.on('close', (code, reason) => notes.add('close', `${code} ${reason}`));
    });
  }
  return server;
}

const open = async (t, path, ...rest) => {
  const ws = new WebSocket(`ws://${t.address}:${t.port}${path}`, ...rest);
  await once(ws, 'open');
  return ws;
};

const closed = async (ws) => {
  const [code, reason] = await once(ws, 'close');
  return [code, reason.toString(), ws.readyState];
};

async function echo(ws, message, options) {
  ws.send(message, options ?? {});
  const [data, isBinary] = await once(ws, 'message');
  return [data.length > 100 ? hash(data) : data.toString(), isBinary];
}

module.exports = {
  serve: (notes, address) => listening(echoing(notes), address),
  scenarios: {
    'text and binary': async (t) => {
      const ws = await open(t, '/plain', ['one', 'two'], { headers: { Cookie: 'a=1' } });
      t.note([ws.protocol, ws.extensions]);
      t.note(await echo(ws, 'grüß'));
      t.note(await echo(ws, Buffer.from([1, 2, 3])));
      t.note(await echo(ws, ''));
      ws.close(1000, 'done');
      t.note(await closed(ws));
      t.note(await t.saw('connections', 1));
      t.note(await t.saw('close', 1));
    },
    'large frames': async (t) => {
      const ws = await open(t, '/plain');
      for (const size of [125, 126, 65_535, 65_536, 1_000_000, 5_000_000]) t.note(await echo(ws, bytes(size)));
      ws.close();
      t.note(await closed(ws));
    },
    'messages in fragments': async (t) => {
      const ws = await open(t, '/plain');
      for (let i = 0; i < 50; i++) ws.send(bytes(10_000, i), { fin: false });
      t.note(await echo(ws, bytes(7), { fin: true }));
      ws.close();
      t.note(await closed(ws));
    },
    'compressed messages': async (t) => {
      const ws = await open(t, '/squeezed');
      t.note(ws.extensions);
      t.note(await echo(ws, 'again and '.repeat(100_000)));
      t.note(await echo(ws, bytes(300_000)));
      ws.close();
      t.note(await closed(ws));
    },
    'many messages keep their order': async (t) => {
      const ws = await open(t, '/plain');
      const received = [];
      const all = new Promise((resolve) => {
        ws.on('message', (data) => {
          received.push(Number(data));
          if (received.length === 5000) resolve();
        });
      });
      for (let i = 0; i < 5000; i++) ws.send(String(i));
      await all;
      t.note(received.every((value, i) => value === i));
      t.note(ws.bufferedAmount);
      ws.close();
      t.note(await closed(ws));
    },
    'ping and pong': async (t) => {
      const ws = await open(t, '/plain');
      ws.ping('there?');
      t.note(String((await once(ws, 'pong'))[0]));
      ws.send('ping me');
      t.note(String((await once(ws, 'ping'))[0]));
      t.note(await t.saw('pong', 1));
      ws.close();
      t.note(await closed(ws));
    },
    'the server closes, or cuts': async (t) => {
      const polite = await open(t, '/plain');
      polite.send('close me');
      t.note(await closed(polite));
      const cut = await open(t, '/plain');
      cut.send('terminate me');
      t.note(await closed(cut));
      const mine = await open(t, '/plain');
      mine.terminate();
      t.note(await closed(mine));
      t.note((await t.saw('close', 9)).sort());
    },
    'refusals and errors': async (t) => {
      const fails = async (path, options) => {
        const ws = new WebSocket(
          `ws://${t.address}:${path.startsWith(':') ? path.slice(1) : `${t.port}${path}`}`,
          options,
        );
        const [error] = await Promise.race([once(ws, 'error'), sleep(20_000, [new Error('late')], { ref: false })]);
        t.note(error);
      };
      await fails('/forbidden');
      await fails('/cut');
      await fails(':2/');
      const ws = await open(t, '/tiny');
      ws.send('x'.repeat(101));
      t.note(await closed(ws));
      t.note(await t.saw('error', 1));
      await t.told('/plain');
      await t.told('/plain', {
        headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '7' },
      });
    },
    'as a stream': async (t) => {
      const ws = new WebSocket(`ws://${t.address}:${t.port}/plain`);
      const stream = createWebSocketStream(ws);
      let got = 0;
      const parts = [];
      stream.on('data', (chunk) => {
        parts.push(chunk);
        got += chunk.length;
        if (got === 500_000) stream.end();
      });
      for (let i = 0; i < 50; i++) stream.write(bytes(10_000, i));
      await once(stream, 'close');
      t.note([got, hash(Buffer.concat(parts))]);
    },
    'many clients': async (t) => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const ws = await open(t, '/plain');
          const [text] = await echo(ws, `client ${i}`);
          ws.close();
          await closed(ws);
          return text;
        }),
      );
      t.note(answers);
    },
  },
};
