import { connect, type Socket } from 'node:net';

/*
 * A client over the kernel's TCP. Prints one JSON object.
 * tcp.ts in HOST SECONDS: sends to the discard port. out: receives. ping: one byte there and back. rate: connections.
 */

const [mode, host, secondsText] = process.argv.slice(2);
const seconds = Number(secondsText);
/** Slow start and buffer growth are over after this. */
const WARM_MS = 500;

const say = (answer: Record<string, number>): void => {
  process.stdout.write(JSON.stringify(answer), () => process.exit(0));
};

function throughput(socket: Socket, moved: () => number): void {
  let start = 0;
  let from = 0;
  setTimeout(() => {
    start = performance.now();
    from = moved();
  }, WARM_MS);
  setTimeout(
    () => say({ gbits: ((moved() - from) * 8) / (performance.now() - start) / 1e6 }),
    WARM_MS + seconds * 1000,
  );
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

function send(): void {
  const socket = connect(9, host);
  const block = Buffer.alloc(1 << 18, 'tapwire ');
  const pour = (): void => {
    while (socket.write(block));
  };
  socket.on('connect', pour).on('drain', pour);
  throughput(socket, () => socket.bytesWritten - socket.writableLength);
}

function receive(): void {
  let bytes = 0;
  const onread = {
    buffer: Buffer.alloc(1 << 18),
    callback: (n: number): boolean => {
      bytes += n;
      return true;
    },
  };
  throughput(connect({ port: 19, host: host!, onread }), () => bytes);
}

function ping(): void {
  const socket = connect({ port: 7, host: host!, noDelay: true });
  const times: number[] = [];
  let sentAt = 0;
  const byte = Buffer.from('.');
  const next = (): void => {
    sentAt = performance.now();
    socket.write(byte);
  };
  socket.on('connect', next);
  socket.on('data', () => {
    times.push(performance.now() - sentAt);
    next();
  });
  setTimeout(() => {
    const sorted = times.slice(times.length >> 2).sort((a, b) => a - b);
    const at = (q: number): number => sorted[Math.floor(sorted.length * q)]! * 1000;
    say({ p50: at(0.5), p99: at(0.99) });
  }, seconds * 1000);
}

function rate(): void {
  let opened = 0;
  const open = (): void => {
    const socket = connect(7, host);
    socket.on('connect', () => {
      opened++;
      // A RST leaves no TIME-WAIT behind, so that the client's ports last.
      socket.resetAndDestroy();
    });
    socket.on('close', open);
    socket.on('error', () => {});
  };
  for (let i = 0; i < 32; i++) open();
  setTimeout(() => say({ perSecond: opened / seconds }), seconds * 1000);
}

({ in: send, out: receive, ping, rate })[mode as 'in']();
