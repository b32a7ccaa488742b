import kernelNet from 'node:net';
import { given, listen, say } from './processes';

/*
 * Many connections of the kernel's by somebody who means no good. Says `open` when all are open, `over` with what they were
 * told when all are closed; is told what to send next.
 */

/** What an attacker does. */
export interface Plan {
  readonly address: string;
  readonly port: number;
  readonly from: string;
  readonly connections: number;
  /** What each says first: these in turns. */
  readonly first: readonly string[];
  /** What each sends after it, as fast as it may, for ever: these in turns. */
  readonly flood?: readonly string[];
  /** Whether it reads what it is told. */
  readonly reads: boolean;
}

const plan = given<Plan>();
const sockets: kernelNet.Socket[] = [];
/** First lines of what was received, and errors, by how often. */
const told: Record<string, number> = {};
let open = 0;
let closed = 0;
/** So many set out at once: a listener's queue has an end. */
const AT_ONCE = 100;

const count = (what: string): void => {
  told[what] = (told[what] ?? 0) + 1;
};

function pour(socket: kernelNet.Socket, piece: Buffer): void {
  while (!socket.destroyed && socket.write(piece));
  socket.once('drain', () => pour(socket, piece));
}

function connect(n: number): void {
  const { address, port, from, first, flood } = plan;
  const socket = kernelNet.connect({ host: address, port, localAddress: from });
  sockets.push(socket);
  let heard = '';
  let failed = '';
  socket.on('connect', () => {
    socket.write(first[n % first.length]!);
    if (flood !== undefined) {
      const text = flood[n % flood.length]!;
      pour(socket, Buffer.from(text.repeat(Math.ceil(8192 / text.length)), 'latin1'));
    }
    opened();
  });
  if (plan.reads) {
    socket.on('data', (chunk) => {
      if (heard.length < 100) heard += chunk.toString('latin1');
    });
  } else socket.pause();
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failed = error.code ?? error.message;
  });
  socket.on('close', () => {
    count(heard === '' ? failed || 'nothing' : heard.split('\r\n')[0]!);
    closed++;
    if (closed === plan.connections) say('over', told);
  });
}

function opened(): void {
  open++;
  if (open === plan.connections) say('open', open);
  else if (open === sockets.length) more();
}

function more(): void {
  for (let left = AT_ONCE; left > 0 && sockets.length < plan.connections; left--) connect(sockets.length);
}

listen((line) => {
  const words = JSON.parse(line) as { send?: string; leave?: true };
  for (const socket of sockets) {
    if (words.send !== undefined) socket.write(words.send);
    if (words.leave) socket.resetAndDestroy();
  }
});
more();
