import { HttpReader } from '../http/connection';
import type { Head, Role } from '../http/head';
import { headText, methodOf, rawHeadersOf, reasonOf, targetOf } from '../http/head-strings';
import { Options } from './options';

/*
 * The HTTP parser beside Node's own, both given whole messages, in turns within one run.
 */

interface Contender {
  readonly name: string;
  /** Reads the message `count` times. */
  run(count: number): void;
}

interface Sample {
  readonly name: string;
  readonly role: Role;
  readonly text: string;
}

const chunk = `${'0123456789abcdef'.repeat(64)}\r\n`;
const SAMPLES: readonly Sample[] = [
  {
    name: 'small GET',
    role: 'request',
    text: 'GET /hello HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n',
  },
  {
    name: 'browser GET, 12 fields',
    role: 'request',
    text:
      'GET /articles/2024/userspace-networking?ref=front&page=2 HTTP/1.1\r\nHost: www.example.com\r\n' +
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n' +
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n' +
      'Accept-Language: en-GB,en;q=0.8,de;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n' +
      'Referer: http://www.example.com/articles/2024/\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n' +
      'Cache-Control: max-age=0\r\nIf-None-Match: W/"5d8c72a5edda8d6a"\r\nDNT: 1\r\n' +
      'Cookie: session=3f2a9c51b7e84d06; theme=dark; consent=1\r\n\r\n',
  },
  {
    name: 'response, 10 fields + 13 B',
    role: 'response',
    text:
      'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 19 Nov 2024 10:00:00 GMT\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\nConnection: keep-alive\r\n' +
      'Last-Modified: Mon, 18 Nov 2024 08:30:00 GMT\r\nETag: "673b0a28-d"\r\nAccept-Ranges: bytes\r\n' +
      'Cache-Control: public, max-age=3600\r\nX-Request-Id: 7f1c2d3e4b5a6978\r\n\r\nHello, world!',
  },
  {
    name: 'chunked POST, 16 x 1 KiB',
    role: 'request',
    text:
      'POST /upload HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nContent-Type: application/octet-stream\r\n' +
      `Transfer-Encoding: chunked\r\n\r\n${`400\r\n${chunk}`.repeat(16)}0\r\n\r\n`,
  },
];

/** What was made of the messages, so that nothing of it can be optimised away. */
let sink = 0;

interface NativeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: unknown;
}

/** Node's parser as its http module uses it: strings for every field, a Buffer for every piece of body. */
function nodeContender(sample: Sample): Contender {
  const old = process.noDeprecation;
  process.noDeprecation = true;
  const { HTTPParser } = (process as unknown as { binding(name: string): Record<string, unknown> }).binding(
    'http_parser',
  ) as { HTTPParser: { new (): NativeParser } & Record<string, number> };
  process.noDeprecation = old;
  const parser = new HTTPParser();
  parser.initialize(sample.role === 'request' ? HTTPParser.REQUEST! : HTTPParser.RESPONSE!, {});
  parser[HTTPParser.kOnMessageBegin!] = () => undefined;
  parser[HTTPParser.kOnHeaders!] = () => undefined;
  parser[HTTPParser.kOnHeadersComplete!] = (
    _major: number,
    _minor: number,
    headers: string[],
    method: number,
    url: string,
  ): number => {
    sink += headers.length + (method | 0) + (url === undefined ? 0 : url.length);
    return 0;
  };
  parser[HTTPParser.kOnBody!] = (b: Buffer) => {
    sink += b.length;
  };
  parser[HTTPParser.kOnMessageComplete!] = () => {
    sink++;
  };
  const bytes = Buffer.from(sample.text, 'latin1');
  return {
    name: 'node',
    run(count) {
      for (let i = 0; i < count; i++) if (parser.execute(bytes) !== bytes.length) throw new Error('node refused it');
    },
  };
}

function ourContender(name: string, sample: Sample, onHead: (head: Head) => number, copyBody: boolean): Contender {
  const reader = new HttpReader(
    { role: sample.role, maxHeaderSize: 16_384, lenient: 0 },
    {
      onBegin() {},
      onHead,
      onBody(b, at, end) {
        sink += copyBody ? Buffer.from(b.subarray(at, end)).length : end - at;
      },
      onTrailers() {},
      onComplete() {
        sink++;
      },
    },
  );
  const bytes = new Uint8Array(1 << 20);
  const end = 4096 + Buffer.from(sample.text, 'latin1').copy(bytes, 4096);
  return {
    name,
    run(count) {
      for (let i = 0; i < count; i++) if (reader.read(bytes, 4096, end) !== end) throw new Error('we refused it');
    },
  };
}

function stringsOf(head: Head): number {
  const text = headText(head);
  const start = head.isResponse ? reasonOf(head, text) : methodOf(head) + targetOf(head, text).length;
  sink += start.length + rawHeadersOf(head, text).length;
  return 0;
}

function fieldsOf(head: Head): number {
  sink += head.fieldCount;
  return 0;
}

const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1]!;

/** Messages per second of each contender: they take turns, and each round's first differs. */
function race(contenders: Contender[], rounds: number, ms: number): number[] {
  const rates: number[][] = contenders.map(() => []);
  const counts = contenders.map((c) => {
    const start = process.hrtime.bigint();
    let count = 0;
    while (Number(process.hrtime.bigint() - start) < ms * 5e5) {
      c.run(200);
      count += 200;
    }
    return Math.max(200, count * 2);
  });
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < contenders.length; k++) {
      const i = (k + round) % contenders.length;
      const start = process.hrtime.bigint();
      contenders[i]!.run(counts[i]!);
      rates[i]!.push((counts[i]! * 1e9) / Number(process.hrtime.bigint() - start));
    }
  }
  return rates.map(median);
}

const USAGE = `npm run bench:parse [-- OPTIONS]
  --rounds N  how often each has its turn (7)
  --ms N      how long a turn takes (300)`;

function main(): void {
  const options = new Options(USAGE, ['rounds', 'ms']);
  console.log('messages/s, median; x: ratio to node in the same run');
  for (const sample of SAMPLES) {
    const contenders = [
      nodeContender(sample),
      ourContender('positions', sample, fieldsOf, false),
      ourContender('strings', sample, stringsOf, false),
      ourContender('strings, body copied', sample, stringsOf, true),
    ];
    const rates = race(contenders, options.number('rounds', 7), options.number('ms', 300));
    console.log(`${sample.name} (${sample.text.length} bytes)`);
    contenders.forEach((c, i) => {
      const rate = Math.round(rates[i]!).toLocaleString('en').padStart(12);
      console.log(`  ${c.name.padEnd(22)}${rate}  ${(rates[i]! / rates[0]!).toFixed(2)} x`);
    });
  }
  if (sink === 0) console.log('nothing was read');
}

if (require.main === module) main();
