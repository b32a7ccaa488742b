import { DeviceError } from '../device/errors';

/** How a command ends. */
export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Bad input, or something of the machine that the user has to change first. */
export const EXIT_USAGE = 2;
export const EXIT_TIMEOUT = 124;
export const EXIT_INTERRUPTED = 130;

/** The user can cure it: the message is one line that says what and how, the exit code is 2. */
export class UsageError extends Error {}

/**
 * The one line for a failure that the user can do something about; null when it is a mistake of ours, which deserves its
 * stack trace.
 */
export function cureFor(error: unknown): string | null {
  if (error instanceof UsageError || error instanceof DeviceError) return oneLine(error.message);
  if (typeof error !== 'object' || error === null) return null;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return null;
  const cure = CURES[code];
  if (cure === undefined || path === undefined) return null;
  return oneLine(`${path}: ${cure} (${code})`);
}

const CURES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder; check the path',
  EACCES: 'this user may not open it; check its permissions, or choose another path',
  EEXIST: 'something of that name is there already; choose another path',
  EISDIR: 'it is a folder; name a file in it',
  ENOTDIR: 'part of the path is not a folder; check the path',
  ENOSPC: 'the disk is full; free some space, or choose another disk',
  EROFS: 'the disk is read-only; choose another path',
};

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ').trim();

/**
 * A reader that leaves (`| head`) ends the output, not the program with a stack trace: what it was doing besides goes on,
 * and its exit code is what it would have been. Everything else that can go wrong with standard output, such as a full
 * disk, ends it with one line.
 */
export function surviveClosedOutput(onClosed: () => void = () => {}): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') onClosed();
      else {
        if (stream === process.stdout)
          process.stderr.write(`tapwire: the output cannot be written: ${error.message}\n`);
        process.exit(EXIT_FAILURE);
      }
    });
  }
}
