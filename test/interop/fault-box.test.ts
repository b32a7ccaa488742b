/**
 * A middlebox between two kernels: curl and nginx know nothing of it, and tshark sees on both sides exactly what was asked.
 * Needs root, nginx, curl, tshark, ss and nsenter; in namespaces of its own.
 */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const missing = ['nginx', 'curl', 'tshark', 'ss', 'nsenter', 'unshare'].filter(
  (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
);
if (process.getuid?.() !== 0) missing.push('root');
if (missing.length > 0) console.warn(`skipped: the middlebox between two kernels needs ${missing.join(', ')}`);

const CLEAN = {
  code: 0,
  bytes: 10_000,
  complaint: '',
  'connections opened': 1,
  'resets to the client': 0,
  'resets of the server': 0,
  'text of the client at the server': true,
  'the client got all that the server sent': true,
};

(missing.length === 0 ? test : test.skip)(
  'curl, nginx, and a wire with rules between them',
  async () => {
    const said = await new Promise<Record<string, object>>((resolve, reject) => {
      const child = join(__dirname, 'fault/box-child.ts');
      const args = ['-n', process.execPath, '-r', join(root, 'test/typescript.cjs'), child];
      execFile('unshare', args, { cwd: root, timeout: 270_000 }, (error, stdout, stderr) => {
        if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
        else resolve(JSON.parse(stdout) as Record<string, object>);
      });
    });
    const gaveUp = (bytes: number, of: string): object => ({
      code: 28, // a time-out
      bytes,
      complaint: expect.stringMatching(
        new RegExp(`^curl: \\(28\\) Operation timed out .* with ${bytes} ${of}bytes received$`),
      ),
    });
    expect(said).toEqual({
      clean: CLEAN,
      rst: {
        ...CLEAN,
        code: 56, // failure in receiving
        bytes: 4096,
        complaint: 'curl: (56) Recv failure: Connection reset by peer',
        'resets to the client': 1,
        'the reset': 'exact',
        'the client got all that the server sent': false,
      },
      'lost-request': {
        ...CLEAN,
        ...gaveUp(0, ''),
        'request sent': 'again and again',
        'text of the client at the server': false,
      },
      'lost-response': {
        ...CLEAN,
        ...gaveUp(1000, 'out of 10000 '),
        'the client got all that the server sent': false,
      },
      // A NAT that forgets after 350 s; its clock leapt over most of the silence.
      'silent for 340 s': { ...CLEAN, bytes: 20_000, 'left open at the server': 0 },
      'silent for 354 s': {
        ...CLEAN,
        bytes: 20_000,
        'connections opened': 2,
        'resets to the client': 1,
        'the reset': 'exact',
        // Nobody told the server of the first connection.
        'left open at the server': 1,
      },
    });
  },
  300_000,
);
