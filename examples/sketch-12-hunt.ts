/**
 * A hunt over seeds: drops, resets and FINs anywhere. The client under test trusts bodies that last until the connection
 * closes; the hunt finds the seed where that loses bytes, shrinks it, and gives the token of the run.
 */
import { check, fuzz } from 'tapwire/fault';
import { sketch } from './sketch/sketch';

void sketch('hunt', async () => {
  const found = await fuzz({
    seeds: 2000,
    faults: { drop: 0.02, rst: 0.001, 'rst-together': 0.05, fin: 0.02, reorder: 0.05 },
    setup: (wire) =>
      wire.serve((_, response) => {
        response.useChunkedEncodingByDefault = false;
        response.setHeader('Connection', 'close');
        response.write(Buffer.alloc(5000, 'x'));
        response.end();
      }),
    run: async (wire) => {
      const got = await wire.get('/').catch((error: unknown) => error);
      check.toDeliverBody(got, 'truncated-and-reported');
    },
  }).catch((error: Error) => error);
  if (!(found instanceof Error)) throw new Error('nothing found');
  console.log(found.message.split('\n').slice(0, 4).join('\n'));
});
