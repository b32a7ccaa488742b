import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cookies } from '../../../../electron/session/cookies';
import { type CorruptPartition, fileNameOf, PartitionFile } from '../../../../electron/session/partition-file';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapwire-partition-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (): string => join(folder, 'deep', 'p.json');
const open = (): Cookies => new Cookies(new PartitionFile(path()));
const soon = (): number => Math.floor(Date.now() / 1000) + 1000;

test('what was flushed is there next time; what ends with the session is not', async () => {
  const cookies = open();
  const expirationDate = soon();
  const details = { url: 'https://www.a.test/x/', name: 'kept', value: 'v', domain: 'a.test' };
  await cookies.set({ ...details, path: '/x', secure: true, httpOnly: true, sameSite: 'strict', expirationDate });
  await cookies.set({ url: 'http://a.test/', name: 'host', expirationDate });
  await cookies.set({ url: 'http://a.test/', name: 'session' });
  const before = (await cookies.get()).filter((cookie) => !cookie.session);
  await cookies.flushStore();
  expect(await open().get()).toEqual(before);
  expect(before).toHaveLength(2);
});

test('nobody else can read it, and nothing else is left', async () => {
  const cookies = open();
  await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: soon() });
  await cookies.flushStore();
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'deep'))).toEqual(['p.json']);
});

test('without a change nothing is written', async () => {
  const cookies = open();
  await cookies.set({ url: 'http://a.test/', name: 'session' });
  await cookies.flushStore();
  expect(existsSync(path())).toBe(false);
});

test('flushes at the same time come one after the other, the last state wins', async () => {
  const cookies = open();
  const flushes: Promise<void>[] = [];
  for (let i = 0; i < 20; i++) {
    await cookies.set({ url: 'http://a.test/', name: 'n', value: String(i), expirationDate: soon() });
    flushes.push(cookies.flushStore());
  }
  await Promise.all(flushes);
  expect(await open().get()).toMatchObject([{ value: '19' }]);
  expect(readdirSync(join(folder, 'deep'))).toEqual(['p.json']);
});

test('what expires is not read', async () => {
  const cookies = open();
  await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: soon() });
  await cookies.flushStore();
  const later = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 2_000_000);
  try {
    expect(await open().get()).toEqual([]);
  } finally {
    later.mockRestore();
  }
});

test.each([
  ['', /JSON/],
  ['{"format":"tapwire-part', /JSON/],
  ['null', /does not say/],
  ['[]', /does not say/],
  ['{"cookies":[]}', /does not say/],
  ['{"format":"tapwire-partition","version":2,"cookies":[]}', /its version is 2, and this reads 1/],
  ['{"format":"tapwire-partition","version":1}', /no list of cookies/],
  ['{"format":"tapwire-partition","version":1,"cookies":[null]}', /no cookie/],
  ['{"format":"tapwire-partition","version":1,"cookies":[{"key":"a"}]}', /no cookie/],
  ['{"format":"tapwire-partition","version":1,"cookies":[{"key":1,"value":"v","domain":"a","path":"/"}]}', /no cookie/],
])('a file that is none (%s) is a clear error, is kept, and the next attempt begins empty', async (text, why) => {
  const file = join(folder, 'p.json');
  writeFileSync(file, text);
  let error: CorruptPartition | undefined;
  try {
    new Cookies(new PartitionFile(file));
  } catch (caught) {
    error = caught as CorruptPartition;
  }
  expect(error).toMatchObject({ code: 'ERR_PARTITION_CORRUPT', path: file, message: expect.stringMatching(why) });
  expect(error!.message).toContain(error!.keptAs);
  expect(readFileSync(error!.keptAs, 'utf8')).toBe(text);
  expect(await new Cookies(new PartitionFile(file)).get()).toEqual([]);
});

test('a folder where nothing can be written: flushStore says so, and tries again next time', async () => {
  const cookies = open();
  writeFileSync(join(folder, 'deep'), 'a file');
  await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: soon() });
  await expect(cookies.flushStore()).rejects.toMatchObject({ code: expect.stringMatching(/ENOTDIR|EEXIST/) });
  rmSync(join(folder, 'deep'));
  await cookies.flushStore();
  expect(await open().get()).toHaveLength(1);
});

test('changes are on disk when the process has ended', () => {
  const script = `
    const { Cookies } = require(${JSON.stringify(join(__dirname, '../../../../electron/session/cookies.ts'))});
    const { PartitionFile } = require(${JSON.stringify(join(__dirname, '../../../../electron/session/partition-file.ts'))});
    const cookies = new Cookies(new PartitionFile(${JSON.stringify(path())}));
    cookies.set({ url: 'http://a.test/', name: 'last', expirationDate: ${soon()} }).then(() => process.exit(3));`;
  const hook = `
    const { transformSync } = require('@swc/core');
    require('node:module')._extensions['.ts'] = (module, file) => module._compile(transformSync(
      require('node:fs').readFileSync(file, 'utf8'), { filename: file, module: { type: 'commonjs' },
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }).code, file);`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', hook + script], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([3, '']);
  chmodSync(path(), 0o600);
  expect(readFileSync(path(), 'utf8')).toContain('"key": "last"');
}, 60_000);

test.each([
  ['shop', 'shop.json'],
  ['..', '%2e%2e.json'],
  ['../../etc/passwd', '%2e%2e%2F%2e%2e%2Fetc%2Fpasswd.json'],
  ['a b', 'a%20b.json'],
  ['a\0b', 'a%00b.json'],
  ['\ud800', '%EF%BF%BD.json'],
])('partition %j is file %s', (partition, file) => {
  expect(fileNameOf(partition)).toBe(file);
});

test('long names are files too, each its own', () => {
  const names = ['ü'.repeat(1000), 'ü'.repeat(1001), 'x'.repeat(1000)].map(fileNameOf);
  expect(new Set(names).size).toBe(3);
  for (const name of names) expect(Buffer.byteLength(name)).toBeLessThan(200);
});
