import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type * as http from 'node:http';
import type * as https from 'node:https';
import { createElectron } from '../../../electron';
import type { Host } from '../../../net/host';
import { cert, key } from '../../unit/http/tls-identity';

export interface UploadKind {
  readonly chunked: boolean;
  readonly secure: boolean;
  readonly bytes: number;
}

/** What was seen of an upload. */
export interface UploadSeen {
  /** The server has the bytes that were sent. */
  arrived: boolean;
  /** How often progress was told. */
  told: number;
  /** It only grew, and never beyond what the server's application, or its buffers, can have got. */
  grew: boolean;
  last: number;
  /** `getUploadProgress` when the response came. */
  atResponse: object;
  events: string[];
}

/** Sends a body from `host` to a server made of `modules`, which listens at `address`. */
export async function upload(
  host: Host,
  modules: { http: typeof http; https: typeof https },
  address: string,
  { chunked, secure, bytes }: UploadKind,
): Promise<UploadSeen> {
  const received = createHash('sha1');
  const answer: http.RequestListener = (request, response) => {
    request.on('data', (chunk: Buffer) => received.update(chunk));
    request.on('end', () => response.end('thanks'));
  };
  const server = secure ? modules.https.createServer({ key, cert }, answer) : modules.http.createServer(answer);
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const electron = createElectron(host);
  const session = electron.session.defaultSession;
  session.setCertificateVerifyProc((_request, callback) => callback(0));
  const request = electron.net.request({ method: 'PUT', url: `${secure ? 'https' : 'http'}://${address}:${port}/` });
  request.chunkedEncoding = chunked;
  const seen: UploadSeen = { arrived: false, told: 0, grew: true, last: 0, atResponse: {}, events: [] };
  request.on('upload-progress', (current, total) => {
    seen.told++;
    seen.grew &&= current > seen.last && current <= total;
    seen.last = current;
  });
  for (const name of ['finish', 'response', 'error', 'close']) request.on(name, () => seen.events.push(name));
  request.on('response', (response) => {
    seen.atResponse = request.getUploadProgress();
    response.resume();
  });
  const sent = createHash('sha1');
  const piece = Buffer.alloc(256 * 1024);
  for (let at = 0; at < bytes; at += piece.length) {
    piece.fill((at / piece.length) & 0xff);
    const here = piece.subarray(0, Math.min(piece.length, bytes - at));
    sent.update(here);
    // The buffer is used again once the callback has come.
    await new Promise((resolve) => request.write(here, resolve));
  }
  const closed = once(request, 'close');
  request.end();
  await closed;
  seen.arrived = sent.digest('hex') === received.digest('hex');
  await session.closeAllConnections();
  server.close();
  return seen;
}
