// Packages over TLS: an Express server on https, asked by Node, axios, got, undici, ws and fetch.
'use strict';

const { once } = require('node:events');
const https = require('node:https');
const tls = require('node:tls');
const { PassThrough } = require('node:stream');
const { default: axios } = require('axios');
const express = require('express');
const undici = require('undici');
const { WebSocket, WebSocketServer } = require('ws');
const { bytes, hash, listening, whole } = require('./common.cjs');
const { cert, key } = require('./identity.cjs');

function application() {
  const app = express();
  app.get('/', (req, res) => res.json([req.protocol, req.secure, req.socket.encrypted, req.socket.getProtocol()]));
  app.get('/big', (_req, res) => res.send(bytes(2_000_000)));
  app.post('/sink', async (req, res) => res.send(hash(await whole(req))));
  app.get('/reused', (req, res) => res.json(req.socket.isSessionReused()));
  return app;
}

const trust = { ca: cert, servername: 'localhost' };

function secured(t, path, options) {
  return new Promise((resolve, reject) => {
    const { method, body, ...rest } = options ?? {};
    const request = https.request(
      { host: t.address, port: t.port, path, method, agent: false, ...trust, ...rest },
      async (response) => {
        const { authorized } = request.socket;
        resolve([response.statusCode, authorized, await whole(response)]);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

module.exports = {
  serve(_notes, address) {
    const server = https.createServer({ key, cert }, application());
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
    return listening(server, address);
  },
  scenarios: {
    'Node asks': async (t) => {
      const [status, authorized, body] = await secured(t, '/');
      t.note([status, authorized, body.toString()]);
      t.note(hash((await secured(t, '/big'))[2]));
      t.note((await secured(t, '/sink', { method: 'POST', body: bytes(3_000_000) }))[2].toString());
    },
    'kept connections and sessions': async (t) => {
      const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...trust });
      for (let i = 0; i < 3; i++) {
        const free = once(agent, 'free');
        t.note((await secured(t, '/', { agent }))[0]);
        await free;
      }
      t.note(Object.values(agent.freeSockets).flat().length);
      agent.destroy();
      const sessions = new https.Agent({ keepAlive: false, maxVersion: 'TLSv1.2', ...trust });
      t.note((await secured(t, '/reused', { agent: sessions }))[2].toString());
      t.note((await secured(t, '/reused', { agent: sessions }))[2].toString());
    },
    axios: async (t) => {
      const httpsAgent = new https.Agent(trust);
      const { data } = await axios.get(`https://${t.address}:${t.port}/`, { httpsAgent });
      t.note(data);
      await t.fails(axios.get(`https://${t.address}:${t.port}/`));
    },
    got: async (t) => {
      const { default: got } = await import('got');
      const client = got.extend({
        retry: { limit: 0 },
        https: { certificateAuthority: cert, checkServerIdentity: () => undefined },
      });
      t.note(await client(`https://${t.address}:${t.port}/`).json());
      const error = await t.fails(got(`https://${t.address}:${t.port}/`, { retry: { limit: 0 } }));
      t.note(error.name);
    },
    'undici and fetch': async (t) => {
      const dispatcher = new undici.Agent({ connect: trust });
      const { body } = await undici.request(`https://${t.address}:${t.port}/`, { dispatcher });
      t.note(await body.json());
      const response = await undici.fetch(`https://${t.address}:${t.port}/big`, { dispatcher });
      t.note(hash(Buffer.from(await response.arrayBuffer())));
      await dispatcher.close();
      await t.fails(fetch(`https://${t.address}:${t.port}/`));
    },
    WebSockets: async (t) => {
      const ws = new WebSocket(`wss://${t.address}:${t.port}/`, trust);
      await once(ws, 'open');
      ws.send(bytes(1_000_000));
      t.note(hash((await once(ws, 'message'))[0]));
      ws.close();
      t.note((await once(ws, 'close'))[0]);
    },
    'a handshake that cannot begin, and one that fails': async (t) => {
      await t.fails(secured(t, '/', { maxVersion: 'TLSv1.1' }));
      await t.fails(secured(t, '/', { ca: undefined }));
      await t.fails(secured(t, '/', { servername: 'elsewhere.example' }));
    },
    'TLS over any stream': async (t) => {
      const socket = new tls.TLSSocket(new PassThrough());
      t.note([socket.encrypted, socket.constructor.name, socket.destroyed]);
      socket.destroy();
    },
  },
};
