import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { explore } from '../../../fault/explore';
import { makeFolder, writeWhole } from '../../../fault/report-files';
import { scenarioNamed } from '../../../fault/scenarios';
import { registerFault } from '../../../tools/fault/command';
import { DIAGRAM, scenarioPages } from '../../../tools/fault/docs';
import { CaptureParser } from '../../../tools/pcap/parser';
import { readCaptureFile } from '../../../tools/pcap/reader';

const docs = join(__dirname, '../../../docs/faults');

/** Runs a command line; resolves with what it wrote. */
async function run(...args: string[]): Promise<string> {
  let text = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    const program = new Command().exitOverride();
    registerFault(program);
    await program.parseAsync(['fault', ...args], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return text;
}

afterEach(() => {
  process.exitCode = undefined;
});

test('list: 52 scenarios, one a line', async () => {
  const lines = (await run('list')).trimEnd().split('\n');
  expect(lines).toHaveLength(52);
  expect(lines[0]).toMatch(/^ 1 {2}keepalive-fin-crosses-request/);
  expect(JSON.parse(await run('list', '--json'))).toHaveLength(52);
});

test('show tells the story', async () => {
  expect(await run('show', '33')).toContain('**How to cope.**');
});

test('run: the outcome, a diagram, and reports that can be read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fault-'));
  try {
    const text = await run('run', 'content-length-short-rst', '--ladder', '--report', folder);
    expect(text).toContain('GET /: 200, 4 bytes, then read ECONNRESET (not reused)');
    expect(text).toContain('http: as promised');
    expect(text).toMatch(/RA \d+:\d+\(0\) ack/);
    expect(text).toContain('GET /: head, end');
    expect(text).toContain('200: head, body');
    const files = readdirSync(folder).sort();
    expect(files.map((name) => name.split('.')[1])).toEqual(['json', 'mmd', 'pcapng', 'txt']);
    const capture = readCaptureFile(join(folder, files.find((name) => name.endsWith('pcapng'))!), new CaptureParser());
    const comments = [...capture].flatMap((packet) => packet.comments);
    expect(comments.some((comment) => comment.includes('forged') && comment.includes('res(1).body(4)'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('run: the token of a run is that run, without its fault it is another, and all go as promised', async () => {
  const made = JSON.parse(await run('run', '30', '--client', 'fetch', '--json')) as { token: string; lines: string[] };
  const again = await run('run', made.token);
  expect(again).toContain(made.lines[0]);
  expect(again).toContain('fetch: as promised');
  expect(process.exitCode).toBeUndefined();
  expect(await run('run', '30', '--without-fault')).toContain('NOT AS PROMISED');
  expect(process.exitCode).toBe(1);
  process.exitCode = undefined;
  expect(await run('run', 'all', '--client', 'node')).toContain('52 of 52 as promised');
  expect(process.exitCode).toBeUndefined();
});

test.each([
  [['run', 'nothing-like-it'], 'there is no scenario'],
  [['run', '1', '--client', 'curl'], 'unknown client'],
  [['run', 'twf1.nonsense'], 'damaged'],
])('%j is refused with one line', async (args, message) => {
  await expect(run(...args)).rejects.toThrow(message);
});

test.each([
  ['/proc/tapwire/reports', 'nothing can be made there (ENOENT)'],
  ['/dev/null', 'ENOTDIR'],
  ['-', "the path of a folder, not '-'"],
])('a folder that cannot be written to (%s) is refused before anything is run', async (folder, message) => {
  const play = jest.spyOn(scenarioNamed('1'), 'play');
  await expect(run('run', '1', '--report', folder)).rejects.toThrow(message);
  await expect(run('docs', folder)).rejects.toThrow(message);
  expect(play).not.toHaveBeenCalled();
});

test('a folder is not made for what is no scenario; a file that cannot be written whole leaves what was there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fault-'));
  try {
    await expect(run('run', 'nothing-like-it', '--report', join(folder, 'new'))).rejects.toThrow(
      'there is no scenario',
    );
    expect(readdirSync(folder)).toEqual([]);
    makeFolder(join(folder, 'a/b'));
    writeFileSync(join(folder, 'page'), 'old');
    // A folder of that name stands in the way of the new one.
    mkdirSync(join(folder, 'page.part'));
    expect(() => writeWhole(join(folder, 'page'), 'new')).toThrow(
      expect.objectContaining({ path: join(folder, 'page') }),
    );
    expect(readFileSync(join(folder, 'page'), 'utf8')).toBe('old');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('reports that cannot be written do not hide the failure that they are of', async () => {
  const failing = explore(() => Promise.reject(new Error('found')), { reports: '/proc/tapwire/reports' });
  await expect(failing).rejects.toThrow(/^found[\s\S]*reports: none, ENOENT/);
});

test('proxy: a rule file with a mistake is refused with file, rule and field', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fault-'));
  try {
    const file = join(folder, 'rules.json');
    writeFileSync(file, '[{"do":[{"do":"drop"}]},{"do":[{"do":"rst","to":"x"}]}]');
    const args = ['proxy', '--control', '0', '--rules', file];
    await expect(run(...args, '--upstream', '127.0.0.1:9')).rejects.toThrow(
      `${file}: rule 2.do[0] (rst).to is "x": "c", "s", "both"`,
    );
    await expect(run(...args)).rejects.toThrow('--rules is for --upstream');
    await expect(run(...args.slice(0, 4), folder, '--upstream', '127.0.0.1:9')).rejects.toMatchObject({ path: folder });
    await expect(run('proxy', '--rules', join(folder, 'none'), '--upstream', '127.0.0.1:9')).rejects.toThrow('ENOENT');
    await expect(run('proxy', '--control', '0', '--upstream', 'nonsense')).rejects.toThrow(
      "'nonsense' is not HOST:PORT",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each(['', 'list', 'show', 'run', 'docs', 'proxy', 'between'])(
  'fault %s --help tells what there is',
  async (name) => {
    const args = name === '' ? ['--help'] : [name, '--help'];
    let help = '';
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      help += String(chunk);
      return true;
    });
    try {
      const program = new Command().exitOverride();
      registerFault(program);
      for (const command of program.commands[0]!.commands) command.exitOverride();
      program.commands[0]!.exitOverride();
      await expect(program.parseAsync(['fault', ...args], { from: 'user' })).rejects.toMatchObject({ exitCode: 0 });
    } finally {
      write.mockRestore();
    }
    expect(help).toContain('Usage: ');
  },
);

test('the pages in docs/faults are those of the scenarios (tapwire fault docs docs/faults)', async () => {
  const pages = await scenarioPages();
  expect(existsSync(docs) ? readdirSync(docs).sort() : []).toEqual([...pages.keys()].sort());
  // Stories are the same with every Node; diagrams are of Node 20, and others tell some events in another order.
  const isNode20 = process.versions.node.startsWith('20.');
  const compared = (text: string): string => (isNode20 ? text : text.split(DIAGRAM)[0]!);
  for (const [name, text] of pages) {
    expect([name, compared(readFileSync(join(docs, name), 'utf8'))]).toEqual([name, compared(text)]);
    expect([name, text.split(DIAGRAM).length]).toEqual([name, name === 'README.md' ? 1 : 2]);
  }
});
