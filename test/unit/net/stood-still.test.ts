import { memoryPair } from '../../../device/memory';
import { createNet } from '../../../net';
import { createHost } from '../../../net/host';
import { once } from './both';

test('a process that stood still reads what came meanwhile before it retransmits', async () => {
  const [a, b] = memoryPair();
  const one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
  const two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2 });
  createNet(two)
    .createServer((socket) => socket.pipe(socket))
    .listen(7000);
  const client = createNet(one).connect(7000, '10.0.0.2');
  await once(client, 'ready');
  client.setNoDelay(true);
  for (let i = 0; i < 3; i++) {
    // Sent, and on its way; then nothing moves for longer than any retransmission timer of a link this short.
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
    client.write('x');
    await new Promise<void>((resolve) => process.nextTick(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
    await once(client, 'data');
  }
  expect([one, two].map((host) => host.stack.tcp.counters.retransmitted)).toEqual([0, 0]);
  client.destroy();
  one.close();
  two.close();
});
