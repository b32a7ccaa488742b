import { memoryPair } from '../../../device/memory';
import { createNet } from '../../../net';
import { createHost } from '../../../net/host';
import { fieldsOf } from './both';

test("a peer's RST is an error with Node's fields and one frame, and leaves Error as it was", async () => {
  const [a, b] = memoryPair();
  const one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
  const two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2 });
  const limit = Error.stackTraceLimit;
  const failed = new Promise<Error>((resolve) => {
    createNet(two)
      .createServer((socket) => socket.on('error', resolve))
      .listen(7000);
  });
  const client = createNet(one).connect(7000, '10.0.0.2', () => client.resetAndDestroy());
  const error = await failed;
  expect(fieldsOf(error)).toBe('Error: read ECONNRESET errno=-104 code=ECONNRESET syscall=read');
  expect(error.stack!.split('\n').length).toBe(2);
  expect(Error.stackTraceLimit).toBe(limit);
  one.close();
  two.close();
});
