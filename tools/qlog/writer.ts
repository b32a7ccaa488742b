import type { Host } from '../../net/host';
import type { Millis } from '../../stack/base/bytes';
import type { Stack } from '../../stack/stack';
import type { TcpObserver } from '../../stack/tcp/observer';
import { type CaptureSink, FileSink } from '../pcap/sink';
import { QlogTranslator } from './translate';

/** JSON-SEQ (RFC 7464), which qlog prescribes, or a line a record, which more tools read. */
export type QlogFormat = 'JSON-SEQ' | 'NDJSON';

export interface QlogOptions {
  /** Default: by the file's name: NDJSON for .ndjson and .jsonl, JSON-SEQ for everything else. */
  format?: QlogFormat;
  title?: string;
  /** Which end of its connections the stack is, mostly. Default: 'unknown'. */
  vantagePoint?: 'client' | 'server' | 'unknown';
  /** What the stack's time 0 is in milliseconds since 1970. Default: 0, for virtual time. */
  epochMs?: number;
}

const RECORD_SEPARATOR = '\x1e';
/** Text that is kept before it is written. */
const PENDING_MAX = 1 << 16;
const encoder = new TextEncoder();

/** Writes qlog's records for any number of stacks into one file: a header, then an event each. */
export class QlogWriter {
  private pending = '';
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly sink: CaptureSink,
    private readonly format: QlogFormat,
    options: QlogOptions = {},
  ) {
    this.record({
      qlog_version: '0.4',
      qlog_format: format,
      title: options.title ?? 'tapwire',
      trace: {
        vantage_point: { name: 'tapwire', type: options.vantagePoint ?? 'unknown' },
        common_fields: { protocol_type: ['TCP'], time_format: 'relative', reference_time: options.epochMs ?? 0 },
      },
    });
  }

  /**
   * Follows a stack from now on, connections that it has included; its event log is kept from now on. `prefix` goes before
   * the connections' numbers in `group_id`, to tell stacks apart; `origin` is the stack's time that the file calls 0. Returns
   * what ends it.
   */
  attach(stack: Stack, now: () => Millis, prefix = '', origin: Millis = 0): () => void {
    let at = 0;
    const translator = new QlogTranslator(({ name, group, data }) => {
      const time = Math.round((at - origin) * 1000) / 1000;
      this.record(group === 0 ? { time, name, data } : { time, name, group_id: `${prefix}${group}`, data });
    });
    const observer: TcpObserver = {
      opened: (c, when) => {
        at = when;
        translator.opened(c);
      },
      entered: () => {},
      failed: () => {},
      retransmitted: () => {},
    };
    stack.trace.enable();
    at = now();
    for (const c of stack.tcp.connections) translator.opened(c);
    stack.tcp.observers.push(observer);
    const unsubscribe = stack.trace.subscribe((event) => {
      at = event.at;
      translator.event(event);
    });
    const end = (): void => {
      unsubscribe();
      const index = stack.tcp.observers.indexOf(observer);
      if (index >= 0) stack.tcp.observers.splice(index, 1);
      translator.end();
    };
    this.ends.push(end);
    return end;
  }

  private record(value: object): void {
    this.pending += `${this.format === 'JSON-SEQ' ? RECORD_SEPARATOR : ''}${JSON.stringify(value)}\n`;
    if (this.pending.length >= PENDING_MAX) this.flush();
  }

  /** Writes what is pending. Throws the system's error when it cannot be written. */
  flush(): void {
    if (this.pending === '') return;
    const text = this.pending;
    this.pending = '';
    this.sink.write(encoder.encode(text));
  }

  /** Ends all that is attached, and the sink. */
  close(): void {
    for (const end of this.ends.splice(0)) end();
    this.flush();
    this.sink.close?.();
  }
}

/** The format that a file's name asks for. */
export const qlogFormatOf = (path: string): QlogFormat => (/\.(?:ndjson|jsonl)$/.test(path) ? 'NDJSON' : 'JSON-SEQ');

/** The file is brought up to date so often. */
const FLUSH_EVERY_MS = 1000;

/**
 * A qlog of a live run: `const log = new QlogFile('run.sqlog'); log.record(host)`. The file is whole records at every
 * moment; `close`, or the process's exit, adds the last second. When it cannot be written any more (a full disk) that is
 * said once on standard error, and logging ends: the run goes on.
 */
export class QlogFile {
  private readonly writer: QlogWriter;
  private readonly timer: NodeJS.Timeout;
  private closed = false;
  private readonly atExit = (): void => this.close();

  /** Throws the system's error when `path` cannot be created. "-" is standard output. */
  constructor(
    readonly path: string,
    options: QlogOptions = {},
  ) {
    const sink = new GuardedSink(new FileSink(path), () => this.abandon());
    const format = options.format ?? qlogFormatOf(path);
    this.writer = new QlogWriter(sink, format, { epochMs: performance.timeOrigin, ...options });
    this.timer = setInterval(() => this.writer.flush(), FLUSH_EVERY_MS).unref();
    process.once('exit', this.atExit);
  }

  /** Follows a host from now on. `prefix` tells several of them apart. */
  record(host: Host, prefix = ''): void {
    this.writer.attach(host.stack, () => host.now(), prefix);
  }

  private abandon(): void {
    setImmediate(() => this.close());
  }

  /** Completes the file. Safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    process.off('exit', this.atExit);
    this.writer.close();
  }
}

/** What is logged is written from inside the stack: an error must not come out there. */
class GuardedSink implements CaptureSink {
  private failed = false;

  constructor(
    private readonly inner: FileSink,
    private readonly onFailure: () => void,
  ) {}

  write(bytes: Uint8Array): void {
    if (this.failed) return;
    try {
      this.inner.write(bytes);
    } catch (error) {
      this.failed = true;
      process.stderr.write(`tapwire: the log ${this.inner.path} ends early: ${(error as Error).message}\n`);
      this.onFailure();
    }
  }

  close(): void {
    this.inner.close();
  }
}
