import { createHost, memoryPair, type TapwireHost } from 'tapwire';

// What a connection's two ends went through, from the stacks' own event logs. With a seed the numbers repeat.
// npm run example handshake

const STATES = [
  '',
  'ESTABLISHED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'CLOSED',
  'CLOSE-WAIT',
  'LAST-ACK',
];

const [a, b] = memoryPair();
const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1, trace: true });
const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2, trace: true });

function path(name: string, host: TapwireHost): void {
  const states = [...host.trace.events()]
    .filter(({ kind }) => kind === 'state')
    .map(({ numbers }) => STATES[numbers[1]!]);
  console.log(`${name}: ${states.join(' > ')}`);
}

server.net
  .createServer((socket) => socket.end())
  .listen(80, () => {
    const socket = client.net.connect(80, '10.0.0.2').resume();
    socket.on('close', () =>
      setTimeout(() => {
        path('client', client);
        path('server', server);
        client.close();
        server.close();
      }, 20),
    );
  });
