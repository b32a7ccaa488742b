import type { Socket } from '../../../net';
import { agrees, attempt, MANY, pair } from './agree';
import { closed, once, turns } from './both';

describe('reading and writing', () => {
  agrees('there and back, then both end', async (kit) => {
    const { c, s } = await pair(kit);
    s.on('data', (chunk) => s.write(chunk));
    c.write('hello');
    await once(c, 'data');
    c.end();
    await closed(c, s);
    kit.log(c.bytesRead, c.bytesWritten, s.bytesRead, s.bytesWritten, c.readyState, c.destroyed);
  });

  agrees('end with text: data, then end', async (kit) => {
    const { c, s } = await pair(kit);
    c.end('bye', () => kit.log('end callback'));
    await closed(c, s);
  });

  agrees('data and the end of it come in different turns', async (kit) => {
    const { c, s } = await pair(kit);
    s.on('data', () => setImmediate(() => kit.log('one turn later')));
    c.end('bye');
    await closed(c, s);
  });

  agrees('written before the connection is open', async (kit) => {
    const server = await kit.listen((socket) => kit.watch('s', socket, ['data', 'end']));
    const c = kit.net.connect(kit.port(server), '127.0.0.1');
    c.write('one', () => kit.log('written one'));
    c.write('two', () => kit.log('written two'));
    c.end('three', () => kit.log('ended'));
    kit.log(c.bytesWritten, c.bufferSize, c.writableLength);
    await once(kit.watch('c', c), 'close');
    kit.log(c.bytesWritten, c.bufferSize);
  });

  agrees('written before, and destroyed', async (kit) => {
    const server = await kit.listen(() => {});
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.write('one', (error) => kit.log('callback', error));
    c.destroy();
    await once(c, 'close');
  });

  agrees('a socket that never connected', async (kit) => {
    const c = kit.watch('c', new kit.net.Socket());
    kit.log(
      c.readyState,
      c.pending,
      c.bytesRead,
      c.bytesWritten,
      c.bufferSize,
      c.remoteAddress,
      JSON.stringify(c.address()),
    );
    c.write('x', (error) => kit.log('callback', error));
    await once(c, 'close');
  });

  agrees('several writes while corked arrive as one', async (kit) => {
    const { c, s } = await pair(kit);
    c.cork();
    for (const word of ['a', 'b', 'c']) c.write(word, () => kit.log('written', word));
    c.write('\u00e4\u00f6', 'latin1');
    c.write('00ff', 'hex');
    c.uncork();
    await once(s, 'data');
    c.end();
    await closed(c, s);
    kit.log(s.bytesRead);
  });

  agrees('text that is large: drain, and the callbacks in order', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    let got = 0;
    s.on('data', (chunk) => (got += chunk.length));
    kit.log(
      c.write(Buffer.alloc(MANY), () => kit.log('written 1')),
      c.writableNeedDrain,
    );
    kit.log(c.write('x', () => kit.log('written 2')));
    kit.log(c.bytesWritten === MANY + 1, c.writableLength);
    await once(c, 'drain');
    c.end();
    await closed(c, s);
    kit.log(got === MANY + 1);
  });

  agrees('a reader that pauses holds the writer', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.pause();
    c.write(Buffer.alloc(MANY), () => kit.log('written'));
    await turns(20);
    kit.log('writer waits', c.writableLength > 0, s.isPaused());
    let got = 0;
    s.on('data', (chunk) => (got += chunk.length));
    s.resume();
    c.end();
    await closed(c, s);
    kit.log(got);
  });

  agrees('pause in the middle of data', async (kit) => {
    const { c, s } = await pair(kit);
    s.once('data', () => {
      s.pause();
      setTimeout(() => {
        kit.log('resumed');
        s.resume();
      }, 20);
    });
    c.end('abc');
    await closed(c, s);
  });

  agrees('read by hand', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.on('readable', () => {
      for (let chunk = s.read(2); chunk !== null; chunk = s.read(2)) kit.log('read', chunk);
    });
    c.end('abcdef');
    await closed(c, s);
  });

  agrees('setEncoding', async (kit) => {
    const { c, s } = await pair(kit);
    s.setEncoding('utf8');
    c.write(Buffer.from('\u20ac').subarray(0, 1));
    await turns();
    c.end(Buffer.from('\u20ac').subarray(1));
    await closed(c, s);
  });

  agrees('with a buffer of the caller', async (kit) => {
    const server = await kit.listen((s) => s.end('abcdefghij'));
    const buffer = Buffer.alloc(4);
    const callback = function (this: unknown, n: number, into: Uint8Array): boolean {
      kit.log('onread', n, Buffer.from(into.subarray(0, n)), into === buffer, this === c);
      return true;
    };
    const c: Socket = kit.net.connect({ port: kit.port(server), host: '127.0.0.1', onread: { buffer, callback } });
    await once(kit.watch('c', c), 'close');
    kit.log(c.bytesRead);
  });

  agrees('with buffers from a function, paused by false', async (kit) => {
    const server = await kit.listen((s) => s.end('abcdefgh'));
    let made = 0;
    const onread = {
      buffer: () => Buffer.alloc(3, ++made),
      callback(n: number, into: Uint8Array): boolean {
        kit.log('onread', n, Buffer.from(into.subarray(0, n)));
        if (n === 3) setTimeout(() => c.resume(), 5);
        return n !== 3;
      },
    };
    const c: Socket = kit.net.connect({ port: kit.port(server), host: '127.0.0.1', onread });
    await once(kit.watch('c', c), 'close');
    kit.log('made', made);
  });

  agrees('half-open on both sides', async (kit) => {
    const { c, s } = await pair(kit, { allowHalfOpen: true }, { allowHalfOpen: true });
    c.end('question');
    await once(s, 'end');
    kit.log(s.readyState, c.readyState);
    s.write('answer');
    await once(c, 'data');
    s.end();
    await closed(c, s);
  });

  agrees("a write after the peer's end", async (kit) => {
    const { c, s } = await pair(kit);
    s.end();
    await once(c, 'end');
    c.write('late', (error) => kit.log('callback', error));
    await once(c, 'close');
    await turns();
  });

  agrees('a write after end, and after destroy', async (kit) => {
    const { c, s } = await pair(kit, { allowHalfOpen: true });
    c.end();
    c.write('late', (error) => kit.log('callback', error));
    await closed(c, s);
    c.write('later', (error) => kit.log('callback', error));
    await turns();
  });

  agrees('chunks that are no text', async (kit) => {
    const { c } = await pair(kit);
    for (const chunk of [null, undefined, 5, {}, []])
      attempt(kit, `write ${JSON.stringify(chunk)}`, () => c.write(chunk as never));
    attempt(kit, 'encoding', () => c.write('x', 'klingon' as never));
  });

  agrees('an empty write', async (kit) => {
    const { c, s } = await pair(kit);
    kit.log(
      c.write('', () => kit.log('written')),
      c.write(Buffer.alloc(0)),
    );
    await turns();
    c.end();
    await closed(c, s);
  });
});
