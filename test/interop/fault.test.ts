/** The same rules on TUN, against the kernel's TCP and unmodified programs. Needs root; runs in a namespace of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const isRoot = process.getuid?.() === 0;

(isRoot ? test : test.skip)(
  'rules on TUN: the kernel and its programs get the genuine failures',
  async () => {
    const said = await new Promise<string[]>((resolve, reject) => {
      const child = join(__dirname, 'fault/tun-child.ts');
      const args = ['-n', process.execPath, '-r', join(root, 'test/typescript.cjs'), child];
      execFile('unshare', args, { cwd: root, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
        else resolve(JSON.parse(stdout) as string[]);
      });
    });
    expect(said).toEqual([
      'clean: 200 10 res end',
      // Which of the two ends is told last, and so reports status and bytes, is the kernel's wake-ups' to decide.
      expect.stringMatching(/^rst: (200 4 )?req read ECONNRESET, res aborted$/),
      expect.stringMatching(/^together: (200 4 res aborted|.*read ECONNRESET.*)$/),
      'fin: 200 4 res aborted',
      'nothing: req read ECONNRESET',
      'refused: req connect ECONNREFUSED 10.99.0.2:80',
      'unreachable: req connect EHOSTUNREACH 10.99.0.2:80',
      // 56: failure in receiving network data.
      'curl: 56 0123',
    ]);
  },
  60_000,
);
