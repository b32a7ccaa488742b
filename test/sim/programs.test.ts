import { createHttp } from '../../http/module';
import { createNet } from '../../net';
import { createWorld, type World } from '../../sim/world';

/** Two hosts on a lossy, slow link, with Node-shaped modules on them; the program's timers are the world's. */
function place(seed: number): {
  world: World;
  client: ReturnType<typeof createNet>;
  server: ReturnType<typeof createNet>;
} {
  const world = createWorld({ seed, timers: true });
  const link = world.link({ delayMs: 15, jitterMs: 5, lossPpm: 30_000, rate: 5_000_000 });
  const [a, b] = ['10.0.0.1/24', '10.0.0.2/24'].map((address, i) => world.host(`host-${i}`, { link, address }));
  return { world, client: createNet(a!.host), server: createNet(b!.host) };
}

describe('the same program on the in-memory wire, twice with one seed: identical trace hash', () => {
  async function echo(seed: number): Promise<string[]> {
    const { world, client, server } = place(seed);
    const log: string[] = [];
    try {
      const done = new Promise<void>((resolve, reject) => {
        server
          .createServer((socket) => {
            socket.pipe(socket);
            socket.on('close', () => log.push(`server closed at ${world.now}`));
          })
          .listen(7, '10.0.0.2', () => {
            const socket = client.connect(7, '10.0.0.2');
            let back = 0;
            socket.on('connect', () => {
              log.push(`connected at ${world.now}`);
              socket.end(Buffer.alloc(150_000, 'x'));
            });
            socket.on('data', (chunk: Buffer) => {
              back += chunk.length;
            });
            socket.on('error', reject);
            socket.on('close', () => {
              log.push(`${back} bytes, closed at ${world.now}`);
              resolve();
            });
          });
      });
      await world.until(done, 600_000);
      await world.settled();
      return [...log, world.hash()];
    } finally {
      world.close();
    }
  }

  test('sockets and streams', async () => {
    const [first, second, other] = [await echo(5), await echo(5), await echo(6)];
    expect(first[1] ?? '').toMatch(/^150000 bytes|^server closed/);
    expect(second).toEqual(first);
    expect(other.at(-1)).not.toBe(first.at(-1));
  });

  async function web(seed: number): Promise<string[]> {
    const { world, client, server } = place(seed);
    const log: string[] = [];
    try {
      const http = createHttp(server);
      const site = http.createServer((request, response) => {
        setTimeout(() => response.end(`you asked for ${request.url} at ${world.now.toFixed(3)}`), 250);
      });
      await world.until(new Promise<void>((resolve) => void site.listen(80, '10.0.0.2', () => resolve())));
      const browser = createHttp(client);
      const agent = new browser.Agent({ keepAlive: true, maxSockets: 2 });
      const get = (path: string): Promise<string> =>
        new Promise((resolve, reject) => {
          browser
            .get({ host: '10.0.0.2', port: 80, path, agent: agent as never }, (response) => {
              let body = '';
              response.on('data', (chunk: Buffer) => {
                body += String(chunk);
              });
              response.on('end', () => resolve(`${response.statusCode} ${body} (${world.now.toFixed(3)})`));
            })
            .on('error', reject);
        });
      log.push(...(await world.until(Promise.all(['/a', '/b', '/c', '/d'].map(get)), 60_000)));
      agent.destroy();
      await world.settled();
      return [...log, world.hash()];
    } finally {
      world.close();
    }
  }

  test("the date that a server tells is the world's", async () => {
    const dates: string[] = [];
    for (const hours of [0, 5, 0]) {
      const { world, client, server } = place(1);
      try {
        createHttp(server)
          .createServer((_, response) => response.end())
          .listen(80);
        const browser = createHttp(client);
        const date = new Promise<string>((resolve) => {
          const ask = (): void =>
            void browser.get('http://10.0.0.2/', (response) => resolve(String(response.resume().headers.date)));
          setTimeout(ask, hours * 3_600_000);
        });
        dates.push(await world.until(date, 6 * 3_600_000));
      } finally {
        world.close();
      }
    }
    const begin = 'Sat, 01 Jan 2000 00:00:00 GMT';
    expect(dates).toEqual([begin, 'Sat, 01 Jan 2000 05:00:00 GMT', begin]);
  });

  test('an HTTP server, its client, their timers', async () => {
    const [first, second, other] = [await web(1), await web(1), await web(2)];
    expect(first[0]).toMatch(/^200 you asked for \/a at \d+/);
    expect(first.length).toBe(5);
    expect(second).toEqual(first);
    expect(other.at(-1)).not.toBe(first.at(-1));
  });
});
