import type http from 'node:http';
import type { Socket } from '../../net';
import { coalesce, fin, inject, req, res, rst, slice, window } from '../index';
import { CUT_BYTES } from './cut-bytes';
import { plain } from './keepalive';
import { nextOf, type Scenario } from './scenario';

const chunked: http.RequestListener = (_, response) => {
  response.write('first');
  response.write('second');
  response.end();
};

const untilClose: http.RequestListener = (_, response) => {
  response.useChunkedEncodingByDefault = false;
  response.setHeader('Connection', 'close');
  response.flushHeaders();
  response.write('0123456789');
  response.end();
};

/** Answers before it has read the upload. */
const tooLarge: http.RequestListener = (_, response) => {
  response.writeHead(413);
  response.end('too large');
};

const UPLOAD = Buffer.alloc(300_000);

/** Failures in the middle of messages. */
export const bodies: readonly Scenario[] = [
  {
    id: 'early-response-unfinished-upload',
    number: 24,
    title: 'The server answers 413 and closes while the client is still uploading',
    seen: ['nodejs/node#12339', 'nodejs/node#38467', 'nodejs/node#54366', 'nodejs/node#9085'],
    picture: 'S: 413, FIN; C goes on sending; S: RST.',
    node: 'The response comes, and then the request fails. If the reset comes first, the response is lost.',
    cope: 'Listen for response and for error, and take a response that came. Servers: read on for a while (or discard) before closing.',
    expect: {
      http: ['POST /: 413, 9 bytes, then write EPIPE (not reused)', 'POST /: read ECONNRESET (not reused)'],
      fetch: ['POST /: 413, 9 bytes', 'POST /: fetch failed: read ECONNRESET'],
    },
    async play({ wire, serve, ask }) {
      await serve(tooLarge);
      wire.on(res(1).end()).do(fin({ to: 'c' }));
      await ask({ method: 'POST', body: UPLOAD });
      wire.on(res(2).begin()).do(rst({ to: 'c' }));
      await ask({ method: 'POST', body: UPLOAD });
    },
  },
  {
    id: 'early-response-unfinished-upload-fetch',
    number: 25,
    title: 'The same under fetch',
    seen: [],
    picture: '413 and FIN, the reset later; or 413 and RST in one wake-up.',
    node: 'fetch resolves with 413 in both cases, where http reports an error as well. Only a reset that is read before the response makes it reject: the response is lost.',
    cope: 'Treat a reset during an upload as "perhaps answered".',
    expect: {
      http: [
        'POST /: 413, 9 bytes, then write EPIPE (not reused)',
        'POST /: 413, 9 bytes, then write ECONNRESET (not reused)',
        'the last connection ended with RST',
      ],
      fetch: ['POST /: 413, 9 bytes', 'POST /: 413, 9 bytes', 'the last connection ended with RST'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(tooLarge);
      wire.on(res(1).end()).do(fin({ to: 'c' }));
      await ask({ method: 'POST', body: UPLOAD });
      wire.on(res(2).end()).do(coalesce(), rst({ to: 'c' }));
      await ask({ method: 'POST', body: UPLOAD });
      say(`the last connection ended with ${wire.trace().notation(2).includes('R') ? 'RST' : 'nothing'}`);
    },
  },
  {
    id: 'error-after-response',
    number: 26,
    title: 'A complete response, then a reset while the upload goes on',
    seen: ['nodejs/node#27916'],
    picture: 'S: whole response; C still sends; S: RST.',
    node: 'The request emits response and then error.',
    cope: 'An error after a complete response does not undo it.',
    expect: {
      http: ['POST /: 413, 9 bytes, then read ECONNRESET (not reused)', 'the last connection ended with RST'],
      fetch: ['POST /: 413, 9 bytes', 'the last connection ended with RST'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(tooLarge);
      wire.on(res(1).end()).do(rst({ to: 'c' }));
      await ask({ method: 'POST', body: UPLOAD });
      say(`the last connection ended with ${wire.trace().notation(1).includes('R') ? 'RST' : 'nothing'}`);
    },
  },
  {
    id: 'fin-before-any-byte',
    number: 27,
    title: 'The server closes without an answer',
    seen: ['golang/go#13667'],
    picture: 'C: request; S: FIN.',
    node: 'http: "socket hang up", ECONNRESET. fetch: "fetch failed", cause "other side closed".',
    cope: 'Retry idempotent requests.',
    expect: {
      http: ['GET /: socket hang up [ECONNRESET] (not reused)'],
      fetch: ['GET /: fetch failed: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire.on(req(1).end()).do(fin({ to: 'c' }));
      await ask();
    },
  },
  {
    id: 'partial-header-block',
    number: 28,
    title: 'The response ends in the middle of its head',
    seen: [],
    picture: 'S: half of the head, then FIN or RST.',
    node: 'FIN: "socket hang up", no parse error. RST: "read ECONNRESET".',
    cope: 'As for no response at all.',
    expect: {
      http: ['GET /fin: socket hang up [ECONNRESET] (not reused)', 'GET /rst: read ECONNRESET (not reused)'],
      fetch: ['GET /fin: fetch failed: other side closed [UND_ERR_SOCKET]', 'GET /rst: fetch failed: read ECONNRESET'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire.on(res(1).headerByte(20)).do(fin({ to: 'c' }));
      await ask({ path: '/fin' });
      wire.on(res(nextOf(wire)).headerByte(20)).do(rst({ to: 'c' }));
      await ask({ path: '/rst' });
    },
  },
  {
    id: 'content-length-short-fin',
    number: 29,
    title: 'Content-Length is not reached: FIN',
    seen: [],
    picture: 'S: part of the body, FIN.',
    node: 'The response emits aborted and error {aborted, ECONNRESET}; complete is false; the request emits no error.',
    cope: 'Check response.complete, and listen for error on the response, not only on the request.',
    expect: {
      http: ['GET /: 200, 4 bytes, then aborted [ECONNRESET] (not reused)'],
      fetch: ['GET /: 200, 4 bytes, then terminated: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire.on(res(1).bodyByte(4)).do(fin({ to: 'c' }));
      await ask();
    },
  },
  {
    id: 'content-length-short-rst',
    number: 30,
    title: 'Content-Length is not reached: RST, a wake-up later',
    seen: [],
    picture: 'S: part of the body, a gap, RST.',
    node: 'Both: the request fails with "read ECONNRESET", the response with "aborted".',
    cope: 'Two errors for one failure: settle once.',
    expect: {
      http: ['GET /: 200, 4 bytes, then read ECONNRESET (not reused)'],
      fetch: ['GET /: 200, 4 bytes, then terminated: read ECONNRESET'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
      await ask();
    },
  },
  {
    id: 'content-length-short-rst-together',
    number: 31,
    title: 'Content-Length is not reached: RST in the same wake-up',
    seen: [],
    picture: 'S: part of the body and RST; C’s program sees both at once.',
    node: 'Only the response’s "aborted": the reset reads as the end of input, no errno anywhere. From libuv 1.52 on (Node 24.21) the reset is told.',
    cope: 'As for FIN: check response.complete.',
    expect: {
      http: ['GET /: 200, 4 bytes, then aborted [ECONNRESET] (not reused)'],
      fetch: ['GET /: 200, 4 bytes, then terminated: other side closed [UND_ERR_SOCKET]'],
    },
    newer: {
      resetBehindText: {
        http: ['GET /: 200, 4 bytes, then read ECONNRESET (not reused)'],
        fetch: ['GET /: 200, 4 bytes, then terminated: read ECONNRESET'],
      },
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire.on(res(1).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
      await ask();
    },
  },
  {
    id: 'truncated-chunked-body',
    number: 32,
    title: 'A chunked body is cut, at every boundary that it has',
    seen: ['nodejs/undici#5273', 'oven-sh/bun#36068'],
    picture:
      'S: FIN behind the head, behind each size line, each chunk’s bytes, each chunk’s CRLF, and before the last CRLF.',
    node: 'http: aborted in every case. fetch: "terminated".',
    cope: 'A chunked body is complete only with its last chunk and the empty line.',
    expect: {
      http: CUT_BYTES.map((bytes) => `GET /: 200, ${bytes} bytes, then aborted [ECONNRESET] (not reused)`),
      fetch: CUT_BYTES.map(
        (bytes) => `GET /: 200, ${bytes} bytes, then terminated: other side closed [UND_ERR_SOCKET]`,
      ),
    },
    async play({ wire, serve, ask }) {
      await serve(chunked);
      const places = [
        (n: number) => res(n).headersEnd(),
        (n: number) => res(n).chunk(1),
        (n: number) => res(n).bodyByte(5),
        (n: number) => res(n).chunkEnd(1),
        (n: number) => res(n).chunk(2),
        (n: number) => res(n).bodyByte(11),
        (n: number) => res(n).chunkEnd(2),
        (n: number) => res(n).trailer(),
      ];
      for (const place of places) {
        wire.on(place(nextOf(wire))).do(fin({ to: 'c' }));
        await ask();
      }
    },
  },
  {
    id: 'close-delimited-truncation',
    number: 33,
    title: 'A body that lasts until the connection closes is cut, and nobody notices',
    seen: ['nodejs/undici#784', 'nodejs/undici#1414', 'sindresorhus/got#2446'],
    picture: 'S: part of the body; RST in the same wake-up, or later.',
    node: 'Together: a success in http and fetch. Later: http reports an error on the request, and yet the response ends; fetch succeeds. From libuv 1.52 on (Node 24.21) http reports the error in both cases.',
    cope: 'Servers: send Content-Length or chunks. Clients: a digest, or refuse such bodies where they matter.',
    expect: {
      http: ['GET /together: 200, 4 bytes', 'GET /later: 200, 4 bytes, then read ECONNRESET (not reused)'],
      fetch: ['GET /together: 200, 4 bytes', 'GET /later: 200, 4 bytes'],
    },
    newer: {
      resetBehindText: {
        http: [
          'GET /together: 200, 4 bytes, then read ECONNRESET (not reused)',
          'GET /later: 200, 4 bytes, then read ECONNRESET (not reused)',
        ],
      },
    },
    async play({ wire, serve, ask }) {
      await serve(untilClose);
      wire.on(res(1).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
      await ask({ path: '/together' });
      wire.on(res(nextOf(wire)).bodyByte(4)).do(rst({ to: 'c' }));
      await ask({ path: '/later' });
    },
  },
  {
    id: 'premature-close-false-alarm',
    number: 34,
    title: 'The end of a chunked body is split across segments: libraries cry "premature close"',
    seen: ['node-fetch/node-fetch#1767', 'node-fetch/node-fetch#1576', 'node-fetch/node-fetch#1219'],
    picture: 'The last bytes of a complete body come one by one, each in a wake-up of its own.',
    node: 'A success, at every offset; some libraries that look at the bytes themselves report ERR_STREAM_PREMATURE_CLOSE.',
    cope: 'Libraries: trust the parser, not the last chunk of data.',
    expect: {
      http: ['GET /: 200, 11 bytes', 'the last chunk came in 5 pieces'],
      fetch: ['GET /: 200, 11 bytes', 'the last chunk came in 5 pieces'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(chunked);
      wire.on({ dir: 's2c', len: [1, 65_535] }).do(slice(1, 2));
      await ask();
      const end = wire.engine.exchanges.list[0]!.res!.end;
      const pieces = wire
        .trace()
        .delivered()
        .filter((e) => e.dir === 's2c' && e.length > 0 && e.seq - 1 >= end - 5);
      say(`the last chunk came in ${pieces.length} pieces`);
    },
  },
  {
    id: 'complete-response-then-reset',
    number: 35,
    title: 'A complete response, then the socket is destroyed',
    seen: ['nodejs/node#63989', 'nodejs/node#64098'],
    picture: 'S: whole chunked response, keep-alive; RST.',
    node: 'Node 20: a success. Some later lines report a premature close through node-fetch 2.',
    cope: 'What was complete stays complete.',
    expect: {
      http: ['GET /: 200, 11 bytes', 'the connection ended with RST'],
      fetch: ['GET /: 200, 11 bytes', 'the connection ended with RST'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(chunked);
      wire.on(res(1).end()).do(coalesce(), rst({ to: 'c' }));
      await ask();
      await wire.clock.advance(100);
      const last = wire
        .trace()
        .delivered()
        .findLast(({ dir }) => dir === 's2c');
      say(`the connection ended with ${last?.flags.includes('R') === true ? 'RST' : 'nothing'}`);
    },
  },
  {
    id: 'own-timeout-looks-like-peer-reset',
    number: 45,
    title: 'The client’s own timeout looks like a reset by the peer',
    seen: ['axios/axios#4139'],
    picture: 'Silence of S; C: FIN. No fault on the wire.',
    node: 'timeout, then "socket hang up" with code ECONNRESET: the same words as for a server that closed.',
    cope: 'Destroy with an error of your own, so that logs say who it was.',
    expect: {
      http: ['GET /: socket hang up [ECONNRESET] (not reused)', 'the first FIN is of the client'],
      fetch: ['GET /: the client gave up', 'the first FIN is of the client'],
    },
    async play({ wire, serve, ask, say, faulty }) {
      await serve(faulty ? () => {} : plain);
      await ask({ timeout: 3000 });
      await wire.clock.advance(100);
      const closed = wire
        .trace()
        .delivered()
        .find(({ flags }) => flags.includes('F'));
      say(`the first FIN is of the ${closed?.dir === 'c2s' ? 'client' : 'server'}`);
    },
  },
  {
    id: 'trailing-bytes-after-response',
    number: 47,
    title: 'Bytes behind the end of a response',
    seen: [],
    picture: 'S: response and four bytes more in one wake-up.',
    node: 'The response ends; the request emits HPE_INVALID_CONSTANT.',
    cope: 'Close the connection; never parse the bytes as the next response.',
    expect: {
      http: [
        'GET /: 200, 10 bytes, then Parse Error: Expected HTTP/, RTSP/ or ICE/ [HPE_INVALID_CONSTANT] (not reused)',
        'the connection was closed by the client',
      ],
      tapwire: ['GET /: 200, 10 bytes', 'the connection was closed by the client'],
      fetch: ['GET /: 200, 10 bytes', 'the connection was closed by the client'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain);
      wire.on(res(1).end()).do(coalesce(), inject('junk', { as: 's2c' }));
      await ask();
      await wire.clock.advance(100);
      say(
        `the connection ${wire.engine.conns[0]!.c.finSent >= 0 || wire.engine.conns[0]!.over ? 'was closed by the client' : 'goes on'}`,
      );
    },
  },
  {
    id: 'stateful-retry-doubles-post',
    number: 48,
    title: 'A POST was processed, the answer is lost, and the client retries',
    seen: ['golang/go#19943', 'openshift-online/ocm-sdk-go#1030', 'InsForge/InsForge#1813'],
    picture: 'S got the whole request and committed. RST before the response.',
    node: '"read ECONNRESET", the same as for a request that never arrived.',
    cope: 'Idempotency keys; retry a POST only with one.',
    expect: {
      http: ['POST /pay: read ECONNRESET (not reused)', 'POST /pay: 200, 10 bytes', 'processed: 2 times'],
      fetch: ['POST /pay: fetch failed: read ECONNRESET', 'POST /pay: 200, 10 bytes', 'processed: 2 times'],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve(plain);
      wire.on(req(1).end()).do(rst({ to: 'c' }));
      const headers = { 'Idempotency-Key': 'order-7c1' };
      await ask({ method: 'POST', path: '/pay', body: 'amount=1', headers });
      await ask({ method: 'POST', path: '/pay', body: 'amount=1', headers });
      say(`processed: ${origin.count('order-7c1')} times`);
    },
  },
  {
    id: 'zero-window-slow-reader',
    number: 51,
    title: 'The reader stands still: zero window',
    seen: [],
    picture: 'S announces a window of 0; C probes after 0.2, 0.6, 1.4 s … and lives on as long as it is answered.',
    node: 'Only timeout, which closes nothing by itself; the program that destroys reads "socket hang up".',
    cope: 'An idle timeout for uploads, too.',
    expect: {
      http: ['POST /: socket hang up [ECONNRESET] (not reused)', 'window probes: some'],
      fetch: ['POST /: the client gave up', 'window probes: some'],
    },
    async play({ wire, serve, ask, say }) {
      await serve((request, response) => {
        request.resume();
        request.on('end', () => response.end('got it'));
      });
      wire.on(req(1).bodyByte(50_000)).do(window('server', 0));
      await ask({ method: 'POST', body: Buffer.alloc(1_000_000), timeout: 20_000 });
      const probes = wire
        .trace()
        .delivered()
        .filter(({ dir, length, at }) => dir === 'c2s' && length <= 1 && at > 1000);
      say(`window probes: ${probes.length > 2 ? 'some' : 'none'}`);
    },
  },
];

/** Failures that a server meets. */
export const servers: readonly Scenario[] = [
  {
    id: 'health-checker-resets-idle',
    number: 41,
    title: 'A health checker resets an idle connection',
    seen: ['nodejs/node#33302', 'nodejs/node#7776'],
    picture: 'C: RST in ESTABLISHED.',
    node: 'clientError "read ECONNRESET" with a socket that is not writable; nothing without a listener.',
    cope: 'In clientError, answer only if socket.writable; destroy otherwise.',
    expect: {
      http: ['GET /: 200, 10 bytes', 'clientError: read ECONNRESET'],
      fetch: ['GET /: 200, 10 bytes', 'clientError: read ECONNRESET'],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve(plain);
      origin.server.on('clientError', (_, socket) => socket.destroy());
      await ask();
      wire.do(rst({ to: 's' }));
      await wire.clock.advance(100);
      say(`clientError: ${origin.clientErrors.map(({ message }) => message).join(', ')}`);
    },
  },
  {
    id: 'client-half-close-loses-response',
    number: 42,
    title: 'A client that half-closes loses its response',
    seen: ['nodejs/node-v0.x-archive#7065'],
    picture: 'C: request, FIN. S answers the FIN with its own before the response is written.',
    node: 'Server: the response emits close with writableFinished false; no clientError. Client: "socket hang up", or "other side closed" with fetch; got asks again, and again.',
    cope: 'Clients: do not half-close before the response. Servers: httpServer options cannot change it; answer fast, or use allowHalfOpen of your own.',
    expect: {
      http: ['the response was closed, finished false', 'GET /: socket hang up [ECONNRESET] (not reused)'],
      fetch: ['the response was closed, finished false', 'GET /: fetch failed: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask, say, faulty }) {
      await serve((_, response) => {
        response.on('close', () => say(`the response was closed, finished ${response.writableFinished}`));
        void wire.clock.sleep(500).then(() => response.end('late'));
      });
      // The program ends its side of the connection as soon as the request is written.
      const onSocket = (socket: Socket): void => {
        const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
        socket.write = ((...args: unknown[]): boolean => {
          if (faulty) process.nextTick(() => socket.end());
          return write(...args);
        }) as Socket['write'];
      };
      await ask({ pool: { onSocket }, timeout: 5000 });
      await wire.clock.advance(1000);
    },
  },
  {
    id: 'upload-aborted',
    number: 43,
    title: 'An upload is aborted',
    seen: ['nodejs/node#37659', 'nodejs/node#58059'],
    picture: 'C: part of the body, then FIN.',
    node: 'The server’s request: aborted, error "aborted" ECONNRESET, close with complete false.',
    cope: 'Listen for error on the request; look at request.complete before you commit.',
    expect: {
      http: ['request: aborted', 'request: error aborted', 'request: close, complete false'],
      fetch: ['request: aborted', 'request: error aborted', 'request: close, complete false'],
    },
    async play({ wire, serve, client, say }) {
      await serve((request) => {
        request.on('aborted', () => say('request: aborted'));
        request.on('error', (error) => say(`request: error ${error.message}`));
        request.on('close', () => say(`request: close, complete ${request.complete}`));
        request.resume();
      });
      wire.on(req(1).bodyByte(3)).do(fin({ to: 's' }));
      void client.ask({ method: 'POST', body: '0123456789' }).catch(() => {});
      await wire.clock.advance(1000);
    },
  },
  {
    id: 'streaming-to-gone-client',
    number: 44,
    title: 'The server streams to a client that is gone',
    seen: ['expressjs/express#2428'],
    picture: 'C: RST in the middle of the response; S writes on.',
    node: 'The response closes; later writes only fail their callbacks, and no error is emitted.',
    cope: 'Stop producing on close of the response; pipeline() does.',
    expect: { http: ['response: close', 'a later write: failed'], fetch: ['response: close', 'a later write: failed'] },
    async play({ wire, serve, client, say }) {
      await serve((_, response) => {
        response.on('close', () => say('response: close'));
        response.on('error', (error) => say(`response: error ${error.message}`));
        response.write('begin');
        void wire.clock.sleep(500).then(() => {
          response.write('more', (error) => say(`a later write: ${error == null ? 'done' : 'failed'}`));
        });
      });
      wire.on(res(1).bodyByte(5)).do(rst({ to: 's' }));
      void client.ask({}).catch(() => {});
      await wire.clock.advance(1000);
    },
  },
  {
    id: 'reset-after-100-continue',
    number: 52,
    title: 'The client resets after 100-continue',
    seen: [],
    picture:
      'C: head with Expect; S: 100; C: RST instead of the body. And the same when S says 100 to a request that did not ask for it.',
    node: 'The server’s request: aborted, error "aborted", close with complete false. Client: "read ECONNRESET" with its next segment. fetch and undici refuse to send Expect, and take a 100 for a bad response.',
    cope: 'As for an upload that is aborted.',
    expect: {
      http: [
        'request: aborted',
        'request: error aborted',
        'request: close, complete false',
        'POST /asked-for: read ECONNRESET (not reused)',
        'request: aborted',
        'request: error aborted',
        'request: close, complete false',
        'POST /unasked: read ECONNRESET (not reused)',
        'clientError: read ECONNRESET, read ECONNRESET',
      ],
      fetch: [
        'POST /asked-for: fetch failed: expect header not supported [UND_ERR_NOT_SUPPORTED]',
        'POST /unasked: fetch failed: bad response [UND_ERR_SOCKET]',
        'request: aborted',
        'request: error aborted',
        'request: close, complete false',
        'clientError: read ECONNRESET',
      ],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve((request, response) => {
        request.on('aborted', () => say('request: aborted'));
        request.on('error', (error) => say(`request: error ${error.message}`));
        request.on('close', () => say(`request: close, complete ${request.complete}`));
        request.resume();
        if (request.headers['expect'] === undefined) response.writeContinue();
      });
      wire.on(res().continue()).do(rst({ to: 's' }));
      const body = Buffer.alloc(200_000);
      await ask({ path: '/asked-for', body, headers: { Expect: '100-continue' }, timeout: 3000, fresh: true });
      await ask({ path: '/unasked', body, timeout: 3000, fresh: true });
      await wire.clock.advance(1000);
      say(`clientError: ${origin.clientErrors.map(({ message }) => message).join(', ')}`);
    },
  },
];
