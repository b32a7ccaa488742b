// got, the client most sensitive to the order of events.
'use strict';

const http = require('node:http');
const { once } = require('node:events');
const { pipeline } = require('node:stream/promises');
const { PassThrough } = require('node:stream');
const { bytes, hash, listening, plainServer, streamed, whole } = require('./common.cjs');

let gotten;
/** got is an ES module. */
async function load() {
  gotten ??= (await import('got')).default.extend({ retry: { limit: 0 } });
  return gotten;
}

const told = (t, { statusCode, headers, body, redirectUrls, isFromCache, retryCount }) => {
  const { date: _date, ...rest } = headers;
  t.note({
    statusCode,
    headers: rest,
    body: body.length > 300 ? hash(Buffer.from(body)) : body,
    redirects: redirectUrls.length,
    isFromCache,
    retryCount,
  });
};

const errorOf = async (t, promise) => {
  const error = await t.fails(promise);
  t.note([error.response?.statusCode, error.timings && Object.keys(error.timings.phases)]);
};

module.exports = {
  serve: (notes, address) => listening(plainServer(notes), address),
  scenarios: {
    'gets text and JSON': async (t) => {
      const got = await load();
      told(t, await got(`${t.url}/hello`));
      t.note(await got(`${t.url}/json`).json());
      t.note(hash(await got(`${t.url}/big`).buffer()));
      told(t, await got(`${t.url}/gzip`));
      told(t, await got(`${t.url}/brotli`));
      told(t, await got.head(`${t.url}/hello`));
      told(t, await got(`${t.url}/no-content`));
      t.note(await got(`${t.url}/headers`).json());
    },
    uploads: async (t) => {
      const got = await load();
      t.note(await got.post(`${t.url}/echo`, { json: { a: 'ü' } }).json());
      t.note(await got.post(`${t.url}/echo`, { form: { a: 'ü' } }).text());
      t.note(await got.put(`${t.url}/sink`, { body: bytes(1_000_000) }).json());
      t.note(await got.post(`${t.url}/sink`, { body: streamed(bytes(200_000)) }).json());
      const form = new FormData();
      form.set('field', 'value');
      t.note((await got.post(`${t.url}/echo`, { body: form }).text()).includes('name="field"'));
    },
    streams: async (t) => {
      const got = await load();
      t.note(hash(await whole(got.stream(`${t.url}/stream`))));
      const back = new PassThrough();
      const collected = whole(back);
      await pipeline(streamed(bytes(500_000)), got.stream.post(`${t.url}/echo`), back);
      t.note(hash(await collected));
      const progress = [];
      const download = got.stream(`${t.url}/big`);
      download.on('downloadProgress', ({ percent }) => progress.push(percent));
      await whole(download);
      t.note([progress[0], progress.at(-1)]);
    },
    'events of a stream': async (t) => {
      const got = await load();
      const events = [];
      const stream = got.stream(`${t.url}/hello`);
      for (const name of ['request', 'response', 'end', 'error']) stream.on(name, () => events.push(name));
      stream.once('request', (request) => {
        for (const name of ['socket', 'finish', 'response', 'close'])
          request.on(name, () => events.push(`request ${name}`));
      });
      const done = once(stream, 'end');
      stream.on('data', () => {});
      await done;
      t.note(events);
    },
    redirects: async (t) => {
      const got = await load();
      told(t, await got(`${t.url}/redirect`));
      told(t, await got.post(`${t.url}/redirect-post`, { body: 'carried' }));
      told(t, await got.post(`${t.url}/see-other`, { body: 'dropped' }));
      told(t, await got(`${t.url}/redirect`, { followRedirect: false }));
      await errorOf(t, got(`${t.url}/loop`));
    },
    'what goes wrong': async (t) => {
      const got = await load();
      await errorOf(t, got(`${t.url}/status?code=500`));
      await errorOf(t, got(t.closedUrl));
      await errorOf(t, got(`${t.url}/hang-up`));
      await errorOf(t, got(`${t.url}/reset`));
      await errorOf(t, got(`${t.url}/reset-midway`));
      await errorOf(
        t,
        got(`${t.url}/json`, {
          responseType: 'json',
          parseJson: () => {
            throw new Error('no JSON');
          },
        }),
      );
    },
    'time-outs of every phase': async (t) => {
      const got = await load();
      await t.fails(got(`${t.url}/never`, { timeout: { request: 50 } }));
      await t.fails(got(`${t.url}/never`, { timeout: { response: 50 } }));
      await t.fails(got(`${t.url}/never`, { timeout: { socket: 50 } }));
      await t.fails(got(`${t.url}/slow-body`, { timeout: { request: 100 } }));
      t.note(await t.saw('never', 6));
      told(
        t,
        await got(`${t.url}/hello`, {
          timeout: { lookup: 20_000, connect: 20_000, send: 20_000, response: 20_000, request: 20_000 },
        }),
      );
    },
    timings: async (t) => {
      const got = await load();
      const { timings } = await got(`${t.url}/hello`);
      const { start, socket, lookup, connect, upload, response, end } = timings;
      const order = [start, socket, lookup, connect, upload, response, end];
      t.note([order.every((time) => Number.isFinite(time)), order.every((time, i) => i === 0 || time >= order[i - 1])]);
      t.note(Object.keys(timings.phases));
    },
    retries: async (t) => {
      const got = await load();
      const retries = [];
      const response = await got(`${t.url}/flaky`, {
        retry: { limit: 3, calculateDelay: ({ attemptCount }) => (attemptCount > 3 ? 0 : 1) },
        hooks: { beforeRetry: [(error, count) => retries.push([error.code, count])] },
      });
      told(t, response);
      t.note(retries);
    },
    cancelled: async (t) => {
      const got = await load();
      const controller = new AbortController();
      const request = got(`${t.url}/slow-body`, { signal: controller.signal });
      request.on('downloadProgress', ({ transferred }) => transferred > 0 && controller.abort());
      await t.fails(request);
      t.note((await t.saw('slow-body', 2)).length);
    },
    'kept connections, hooks, pages, cookies': async (t) => {
      const got = await load();
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const client = got.extend({ agent: { http: agent }, prefixUrl: t.url });
      for (let i = 0; i < 4; i++) t.note(await client('connection').text());
      agent.destroy();
      const hooked = got.extend({ hooks: { beforeRequest: [(options) => void (options.headers['x-hook'] = 'yes')] } });
      t.note((await hooked(`${t.url}/headers`).json()).includes('yes'));
      told(t, await got(`${t.url}/cookie`));
      const pages = [];
      const paginate = got.paginate(`${t.url}/json`, {
        pagination: {
          transform: ({ body }) => JSON.parse(body).numbers,
          paginate: ({ response }) => (response.url.includes('page') ? false : { searchParams: { page: 2 } }),
        },
      });
      for await (const item of paginate) pages.push(item);
      t.note(pages);
    },
  },
};
