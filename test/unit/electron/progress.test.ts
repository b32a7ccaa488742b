import type { ClientRequest } from 'node:http';
import { UploadMeter } from '../../../electron/progress';

/** A meter on a socket of which only the count of bytes is known. */
function meterOn(chunked: boolean, encrypted: boolean, head = 100) {
  const socket = { bytesWritten: 1000 };
  const request = { _header: 'h'.repeat(head) } as unknown as ClientRequest;
  const meter = new UploadMeter(request, socket, encrypted, chunked, () => {});
  return { socket, meter };
}

test('E-057: with a length, the head is not counted, and each byte of the body is', () => {
  const { socket, meter } = meterOn(false, false);
  for (let i = 0; i < 3; i++) meter.piece(50);
  const seen = [1000, 1099, 1100, 1101, 1150, 1199, 1249, 1250].map((at) => {
    socket.bytesWritten = at;
    return meter.current;
  });
  expect(seen).toEqual([0, 0, 0, 1, 50, 99, 149, 150]);
});

test('E-057: in chunks, their own lines are not counted', () => {
  const { socket, meter } = meterOn(true, false);
  meter.piece(16);
  meter.piece(5);
  // Head to 1100; "10\r\n" to 1104, the piece to 1120, its end to 1122; "5\r\n" to 1125, the piece to 1130.
  const seen = [1100, 1104, 1105, 1119, 1120, 1122, 1125, 1126, 1129, 1130, 1132].map((at) => {
    socket.bytesWritten = at;
    return meter.current;
  });
  expect(seen).toEqual([0, 0, 1, 15, 16, 16, 16, 17, 20, 21, 21]);
});

test('E-057: encrypted, a piece counts when all that it became has arrived', () => {
  const { socket, meter } = meterOn(false, true);
  const taken = [meter.piece(50), meter.piece(50)];
  socket.bytesWritten = 1300;
  expect(meter.current).toBe(0);
  taken[0]!();
  socket.bytesWritten = 1299;
  expect(meter.current).toBe(0);
  socket.bytesWritten = 1300;
  expect(meter.current).toBe(50);
  socket.bytesWritten = 1400;
  taken[1]!();
  socket.bytesWritten = 1399;
  expect(meter.current).toBe(50);
  socket.bytesWritten = 1400;
  expect(meter.current).toBe(100);
});
