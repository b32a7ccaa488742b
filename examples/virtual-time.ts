// A day on a bad line in a few milliseconds, twice alike: hosts, links, sockets and timers in virtual time.
import { createHttp } from 'tapwire/http';
import { createNet } from 'tapwire/net';
import { createWorld } from 'tapwire/sim';

/** One request a virtual hour, over a link that loses a frame in fifty. Returns when each was answered, and the trace's hash. */
async function day(seed: number): Promise<string> {
  const world = createWorld({ seed, timers: true });
  try {
    const link = world.link({ delayMs: 40, jitterMs: 10, lossPpm: 20_000 });
    const server = createHttp(createNet(world.host('server', { link, address: '10.0.0.2/24' }).host));
    const client = createHttp(createNet(world.host('client', { link, address: '10.0.0.1/24' }).host));
    server.createServer((_, response) => response.end('still here\n')).listen(80);
    const answered: number[] = [];
    const done = new Promise<void>((resolve) => {
      const ask = (): void => {
        const began = world.now;
        client.get('http://10.0.0.2/', (response) => {
          response.resume();
          answered.push(Math.round(world.now - began));
          if (answered.length < 24) setTimeout(ask, 3_600_000);
          else resolve();
        });
      };
      ask();
    });
    await world.until(done, 25 * 3_600_000);
    return `24 answers, the slowest after ${Math.max(...answered)} ms; trace ${world.hash()}`;
  } finally {
    world.close();
  }
}

async function main(): Promise<void> {
  const [first, again, other] = [await day(1), await day(1), await day(2)];
  console.log(`seed 1: ${first}\nagain:  ${again}\nseed 2: ${other}`);
  if (again !== first || other === first) throw new Error('the same seed must give the same day, another one another');
}

void main();
