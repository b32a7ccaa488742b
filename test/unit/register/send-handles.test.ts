import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..');

/** Tries to send this and that, from a parent and from its child, and prints how each went. */
const PROGRAM = `
  const net = require('net'), { fork } = require('child_process');
  const told = [];
  const attempt = (channel, what, handle) => {
    try {
      channel.send({ what }, handle);
      told.push(what + ' sent');
    } catch (error) {
      const cure = error.message.includes('TAPWIRE=network') ? ', with the cure' : '';
      told.push(what + ' ' + error.name + ' ' + error.code + ' ' + error.message.replace(/: .*/, '') + cure);
    }
  };
  const open = (channel, done) => {
    const server = net.createServer((accepted) => {
      attempt(channel, 'server', server);
      attempt(channel, 'accepted', accepted);
      attempt(channel, 'socket', socket);
      attempt(channel, 'nothing', undefined);
      attempt(channel, 'something', { some: 'thing' });
      socket.destroy();
      server.close(done);
    });
    let socket;
    server.listen(0, '127.0.0.1', () => { socket = net.connect(server.address().port, '127.0.0.1'); });
  };
  if (process.argv[2] !== 'child') {
    const child = fork(__filename, ['child']);
    child.once('message', () => open(child, () => child.send('go on')));
    child.on('message', (message) => { if (message.told) console.log(JSON.stringify([told, message.told])); });
  } else {
    process.send('ready');
    process.on('message', (message) => {
      if (message === 'go on') open(process, () => { process.send({ told }); process.disconnect(); });
    });
  }`;

test.each(['index', 'transport'])(
  'a socket of ours cannot be sent to another process, and who tries is told why (%s)',
  async (preload) => {
    const folder = mkdtempSync(join(tmpdir(), 'tapwire-send-'));
    try {
      const file = join(folder, 'app.js');
      writeFileSync(file, PROGRAM);
      const execArgv = ['-r', join(ROOT, 'test/typescript.cjs'), '-r', join(ROOT, `register/${preload}.ts`)];
      const parent = fork(file, [], { execArgv, silent: true, cwd: ROOT });
      let out = '';
      for (const stream of [parent.stdout!, parent.stderr!]) stream.on('data', (chunk) => (out += chunk));
      await new Promise((resolve) => parent.on('close', resolve));
      const refused = ' TypeError ERR_INVALID_HANDLE_TYPE This handle type cannot be sent';
      const ours = `${refused}, with the cure`;
      const all = [`server${ours}`, `accepted${ours}`, `socket${ours}`, 'nothing sent', `something${refused}`];
      expect(JSON.parse(out)).toEqual([all, all]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  120_000,
);
