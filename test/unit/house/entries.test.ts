import nodeDgram from 'node:dgram';
import nodeHttp from 'node:http';
import nodeHttps from 'node:https';
import nodeNet from 'node:net';

// tapwire/net, tapwire/http, tapwire/https and tapwire/dgram stand where Node's modules stood: `require` is all that changes.

/** Handles of the kernel, which a stack of ours has none of; and what is a browser's, not HTTP's. */
const NODES_ALONE = [
  '_createServerHandle',
  '_createSocketHandle',
  'WebSocket',
  'CloseEvent',
  'MessageEvent',
  // Of Node 24: docs/differences.md.
  'BoundSocket',
  'setGlobalProxyFromEnv',
];

test.each([
  ['net', nodeNet, '../../../net'],
  ['http', nodeHttp, '../../../http'],
  ['https', nodeHttps, '../../../http/default-https'],
  ['dgram', nodeDgram, '../../../net/dgram'],
] as const)('tapwire/%s has all that is in the module of that name', (_, node, file) => {
  const ours = require(file) as Record<string, unknown>;
  const missing = Object.keys(node).filter((name) => ours[name] === undefined && !NODES_ALONE.includes(name));
  expect(missing).toEqual([]);
});

test('a program on the default host', async () => {
  const http = require('../../../http') as typeof import('../../../http');
  const net = require('../../../net') as typeof import('../../../net');
  const server = http.createServer((req, res) => res.end(req.url));
  await new Promise<void>((resolve) => server.listen(8080, resolve));
  const agent = new http.Agent({ keepAlive: false });
  const response = await new Promise<InstanceType<typeof http.IncomingMessage>>((resolve) =>
    http.get({ port: 8080, path: '/page', agent }, resolve),
  );
  expect(response).toBeInstanceOf(http.IncomingMessage);
  expect(response.socket).toBeInstanceOf(net.Socket);
  expect(String((await response.toArray())[0])).toBe('/page');
  await new Promise((resolve) => server.close(resolve));
});
