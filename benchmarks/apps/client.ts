import * as kernelHttp from 'node:http';
import { createHttp, type NetModule } from '../../http';
import { createNet } from '../../net';
import { where } from './where';

/*
 * An HTTP client with a keep-alive Agent. Told "HOST CONNECTIONS SECONDS", it keeps so many requests under way for so long,
 * and answers with how many were done in a second.
 */
const place = where(process.argv);
const http =
  place.host === null
    ? kernelHttp
    : (createHttp(createNet(place.host) as unknown as NetModule) as unknown as typeof kernelHttp);

function run(host: string, connections: number, seconds: number): void {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  let done = 0;
  let failed = 0;
  let over = false;
  const next = (): void => {
    if (over) return;
    const request = http.get({ host, port: 8000, path: '/', agent }, (response) => {
      response.resume();
      response.on('end', () => {
        done++;
        next();
      });
    });
    request.on('error', () => {
      failed++;
      if (!over) setImmediate(next);
    });
  };
  for (let i = 0; i < connections; i++) next();
  setTimeout(() => {
    over = true;
    process.send!({ perSecond: done / seconds, errors: failed });
    agent.destroy();
  }, seconds * 1000);
}

process.on('message', (question: string) => {
  const [host, connections, seconds] = question.split(' ');
  run(host!, Number(connections), Number(seconds));
});
process.on('SIGTERM', () => {
  place.close();
  process.exit(0);
});
process.send!('up');
