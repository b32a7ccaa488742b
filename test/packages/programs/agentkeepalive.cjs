// agentkeepalive, which reaches far into Agents.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const Agent = require('agentkeepalive');
const { bytes, hash, listening, plainServer, whole } = require('./common.cjs');

/** One request; gives what came, or the error. */
async function get(t, agent, path, options = {}) {
  const request = http.request(`${t.url}${path}`, { agent, ...options });
  const failed = new Promise((resolve) => request.on('error', (error) => resolve([error])));
  // A kept socket goes back to its agent then.
  const closed = new Promise((resolve) => request.on('close', resolve));
  // Its agent counts a broken one then.
  const gone = new Promise((resolve) => request.on('socket', (socket) => socket.once('close', resolve)));
  request.end(options.body);
  const [response] = await Promise.race([once(request, 'response'), failed]);
  if (response instanceof Error) {
    await gone;
    return response;
  }
  const body = await whole(response);
  await closed;
  return body.length > 300 ? hash(body) : body.toString();
}

/** Its own statistics, without the names of connections, which contain ports. */
function statistics(agent) {
  const { sockets, freeSockets, requests, ...counts } = agent.getCurrentStatus();
  return [counts, Object.values(sockets), Object.values(freeSockets), Object.values(requests)];
}

const freeSockets = (agent) => Object.values(agent.freeSockets).flat();

module.exports = {
  serve(notes, address) {
    const server = plainServer(notes);
    server.keepAliveTimeout = 60_000;
    return listening(server, address);
  },
  scenarios: {
    'one connection for all': async (t) => {
      const agent = new Agent({ maxSockets: 1 });
      for (let i = 0; i < 6; i++) t.note(await get(t, agent, '/connection'));
      t.note(await get(t, agent, '/sink', { method: 'POST', body: bytes(100_000) }));
      t.note(statistics(agent));
      agent.destroy();
    },
    'as many as are permitted, and free ones kept': async (t) => {
      const agent = new Agent({ maxSockets: 5, maxFreeSockets: 2 });
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => get(t, agent, `/status?code=${200 + (i % 2)}`)),
      );
      t.note(all.length);
      t.note([agent.createSocketCount, freeSockets(agent).length]);
      t.note(agent.statusChanged);
      agent.destroy();
    },
    'free sockets that are left alone go': async (t) => {
      const agent = new Agent({ freeSocketTimeout: 50 });
      await get(t, agent, '/hello');
      const [socket] = freeSockets(agent);
      t.note([socket.listenerCount('timeout'), freeSockets(agent).length]);
      await once(socket, 'close');
      t.note([freeSockets(agent).length, agent.timeoutSocketCount, agent.closeSocketCount]);
      t.note(await get(t, agent, '/connection'));
      t.note(agent.createSocketCount);
      agent.destroy();
    },
    'a socket lives only so long': async (t) => {
      const agent = new Agent({ socketActiveTTL: 1 });
      await get(t, agent, '/hello');
      await new Promise((resolve) => setTimeout(resolve, 20));
      t.note(await get(t, agent, '/connection'));
      t.note(agent.createSocketCount);
      agent.destroy();
    },
    'a request that takes too long': async (t) => {
      const agent = new Agent({ timeout: 60 });
      const error = await get(t, agent, '/never');
      t.note(error);
      t.note([agent.timeoutSocketCount, agent.errorSocketCount, agent.closeSocketCount]);
      t.note(await t.saw('never', 2));
      agent.destroy();
    },
    'errors are counted': async (t) => {
      const agent = new Agent();
      t.note(await get(t, agent, '/reset'));
      t.note(await get(t, agent, '/hang-up'));
      t.note(await get({ url: t.closedUrl }, agent, '/'));
      t.note(await get(t, agent, '/connection'));
      const { createSocketCount, createSocketErrorCount, closeSocketCount, errorSocketCount, requestCount } = agent;
      t.note({ createSocketCount, createSocketErrorCount, closeSocketCount, errorSocketCount, requestCount });
      agent.destroy();
    },
    'a server that closed a free connection': async (t) => {
      const server = http.createServer((_req, res) => res.end('x'));
      const { port, close } = await listening(server, '127.0.0.1');
      const agent = new Agent();
      const there = { url: `http://127.0.0.1:${port}` };
      await get(there, agent, '/');
      const [socket] = freeSockets(agent);
      const closed = once(socket, 'close');
      server.closeIdleConnections();
      await closed;
      t.note(freeSockets(agent).length);
      t.note(await get(there, agent, '/'));
      t.note([agent.createSocketCount, agent.closeSocketCount]);
      agent.destroy();
      await close();
    },
    'with a header that says how long': async (t) => {
      const server = http.createServer((_req, res) => res.setHeader('Keep-Alive', 'timeout=1').end('x'));
      const { port, close } = await listening(server, '127.0.0.1');
      const agent = new Agent({ freeSocketTimeout: 30_000 });
      await get({ url: `http://127.0.0.1:${port}` }, agent, '/');
      t.note(freeSockets(agent).map(({ timeout }) => timeout));
      agent.destroy();
      await close();
    },
  },
};
