/**
 * The truth table of the fault catalogue, §3, over the kernel: what stock Node reports on Linux, row by row, compared with
 * what the same rows promise of our stack (test/unit/fault/truth-table.test.ts). Needs root; in a namespace of its own.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { SECTIONS, saidHere } from '../unit/fault/truth';

const root = join(__dirname, '../..');
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: the truth table over the kernel needs root');

(isRoot ? test : test.skip)(
  'every row over the kernel is as over our stack, but for those that say why not',
  async () => {
    const said = await new Promise<Record<string, string[]>>((resolve, reject) => {
      const child = join(__dirname, 'fault/truth-child.ts');
      const args = ['-n', process.execPath, '-r', join(root, 'test/typescript.cjs'), child];
      execFile('unshare', args, { cwd: root, timeout: 150_000, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
        else resolve(JSON.parse(stdout) as Record<string, string[]>);
      });
    });
    const promised: Record<string, readonly string[]> = {};
    const differing: string[] = [];
    for (const [section, rows] of Object.entries(SECTIONS)) {
      for (const row of rows) {
        const { name, kernel, busy } = row;
        const key = `${section}: ${name}`;
        const wasBusy = busy !== undefined && String(said[key]) === String(busy);
        promised[key] = wasBusy ? busy : (kernel?.said ?? saidHere(row));
        if (kernel !== undefined) differing.push(name);
      }
    }
    expect(said).toEqual(promised);
    // One more of these needs a reason, and a line in fault/README.md.
    expect(differing).toEqual([
      'end(): data, FIN',
      'end() and destroy() with unread bytes in the kernel: data, FIN, RST',
      'no descriptor left',
      'listen: a port of the privileged',
      'the program is gone with text in front of a closed window: the orphan goes on probing',
    ]);
  },
  180_000,
);
