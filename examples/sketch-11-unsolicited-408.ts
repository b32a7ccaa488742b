/** A 408 that nobody asked for, read when the next request is written: Node's client takes it for the response. */
import { createWire, idle, inject, stall } from 'tapwire/fault';
import { echo, sketch } from './sketch/sketch';

void sketch('unsolicited 408', async () => {
  const http408 = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n';
  for (const busy of [false, true]) {
    const wire = createWire();
    await wire.serve(echo);
    await wire.get('/a');
    const stale = inject(http408, { as: 's2c' });
    wire
      .on(idle(100))
      .times(1)
      .do(...(busy ? [stall('client', 400), stale] : [stale]));
    await wire.clock.advance(150);
    const { status } = await wire.get('/b');
    console.log(`the client was ${busy ? 'busy' : 'idle'}: /b got ${status}`);
    if (status !== (busy ? 408 : 200)) throw new Error('the response of another request');
    wire.close();
  }
});
