import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const TYPESCRIPT = resolve(__dirname, '..', '..', 'typescript.cjs');
/** Milliseconds: a process that takes longer is ended. */
const LIFE_MS = 80_000;

/** A program of this folder as a process of its own: it says lines, and is told lines. */
export class Program {
  private readonly child: ChildProcess;
  private readonly lines: string[] = [];
  private waiting: (() => void)[] = [];
  private text = '';
  private ended: string | null = null;
  private readonly timer: NodeJS.Timeout;

  constructor(name: string, options: object) {
    const words = ['-r', TYPESCRIPT, join(__dirname, `${name}.ts`), JSON.stringify(options)];
    this.child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin!.on('error', () => {});
    this.child.stdout!.on('data', (chunk: Buffer) => this.heard(chunk.toString()));
    this.child.on('exit', (code, signal) => this.over(`${name} ended with ${code ?? signal}`));
    this.timer = setTimeout(() => this.child.kill('SIGKILL'), LIFE_MS);
  }

  private heard(text: string): void {
    const lines = (this.text + text).split('\n');
    this.text = lines.pop()!;
    this.lines.push(...lines);
    this.wake();
  }

  private over(how: string): void {
    clearTimeout(this.timer);
    this.ended = how;
    this.wake();
  }

  private wake(): void {
    for (const look of this.waiting.splice(0)) look();
  }

  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  /** The next line, which begins with `word`: what follows it, as JSON. */
  async says<T>(word: string): Promise<T> {
    for (;;) {
      const at = this.lines.findIndex((line) => line.startsWith(`${word} `));
      if (at >= 0) return JSON.parse(this.lines.splice(at, 1)[0]!.slice(word.length + 1)) as T;
      if (this.ended !== null) throw new Error(`waiting for '${word}': ${this.ended}`);
      await new Promise<void>((look) => this.waiting.push(look));
    }
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** Of a program: says a line. */
export const say = (word: string, what: unknown): void => {
  process.stdout.write(`${word} ${JSON.stringify(what)}\n`);
};

/** Of a program: calls `listener` with each line that it is told. */
export function listen(listener: (line: string) => void): void {
  let text = '';
  process.stdin.on('data', (chunk: Buffer) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    for (const line of lines) listener(line);
  });
  // Whoever started it is gone.
  process.stdin.on('end', () => process.exit());
}

/** Of a program: what it was started with. */
export const given = <T>(): T => JSON.parse(process.argv[2]!) as T;
