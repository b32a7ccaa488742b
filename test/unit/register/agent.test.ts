import { agrees } from './program';

test('what tools see of an agent and of a server is what they see on stock Node', async () => {
  const out = await agrees(`
    const http = require('http'), { AsyncResource } = require('async_hooks');
    const log = [];
    process.on('exit', () => console.log(log.join('\\n')));
    const resource = new AsyncResource('X');
    const key = Object.getOwnPropertySymbols(resource).find((one) => one.description === 'async_id_symbol');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const server = http.createServer((request, response) => response.end());
    server.on('connection', ({ parser }) => {
      const { free } = parser;
      parser.free = function () {
        log.push('freed ' + typeof parser.close);
        return free.apply(this, arguments);
      };
    });
    const get = (done) => http.get({ port: server.address().port, host: '127.0.0.1', agent }, (response) => {
      const { socket } = response;
      const id = socket[key];
      log.push('in use ' + (id > 0 && id === socket._handle.getAsyncId()));
      response.resume().on('end', () => setImmediate(() => {
        log.push('idle ' + socket[key]);
        done(socket, id);
      }));
    });
    server.listen(0, '127.0.0.1', () => get((socket, before) => {
      const { _handle: handle } = socket;
      const { asyncReset } = handle;
      handle.asyncReset = function (resource) {
        log.push('reset ' + resource.constructor.name + ' ' + Object.keys(resource) + ' ' + (resource.handle === handle));
        return asyncReset.apply(handle, arguments);
      };
      get((same, id) => {
        log.push('same ' + (same === socket) + ', another number ' + (id !== before));
        agent.destroy();
        server.close();
      });
    }));`);
  expect(out).toBe(
    [
      'in use true',
      'idle -1',
      'reset ReusedHandle type,handle true',
      'in use true',
      'idle -1',
      'same true, another number true',
      'freed function',
    ].join('\n'),
  );
}, 120_000);
