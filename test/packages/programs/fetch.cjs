// Node's own fetch.
'use strict';

const { hash, bytes, listening, plainServer, streamed } = require('./common.cjs');

async function told(t, response) {
  const { status, statusText, redirected, ok } = response;
  const headers = [...response.headers].filter(([name]) => name !== 'date');
  const body = Buffer.from(await response.arrayBuffer());
  t.note({ status, statusText, redirected, ok, headers, body: body.length > 300 ? hash(body) : body.toString() });
}

module.exports = {
  serve: (notes, address) => listening(plainServer(notes), address),
  scenarios: {
    'gets text and JSON': async (t) => {
      await told(t, await fetch(`${t.url}/hello`));
      t.note(await (await fetch(`${t.url}/json`)).json());
      await told(t, await fetch(`${t.url}/nowhere`));
      await told(t, await fetch(`${t.url}/hello`, { method: 'HEAD' }));
    },
    'what it sends': async (t) => {
      const raw = await (await fetch(`${t.url}/headers`, { headers: { 'X-One': '1' } })).json();
      t.note(raw);
    },
    'uploads of every kind': async (t) => {
      await told(t, await fetch(`${t.url}/sink`, { method: 'POST', body: 'text' }));
      await told(t, await fetch(`${t.url}/sink`, { method: 'PUT', body: bytes(1_000_000) }));
      await told(t, await fetch(`${t.url}/sink`, { method: 'POST', body: streamed(bytes(300_000)), duplex: 'half' }));
      const params = new URLSearchParams({ a: '1', b: 'ü' });
      await told(t, await fetch(`${t.url}/echo`, { method: 'POST', body: params }));
      const form = new FormData();
      form.set('field', 'value');
      form.set('file', new Blob([bytes(5000)]), 'file.bin');
      const response = await fetch(`${t.url}/echo`, { method: 'POST', body: form });
      const back = await response.formData();
      t.note([back.get('field'), back.get('file').name, hash(Buffer.from(await back.get('file').arrayBuffer()))]);
    },
    'downloads as a stream': async (t) => {
      let size = 0;
      const response = await fetch(`${t.url}/stream`);
      for await (const chunk of response.body) size += chunk.length;
      t.note(size);
      await told(t, await fetch(`${t.url}/big`));
    },
    redirects: async (t) => {
      await told(t, await fetch(`${t.url}/redirect`));
      await told(t, await fetch(`${t.url}/redirect-post`, { method: 'POST', body: 'carried' }));
      await told(t, await fetch(`${t.url}/see-other`, { method: 'POST', body: 'dropped' }));
      await told(t, await fetch(`${t.url}/redirect`, { redirect: 'manual' }));
      await t.fails(fetch(`${t.url}/redirect`, { redirect: 'error' }));
      await t.fails(fetch(`${t.url}/loop`));
    },
    'content codings, 304, 204, early hints': async (t) => {
      await told(t, await fetch(`${t.url}/gzip`));
      await told(t, await fetch(`${t.url}/brotli`));
      await told(t, await fetch(`${t.url}/not-modified`, { headers: { 'If-None-Match': '"one"' } }));
      await told(t, await fetch(`${t.url}/no-content`));
      await told(t, await fetch(`${t.url}/informed`));
      const { headers } = await fetch(`${t.url}/cookie`);
      t.note(headers.getSetCookie());
    },
    'errors and their causes': async (t) => {
      await t.fails(fetch(t.closedUrl));
      await t.fails(fetch(`${t.url}/hang-up`));
      await t.fails(fetch(`${t.url}/reset`));
      const response = await fetch(`${t.url}/reset-midway`);
      await t.fails(response.text());
    },
    aborts: async (t) => {
      const before = new AbortController();
      const first = fetch(`${t.url}/never`, { signal: before.signal });
      t.note(await t.saw('never', 1));
      before.abort();
      await t.fails(first);
      t.note(await t.saw('never', 2));
      const during = new AbortController();
      const response = await fetch(`${t.url}/slow-body`, { signal: during.signal });
      during.abort();
      await t.fails(response.text());
      t.note(await t.saw('slow-body', 1));
      await t.fails(fetch(`${t.url}/never`, { signal: AbortSignal.timeout(50) }));
    },
    'many at once': async (t) => {
      const all = Array.from({ length: 50 }, async (_, i) => {
        const body = bytes(10_000 + i, i);
        const response = await fetch(`${t.url}/echo`, { method: 'POST', body });
        return hash(Buffer.from(await response.arrayBuffer())) === hash(body);
      });
      t.note((await Promise.all(all)).filter(Boolean).length);
    },
  },
};
