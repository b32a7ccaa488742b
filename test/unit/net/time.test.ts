import { http, type IncomingMessage } from '../../../http';
import { connect, createServer, type Server, type Socket } from '../../../net';

// Everything that can be put in the place of Node's, and a clock that stands still.
beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const once = (emitter: object, event: string): Promise<unknown> =>
  new Promise((resolve) => (emitter as NodeJS.EventEmitter).once(event, resolve));

const portOf = (server: Server): number => (server.address() as { port: number }).port;

test('a test that stopped the clock is answered all the same, twice on one connection', async () => {
  const server = http.createServer((request, response) => response.end(request.url));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new http.Agent({ keepAlive: true });
  const texts: string[] = [];
  const ports = new Set<unknown>();
  for (const path of ['/a', '/b']) {
    const request = http.get({ port: portOf(server as unknown as Server), host: '127.0.0.1', path, agent });
    const closed = once(request, 'close');
    const response = (await once(request, 'response')) as IncomingMessage;
    ports.add((response.socket as Socket).localPort);
    response.setEncoding('latin1').on('data', (text: string) => texts.push(text));
    await closed;
  }
  expect([texts, ports.size]).toEqual([['/a', '/b'], 1]);
  agent.destroy();
  server.close();
  await once(server, 'close');
});

test('to be refused and to have waited for too long are told of, too', async () => {
  const refused = connect(1, '127.0.0.1');
  expect(await once(refused, 'error')).toMatchObject({ code: 'ECONNREFUSED' });
  const server = createServer((socket: Socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const idle = connect(portOf(server), '127.0.0.1').setTimeout(5);
  await once(idle, 'timeout');
  idle.destroy();
  await once(idle, 'close');
  server.close();
  await once(server, 'close');
});

test('an answer is dated by the day that it is', async () => {
  jest.setSystemTime(0);
  const server = http.createServer((_, response) => response.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = http.get({ port: portOf(server as unknown as Server), host: '127.0.0.1', agent: false });
  const closed = once(request, 'close');
  const response = (await once(request, 'response')) as IncomingMessage;
  expect(response.headers.date).not.toMatch(/1970/);
  response.resume();
  await closed;
  server.close();
  await once(server, 'close');
});
