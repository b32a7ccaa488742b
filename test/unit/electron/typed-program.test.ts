import { createElectron } from '../../../electron';
import { bodyOf, Lab } from './lab';
import { talk } from './typed-program';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

test('a program that was written for Electron compiles, and runs', async () => {
  const { net, session } = createElectron(lab.host);
  const origin = await lab.serve(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === '/typed' && request.method === 'POST') {
      response.writeHead(307, { Location: '/there' }).end();
    } else if (request.url === '/there' && request.headers.authorization === undefined) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="typed"' }).end();
    } else {
      response.setHeader('Content-Type', 'text/plain');
      response.end(`${request.headers.cookie ?? 'no cookie'} ${body}`);
    }
  });
  expect(await talk(net, session, origin)).toEqual([
    'text',
    'finish',
    '307 post true /there',
    'false basic typed',
    '200 OK 1.1 1 1 text/plain true',
    'n=1 body',
    'false false 0 0',
    '200',
    'true',
    'ipv4 127.0.0.1',
    'DIRECT',
    'n explicit true',
  ]);
});
