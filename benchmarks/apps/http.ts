import * as kernelHttp from 'node:http';
import { createHttp, type NetModule } from '../../http';
import { createNet } from '../../net';
import { serve, where } from './where';

/** Thirteen bytes for every request: what is measured is everything else. */
const place = where(process.argv);
const http =
  place.host === null
    ? kernelHttp
    : (createHttp(createNet(place.host) as unknown as NetModule) as unknown as typeof kernelHttp);
const server = http.createServer((_request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end('Hello, world!');
});
server.keepAliveTimeout = 60_000;
server.listen(80, '0.0.0.0', 4096, () => serve(place));
