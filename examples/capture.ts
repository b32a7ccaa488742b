import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHost, memoryPair } from 'tapwire';
import { CaptureFile, FlowTracker, notation, readCaptureFile } from 'tapwire/pcap';

// Records what crosses a link in a pcapng file, which Wireshark opens, and prints it one line a packet.
// npm run example capture

const file = join(tmpdir(), `tapwire-example-${process.pid}.pcapng`);
const capture = new CaptureFile(file);
const [a, b] = memoryPair();
const client = createHost({ device: capture.record(a), addresses: '10.0.0.1/24' });
const server = createHost({ device: b, addresses: '10.0.0.2/24' });

server.net
  .createServer((socket) => socket.end('recorded'))
  .listen(9, () => {
    const socket = client.net.connect(9, '10.0.0.2').resume();
    socket.on('close', () => {
      client.close();
      server.close();
      capture.close();
      const tracker = new FlowTracker();
      for (const { bytes, linkType, timeMs } of readCaptureFile(file)) {
        console.log(notation(bytes, 0, bytes.length, linkType, { tracker, timeMs }));
      }
      console.log(`now: npx tapwire trace ${file}`);
    });
  });
