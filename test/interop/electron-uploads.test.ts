import type * as http from 'node:http';
import type * as https from 'node:https';
import { memoryPair } from '../../device/memory';
import { createHttp, type NetModule } from '../../http';
import { createHttps } from '../../http/https';
import { createNet } from '../../net';
import { createHost } from '../../net/host';
import { type UploadSeen, upload } from './electron/upload';
import { inNamespace } from './kernel/run';

// E-057, E-058: 100 MB go up, and progress is what the other TCP acknowledged: a stack of ours, or the kernel's.

const BYTES = 100_000_000;
jest.setTimeout(250_000);

const kinds = [
  { chunked: false, secure: false },
  { chunked: true, secure: false },
  { chunked: false, secure: true },
  { chunked: true, secure: true },
];

function judge(seen: UploadSeen): void {
  expect(seen).toMatchObject({
    arrived: true,
    grew: true,
    last: BYTES,
    atResponse: { active: true, started: true, current: BYTES, total: BYTES },
    events: ['finish', 'response', 'close'],
  });
  // How many bytes one acknowledgement covers is the other side's affair: the kernel takes a megabyte at once.
  expect(seen.told).toBeGreaterThan(20);
}

test.each(kinds)('E-057, E-058: 100 MB in memory (chunked: $chunked, TLS: $secure)', async ({ chunked, secure }) => {
  const [near, far] = memoryPair();
  const client = createHost({ devices: [{ device: near, addresses: ['10.0.0.1/24'] }] });
  const server = createHost({ devices: [{ device: far, addresses: ['10.0.0.2/24'] }] });
  const net = createNet(server) as unknown as NetModule;
  const modules = {
    http: createHttp(net) as unknown as typeof http,
    https: createHttps(net) as unknown as typeof https,
  };
  judge(await upload(client, modules, '10.0.0.2', { chunked, secure, bytes: BYTES }));
  client.close();
  server.close();
});

test.each(kinds)('E-057, E-058: 100 MB over TUN to the kernel (chunked: $chunked, TLS: $secure)', async (kind) => {
  const { left, ...seen } = await inNamespace('electronUpload', { ...kind, bytes: BYTES });
  judge(seen);
  expect(left).toEqual({});
});
