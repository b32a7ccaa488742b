import { type Device, FRAMES_PER_BATCH, NO_OFFLOADS, newCounters, noteFrame } from '../../../device/device';
import { memoryPair } from '../../../device/memory';
import { addressOf, createHost, type Host } from '../../../net/host';
import { consume, peek, send, shutdown, Text } from '../../../stack/tcp/calls';
import { CLOSED, CONNECTED, type Connection, END, READABLE } from '../../../stack/tcp/connection';

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

function twoHosts(trace = false): [Host, Host] {
  const [a, b] = memoryPair();
  const client = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1, trace, poison: true });
  const server = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2, trace, poison: true });
  hosts.push(client, server);
  return [client, server];
}

/** Echoes until END, then closes its own direction. */
function echo(host: Host, port: number): void {
  const text = new Text();
  const tcp = host.stack.tcp;
  const pump = (c: Connection): void => {
    while (peek(tcp, c, text)) {
      const taken = send(tcp, c, text.bytes, text.at, text.end - text.at);
      if (taken === 0) return;
      consume(tcp, c, taken, host.now());
    }
    if (c.finReceived) shutdown(tcp, c, host.now());
  };
  const owner = { onSignals: (c: Connection) => pump(c) };
  host.listen(null, 0, port, 16, {
    onAcceptable: (listener) => {
      while (host.accept(listener, owner) !== null);
    },
  });
}

test('a million bytes go there and back between two hosts in memory', async () => {
  const [client, server] = twoHosts();
  echo(server, 7);
  const out = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
  const back: number[] = [];
  const tcp = client.stack.tcp;
  const text = new Text();
  let sentBytes = 0;
  await new Promise<void>((resolve, reject) => {
    const push = (c: Connection): void => {
      sentBytes += send(tcp, c, out, sentBytes, out.length - sentBytes);
      if (sentBytes === out.length) shutdown(tcp, c, client.now());
    };
    client.connect(addressOf('10.0.0.2'), 7, null, 0, {
      onSignals(c, bits) {
        if (c.error !== null) return reject(new Error(c.error));
        if (bits & CONNECTED || sentBytes < out.length) push(c);
        if (bits & (READABLE | END)) {
          while (peek(tcp, c, text)) {
            for (let i = text.at; i < text.end; i++) back.push(text.bytes[i]!);
            consume(tcp, c, text.end - text.at, client.now());
          }
        }
        if (bits & CLOSED) resolve();
      },
    });
    client.retain();
  });
  expect(back.length).toBe(out.length);
  expect(Buffer.from(back).equals(Buffer.from(out))).toBe(true);
  // The last ACK is still on its way to the server.
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  expect(client.stack.blocks.inUse).toBe(0);
  expect(server.stack.blocks.inUse).toBe(0);
  expect(client.stack.tcp.store.inUse).toBe(0);
  expect(server.stack.tcp.sent.inUse).toBe(0);
});

describe('a turn takes what waits, and leaves to the next what comes in answer to it', () => {
  /** A device of which `wait` frames wait whenever it is asked; a frame here is one that the stack drops. */
  function asked(wait: () => number) {
    let ready = (): void => {};
    let taken = 0;
    const device: Device = {
      name: 'asked',
      linkType: 'ip',
      mtu: 1500,
      mac: null,
      offloads: NO_OFFLOADS,
      counters: newCounters(),
      receive({ slab, records }) {
        const count = Math.min(wait(), FRAMES_PER_BATCH);
        for (let i = 0; i < count; i++) {
          noteFrame(records, i, slab.fill, 20);
          slab.fill += 64;
        }
        taken += count;
        return count;
      },
      transmit: (_queue, _first, frames) => frames,
      onReadable: (tell) => {
        ready = tell ?? (() => {});
      },
      ref() {},
      unref() {},
      close() {},
    };
    hosts.push(createHost({ devices: [{ device, addresses: ['10.0.0.1/24'] }], seed: 1 }));
    return {
      ready: () => ready(),
      get taken(): number {
        return taken;
      },
    };
  }

  test('one frame whenever it is asked, as from a peer that answers at once: one', () => {
    const link = asked(() => 1);
    link.ready();
    expect(link.taken).toBe(1);
  });

  test('as many as a batch holds and more: four batches', () => {
    const link = asked(() => 1000);
    link.ready();
    expect(link.taken).toBe(4 * FRAMES_PER_BATCH);
  });
});
