// Node's own http2 over our connections, with TLS and without.
'use strict';

const { once } = require('node:events');
const http2 = require('node:http2');
const https = require('node:https');
const { bytes, hash, listening, whole } = require('./common.cjs');
const { cert, key } = require('./identity.cjs');

async function answer(stream, { ':path': path, ':method': method }) {
  stream.on('error', () => {});
  if (path === '/reset') return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  if (path === '/sink') {
    const body = await whole(stream);
    stream.respond({ ':status': 201 });
    return stream.end(hash(body));
  }
  stream.respond({ ':status': 200, 'x-method': method });
  return stream.end(path === '/big' ? bytes(1_000_000) : `you asked for ${path}`);
}

async function ask(session, headers, body) {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const [response] = await once(stream, 'response');
  const { ':status': status, 'x-method': method } = response;
  const text = await whole(stream);
  return [status, method, text.length > 300 ? hash(text) : text.toString()];
}

async function exchange(t, session) {
  await once(session, 'connect');
  t.note([session.encrypted, session.alpnProtocol]);
  t.note(await ask(session, { ':path': '/one' }));
  t.note(await ask(session, { ':path': '/big' }));
  t.note(await ask(session, { ':path': '/sink', ':method': 'POST' }, bytes(500_000)));
  const many = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(session, { ':path': `/${i}` })));
  t.note(many.map(([, , text]) => text));
  await t.fails(ask(session, { ':path': '/reset' }));
  session.close();
  await once(session, 'close');
}

module.exports = {
  async serve(notes, address) {
    const clear = http2.createServer();
    const secure = http2.createSecureServer({ key, cert, allowHTTP1: true });
    for (const server of [clear, secure]) server.on('stream', (stream, headers) => void answer(stream, headers));
    secure.on('request', (req, res) => {
      if (req.httpVersionMajor === 1) res.end(`you asked for ${req.url}`);
    });
    const { port: securePort } = await listening(secure, address);
    notes.add('port', securePort);
    const { port } = await listening(clear, address);
    return {
      port,
      async close() {
        clear.close();
        secure.close();
      },
    };
  },
  scenarios: {
    'without TLS': async (t) => {
      await exchange(t, http2.connect(t.url));
    },
    'with TLS': async (t) => {
      const [port] = await t.saw('port', 1);
      await exchange(t, http2.connect(`https://${t.address}:${port}`, { ca: cert, servername: 'localhost' }));
    },
    'HTTP/1 at the same port': async (t) => {
      const [port] = await t.saw('port', 1);
      const options = { host: t.address, port, path: '/old', ca: cert, servername: 'localhost', agent: false };
      const [response] = await once(https.get(options), 'response');
      t.note([response.statusCode, response.httpVersion, (await whole(response)).toString()]);
    },
    'nobody there': async (t) => {
      const session = http2.connect(t.closedUrl);
      t.note((await once(session, 'error'))[0]);
    },
  },
};
