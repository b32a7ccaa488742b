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

/** Two requests on one connection. */
const kept = (seconds: number): object => ({
  ...CLEAN,
  bytes: 20_000,
  'left open at the server': 0,
  'silence, in seconds': seconds,
  forgotten: 'not',
});

/** The box answers the second request with a reset, exact; nobody tells the server of the first connection. */
const forgotten = (seconds: number, box: string): object => ({
  ...kept(seconds),
  'connections opened': 2,
  'resets to the client': 1,
  'the reset': 'exact',
  'left open at the server': 1,
  forgotten: `${box} has forgotten the connection`,
});

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
      // A NAT that forgets after 350 s, by its own clock: that leaps over all but three seconds of the silence.
      'silent for 345 s of 350': kept(345),
      'silent for 350 s of 350': forgotten(350, 'the NAT of 350 s'),
      // One that forgets after 5 s, in real time.
      'silent for 1 s of 5': { ...kept(1), 'silence, in seconds': expect.any(Number) },
      'silent for 7 s of 5': {
        ...forgotten(7, 'the NAT of 5 s'),
        'silence, in seconds': expect.any(Number),
      },
    });
  },
  300_000,
);
