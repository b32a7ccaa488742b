import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHost } from '../../../../index';
import { askReport, askSockets } from '../../../../tools/control/client';
import { controlFolders, findControlPoints } from '../../../../tools/control/folder';
import { showHost } from '../../../../tools/control/server';
import { runSs } from '../../../../tools/ss/command';
import { connectedPair } from '../ss/pair';

let runtime = '';
const before = process.env['XDG_RUNTIME_DIR'];
beforeEach(() => {
  runtime = mkdtempSync(join(tmpdir(), 'tw-'));
  process.env['XDG_RUNTIME_DIR'] = runtime;
});
afterEach(() => {
  rmSync(runtime, { recursive: true, force: true });
  if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = before;
});

const ourPoint = () => findControlPoints().find(({ pid }) => pid === process.pid);

/** The socket is there as soon as it is asked for; it listens a moment later. */
async function shownPair() {
  const pair = await connectedPair();
  const hide = [showHost('server', pair.server, 'a test'), showHost('server', pair.client, 'a test')];
  return {
    ...pair,
    hide: () => {
      for (const one of hide) one();
    },
  };
}

async function ss(words: string, options: Parameters<typeof runSs>[1] = {}): Promise<string> {
  let text = '';
  const code = await runSs(words === '' ? [] : words.split(' '), { pid: process.pid, ...options }, (more) => {
    text += more;
  });
  expect(code).toBe(0);
  return text;
}

test('only this user can open the socket; it goes with the last host', async () => {
  const pair = await shownPair();
  const point = ourPoint()!;
  expect(point.path).toBe(join(runtime, 'tapwire', `${process.pid}.sock`));
  await askReport(point);
  expect(statSync(point.path).mode & 0o777).toBe(0o600);
  expect(statSync(join(runtime, 'tapwire')).mode & 0o777).toBe(0o700);
  pair.hide();
  expect(existsSync(point.path)).toBe(false);
  pair.close();
});

test('both stacks of the process tell their sockets', async () => {
  const pair = await shownPair();
  const told = (await askSockets(ourPoint()!))!;
  expect(told.title).toBe('a test');
  expect([...told.hosts.keys()]).toEqual(['server', 'server-2']);
  const { report } = (await askReport(ourPoint()!))!;
  expect(report.hosts['server']!.connections).toEqual({ ESTABLISHED: 1 });

  const table = await ss('', { tcp: true, info: true });
  const pid = process.pid;
  expect(table).toMatch(new RegExp(`^# a test, process ${pid}, stack server\nState Recv-Q Send-Q Local Address:Port`));
  expect(table.match(/^ESTAB/gm)).toHaveLength(2);
  expect(table.match(/\t ts sack cubic wscale:/g)).toHaveLength(2);
  expect(await ss('state listening', { json: true }).then(JSON.parse)).toMatchObject([
    { pid, title: 'a test', host: 'server', state: 'LISTEN', local: { address: '*', port: 80 } },
  ]);
  expect(await ss('dport = :80', { tcp: true, noHeader: true, processes: true })).toMatch(
    /^ESTAB .* 10\.0\.0\.2:80 users:\(\("a test",pid=\d+\)\)\n$/,
  );
  expect(await ss('', { all: true, ipv6: true, tcp: true, noHeader: true })).toMatch(/^LISTEN [^\n]*\n$/);
  expect(await ss('', { summary: true })).toContain(`process ${pid}: up`);
  pair.hide();
  pair.close();
});

test('a host with `control` shows itself until it is closed', async () => {
  const host = createHost({ control: 'lab' });
  const told = (await askSockets(ourPoint()!))!;
  expect([...told.hosts.keys()]).toEqual(['lab']);
  host.close();
  expect(ourPoint()).toBeUndefined();
});

test('what a killed process left is passed over, and removed', async () => {
  const folder = join(runtime, 'tapwire');
  mkdirSync(folder, { mode: 0o700 });
  const left = join(folder, '4194000.sock');
  const server = createServer().listen(left);
  await once(server, 'listening');
  // The name goes with the listener, but not with a copy of it that a kill would leave.
  chmodSync(left, 0o600);
  const { linkSync } = await import('node:fs');
  linkSync(left, join(folder, '4194001.sock'));
  server.close();
  await once(server, 'close');
  expect(readdirSync(folder)).toEqual(['4194001.sock']);
  expect(await askSockets({ pid: 4_194_001, path: join(folder, '4194001.sock') })).toBeNull();
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder that others may enter is not used, and not another's", () => {
  const folder = join(runtime, 'tapwire');
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, '77.sock'), '');
  expect(controlFolders()[0]).toBe(folder);
  expect(findControlPoints().some(({ path }) => path.startsWith(folder))).toBe(false);
});

describe('hostile questions', () => {
  async function answerTo(question: string): Promise<string> {
    const socket = connect(ourPoint()!.path).setEncoding('utf8');
    let text = '';
    socket.on('data', (piece) => {
      text += piece;
    });
    socket.on('error', () => {});
    socket.write(question);
    await once(socket, 'close');
    return text;
  }

  test.each([
    ['no JSON', 'hello\n'],
    ['null', 'null\n'],
    ['another question', '{"ask":"everything"}\n'],
  ])('%s: told so', async (_name, question) => {
    const host = createHost({ control: true });
    expect(await answerTo(question)).toContain('"error"');
    host.close();
  });

  test('too long: closed', async () => {
    const host = createHost({ control: true });
    expect(await answerTo('x'.repeat(5000))).toBe('');
    host.close();
  });
});

test('nobody to ask: one line, exit code 1', async () => {
  const said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  expect(await runSs([], { pid: 4_194_300 }, () => {})).toBe(1);
  expect(said.mock.calls.join('')).toContain('process 4194300 cannot be asked');
  said.mockRestore();
});
