import nodeDgram from 'node:dgram';
import { dgram } from '../../../net/dgram';

/** What later versions of Node have besides: docs/differences.md. */
const LATER = ['bindSync', 'connectSync'];

test('methods take as many arguments as those of Node', () => {
  const counts = (prototype: object): [string, number][] =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([key, { value }]) => !key.startsWith('_') && !LATER.includes(key) && typeof value === 'function')
      .map(([key, { value }]) => [key, (value as () => void).length]);
  const wanted = Object.fromEntries(counts(nodeDgram.Socket.prototype));
  const ours = Object.fromEntries(counts(dgram.Socket.prototype));
  expect(ours).toMatchObject(wanted);
  expect([dgram.Socket.length, dgram.createSocket.length]).toEqual([
    nodeDgram.Socket.length,
    nodeDgram.createSocket.length,
  ]);
});
