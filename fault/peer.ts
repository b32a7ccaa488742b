import type { Net, Socket } from '../net';
import type { Millis } from '../stack/base/bytes';

/** A connection in the hands of a script. */
export interface RawPeer {
  readonly socket: Socket;
  /** What came so far and was not read. */
  readonly received: string;
  /** Waits until what came contains `text`, and takes it up to there. Null when the stream ended before. */
  readUntil(text: string): Promise<string | null>;
  write(text: string | Uint8Array): void;
  /** FIN. */
  end(): void;
  /** RST. */
  reset(): void;
  sleep(ms: Millis): Promise<void>;
}

/** What a peer does with each connection, told its number from 1. */
export type PeerScript = (peer: RawPeer, connection: number) => Promise<void> | void;

class ScriptedPeer implements RawPeer {
  received = '';
  private ended = false;
  private readonly waiters: (() => void)[] = [];

  constructor(
    readonly socket: Socket,
    readonly sleep: (ms: Millis) => Promise<void>,
  ) {
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.wake();
    });
    socket.on('close', () => this.over());
    socket.on('end', () => this.over());
    socket.on('error', () => this.over());
  }

  private over(): void {
    this.ended = true;
    this.wake();
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  async readUntil(text: string): Promise<string | null> {
    for (;;) {
      const at = this.received.indexOf(text);
      if (at >= 0) {
        const taken = this.received.slice(0, at + text.length);
        this.received = this.received.slice(at + text.length);
        return taken;
      }
      if (this.ended) return null;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }
  end(): void {
    this.socket.end();
  }
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** Listens, and hands every connection to the script. */
export function servePeer(
  net: Net,
  clock: { sleep(ms: Millis): Promise<void> },
  script: PeerScript,
  port: number,
): Promise<{ close(): void }> {
  let count = 0;
  const server = net.createServer({ allowHalfOpen: true } as never, (socket) => {
    void script(new ScriptedPeer(socket, (ms) => clock.sleep(ms)), ++count);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve({ close: () => void server.close() }));
  });
}
