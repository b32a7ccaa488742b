// axios, with follow-redirects and form-data below it.
'use strict';

const http = require('node:http');
const { once } = require('node:events');
const { default: axios } = require('axios');
const { bytes, hash, listening, plainServer, streamed, whole } = require('./common.cjs');

const told = (t, response) => {
  const { status, statusText, data } = response;
  const { date: _date, ...headers } = { ...response.headers };
  t.note({ status, statusText, headers, data: Buffer.isBuffer(data) ? hash(data) : data });
};

const errorOf = async (t, promise) => {
  const error = await t.fails(promise);
  t.note([error.isAxiosError, error.response?.status, error.response?.data]);
};

/** A proxy for plain requests, such as `proxy: {host, port}` wants. */
const proxyServer = () =>
  http.createServer((req, res) => {
    const onward = http.request(req.url, { method: req.method, headers: req.headers, agent: false }, (response) => {
      res.writeHead(response.statusCode, { ...response.headers, Via: 'test' });
      response.pipe(res);
    });
    req.pipe(onward);
  });

module.exports = {
  serve: (notes, address) => listening(plainServer(notes), address),
  scenarios: {
    'gets text, JSON, bytes': async (t) => {
      told(t, await axios.get(`${t.url}/hello`));
      told(t, await axios.get(`${t.url}/json`));
      told(t, await axios.get(`${t.url}/big`, { responseType: 'arraybuffer' }));
      told(t, await axios.head(`${t.url}/hello`));
      told(t, await axios.get(`${t.url}/gzip`));
      told(t, await axios.get(`${t.url}/brotli`));
      told(t, await axios.get(`${t.url}/no-content`));
    },
    uploads: async (t) => {
      told(t, await axios.post(`${t.url}/echo`, { a: 1, b: 'ü' }));
      told(t, await axios.put(`${t.url}/sink`, bytes(1_000_000)));
      told(t, await axios.post(`${t.url}/sink`, streamed(bytes(300_000)), { maxRedirects: 0 }));
      told(t, await axios.post(`${t.url}/sink`, streamed(bytes(300_000))));
      told(t, await axios.post(`${t.url}/echo`, new URLSearchParams({ a: '1' })));
      const { data } = await axios.postForm(
        `${t.url}/echo`,
        { field: 'value', file: bytes(2000) },
        { responseType: 'arraybuffer' },
      );
      t.note(data.toString('latin1').includes('name="field"'));
      told(t, await axios.patch(`${t.url}/sink`, 'x'));
      told(t, await axios.delete(`${t.url}/sink`, { data: 'y' }));
    },
    'a download as a stream, with its progress': async (t) => {
      const { data } = await axios.get(`${t.url}/stream`, { responseType: 'stream' });
      t.note(hash(await whole(data)));
      let loaded = 0;
      let sent = 0;
      await axios.post(`${t.url}/echo`, bytes(400_000), {
        responseType: 'arraybuffer',
        onDownloadProgress: (event) => (loaded = event.loaded),
        onUploadProgress: (event) => (sent = event.loaded),
      });
      t.note([loaded, sent]);
    },
    redirects: async (t) => {
      told(t, await axios.get(`${t.url}/redirect`));
      told(t, await axios.post(`${t.url}/redirect-post`, 'carried', { headers: { 'Content-Type': 'text/plain' } }));
      told(t, await axios.post(`${t.url}/see-other`, 'dropped'));
      await errorOf(t, axios.get(`${t.url}/redirect`, { maxRedirects: 0 }));
      await errorOf(t, axios.get(`${t.url}/loop`));
    },
    'statuses that are errors': async (t) => {
      for (const code of [400, 404, 500, 503]) await errorOf(t, axios.get(`${t.url}/status?code=${code}`));
      told(t, await axios.get(`${t.url}/status?code=404`, { validateStatus: () => true }));
      await errorOf(t, axios.get(`${t.url}/not-modified`, { headers: { 'If-None-Match': '"one"' } }));
    },
    'what goes wrong below': async (t) => {
      await errorOf(t, axios.get(t.closedUrl));
      await errorOf(t, axios.get(`${t.url}/hang-up`));
      await errorOf(t, axios.get(`${t.url}/reset`));
      await errorOf(t, axios.get(`${t.url}/reset-midway`));
      await errorOf(t, axios.get(`${t.url}/never`, { timeout: 60 }));
      await errorOf(t, axios.get(`${t.url}/big`, { maxContentLength: 1000 }));
      await errorOf(t, axios.post(`${t.url}/sink`, bytes(2000), { maxBodyLength: 1000 }));
    },
    cancelled: async (t) => {
      const controller = new AbortController();
      const request = axios.get(`${t.url}/slow-body`, { signal: controller.signal, responseType: 'stream' });
      const { data } = await request;
      await once(data, 'data');
      data.on('error', (error) => t.note(error));
      controller.abort();
      t.note(await t.saw('slow-body', 1));
      const early = new AbortController();
      const never = axios.get(`${t.url}/never`, { signal: early.signal });
      await t.saw('never', 2);
      early.abort();
      await t.fails(never);
    },
    'an agent that keeps connections': async (t) => {
      const httpAgent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const client = axios.create({ baseURL: t.url, httpAgent, auth: { username: 'user', password: 'secret' } });
      for (let i = 0; i < 5; i++) t.note((await client.get('/connection')).data);
      t.note((await client.get('/auth')).data);
      t.note((await Promise.all([1, 2, 3].map(() => client.get('/connection')))).map(({ data }) => data));
      httpAgent.destroy();
    },
    'interceptors, and through a proxy': async (t) => {
      const client = axios.create();
      client.interceptors.request.use((config) => {
        config.headers.set('X-Put', 'in between');
        return config;
      });
      const { data } = await client.get(`${t.url}/headers`);
      t.note(data);
      const proxy = proxyServer();
      const { port, close } = await listening(proxy, '127.0.0.1');
      const response = await axios.get(`${t.url}/json`, { proxy: { protocol: 'http', host: '127.0.0.1', port } });
      told(t, response);
      await close();
    },
  },
};
