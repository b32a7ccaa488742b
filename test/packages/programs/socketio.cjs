// socket.io, server and client: long polling, WebSockets, and the change from one to the other.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const { bytes, hash, listening } = require('./common.cjs');

function served(notes) {
  const server = http.createServer((_req, res) => res.end('beside'));
  const sockets = new Server(server, { maxHttpBufferSize: 3_000_000, pingInterval: 500, pingTimeout: 10_000 });
  sockets.use((socket, next) => next(socket.handshake.auth.bad ? new Error('not you') : undefined));
  sockets.on('connection', (socket) => {
    notes.add('connection', [socket.handshake.query.who, socket.conn.transport.name]);
    socket.conn.on('upgrade', ({ name }) => notes.add('upgrade', name));
    socket.on('echo', (value, answer) => answer(value));
    socket.on('hash', (value, answer) => answer(hash(value)));
    socket.on('join', (room, answer) => {
      socket.join(room);
      answer(socket.rooms.size);
    });
    socket.on('tell', (room, what) => socket.to(room).emit('told', what));
    socket.on('throw me out', () => socket.disconnect(true));
    socket.on('cut', () => socket.conn.close());
    socket.on('disconnect', (reason) => notes.add('disconnect', reason));
  });
  sockets.of('/other').on('connection', (socket) => socket.emit('welcome', socket.nsp.name));
  return { server, sockets };
}

const connect = (t, options) => io(t.url, { forceNew: true, reconnection: false, ...options });

async function connected(t, options) {
  const socket = connect(t, options);
  await new Promise((resolve, reject) => {
    socket.on('connect', resolve);
    socket.on('connect_error', reject);
  });
  return socket;
}

/** What a connection is tried with, whatever carries it. */
async function exchange(t, socket) {
  t.note(
    await socket.emitWithAck('echo', { text: 'grüß', list: [1, null, true], nested: { binary: Buffer.from('abc') } }),
  );
  t.note(await socket.emitWithAck('hash', bytes(1_000_000)));
  t.note(await Promise.all(Array.from({ length: 100 }, (_, i) => socket.emitWithAck('echo', i))));
}

module.exports = {
  async serve(notes, address) {
    const { server, sockets } = served(notes);
    const { port } = await listening(server, address);
    return { port, close: () => sockets.close() };
  },
  scenarios: {
    'by WebSocket': async (t) => {
      const socket = await connected(t, { transports: ['websocket'], query: { who: 'one' } });
      t.note(await t.saw('connection', 1));
      await exchange(t, socket);
      socket.disconnect();
      t.note(await t.saw('disconnect', 1));
    },
    'by polling': async (t) => {
      const socket = await connected(t, { transports: ['polling'], query: { who: 'two' } });
      t.note(await t.saw('connection', 2));
      await exchange(t, socket);
      socket.disconnect();
      t.note(await t.saw('disconnect', 2));
    },
    'from polling to WebSocket': async (t) => {
      const socket = connect(t, { query: { who: 'three' } });
      await once(socket, 'connect');
      await t.saw('upgrade', 1);
      if (socket.io.engine.transport.name !== 'websocket') await once(socket.io.engine, 'upgrade');
      t.note(socket.io.engine.transport.name);
      await exchange(t, socket);
      socket.disconnect();
      t.note(await t.saw('disconnect', 3));
    },
    'rooms and namespaces': async (t) => {
      const [a, b] = [
        await connected(t, { transports: ['websocket'] }),
        await connected(t, { transports: ['polling'] }),
      ];
      t.note(await a.emitWithAck('join', 'room'));
      t.note(await b.emitWithAck('join', 'room'));
      a.emit('tell', 'room', 'from a');
      t.note(await once(b, 'told'));
      b.emit('tell', 'room', 'from b');
      t.note(await once(a, 'told'));
      const other = io(`${t.url}/other`, { forceNew: true, reconnection: false });
      t.note(await once(other, 'welcome'));
      for (const socket of [a, b, other]) socket.disconnect();
      t.note((await t.saw('disconnect', 5)).slice(3));
    },
    'refused, thrown out, cut, and back again': async (t) => {
      await t.fails(connected(t, { auth: { bad: true } }));
      await t.fails(connected({ url: t.closedUrl }, { transports: ['polling'] }));
      await t.fails(connected({ url: t.closedUrl }, { transports: ['websocket'] }));
      const out = await connected(t, { transports: ['websocket'] });
      out.emit('throw me out');
      t.note((await once(out, 'disconnect'))[0]);
      const back = connect(t, { reconnection: true, reconnectionDelay: 10, transports: ['websocket'] });
      await once(back, 'connect');
      back.emit('cut');
      t.note((await once(back, 'disconnect'))[0]);
      await once(back, 'connect');
      t.note(await back.emitWithAck('echo', 'here again'));
      back.disconnect();
    },
    'the server beside it, and what a heartbeat keeps': async (t) => {
      await t.told('/');
      const socket = await connected(t, { transports: ['websocket'] });
      let pings = 0;
      socket.io.on('ping', () => pings++);
      while (pings < 2) await once(socket.io, 'ping');
      t.note(await socket.emitWithAck('echo', 'after two heartbeats'));
      socket.disconnect();
    },
    'many clients': async (t) => {
      const answers = await Promise.all(
        Array.from({ length: 25 }, async (_, i) => {
          const socket = await connected(t, { transports: [i % 2 ? 'websocket' : 'polling'] });
          const answer = await socket.emitWithAck('echo', i);
          socket.disconnect();
          return answer;
        }),
      );
      t.note(answers);
    },
  },
};
