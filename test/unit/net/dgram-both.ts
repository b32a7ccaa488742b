import nodeDgram from 'node:dgram';
import type { EventEmitter } from 'node:events';
import { createDgram, type Dgram, type DgramOptions, type Socket } from '../../../net/dgram';
import { createHost } from '../../../net/host';
import { fieldsOf, turns } from './both';

/* The same scenarios over Node's own dgram and ours must leave the same log. */

/** What a scenario works with. */
export interface Kit {
  dgram: Dgram;
  log(...words: unknown[]): void;
  /** A socket whose events are logged under a name; closed at the end of the scenario. */
  open(name: string, type: DgramOptions | 'udp4' | 'udp6', events?: readonly string[]): Socket;
  /** The same, bound to an address. */
  bound(name: string, address?: string, type?: 'udp4' | 'udp6'): Promise<Socket>;
}

const EVENTS = ['listening', 'message', 'connect', 'error', 'close'] as const;

function shown(word: unknown): string {
  if (word instanceof Uint8Array) return word.length <= 40 ? `'${Buffer.from(word)}'` : `${word.length} bytes`;
  if (typeof word === 'object' && word !== null) return 'message' in word ? fieldsOf(word) : JSON.stringify(word);
  return String(word);
}

async function record(dgram: Dgram, scenario: (kit: Kit) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const sockets: Socket[] = [];
  const ports: string[] = [];
  let over = false;
  const log = (...words: unknown[]): void => {
    if (over) return;
    lines.push(
      words
        .map(shown)
        .join(' ')
        .replace(/\b(?<![.\d])[1-9]\d{4}\b(?! bytes)/g, (port) => {
          if (!ports.includes(port)) ports.push(port);
          return `PORT${ports.indexOf(port)}`;
        }),
    );
  };
  const open: Kit['open'] = (name, type, events = EVENTS) => {
    const socket = dgram.createSocket(type);
    sockets.push(socket);
    for (const event of events) socket.on(event, (...args: unknown[]) => log(`${name}.${event}`, ...args));
    return socket;
  };
  const bound: Kit['bound'] = async (name, address = '127.0.0.1', type = address.includes(':') ? 'udp6' : 'udp4') => {
    const socket = open(name, type, ['message', 'error', 'close']);
    socket.bind(0, address);
    await once(socket, 'listening');
    return socket;
  };
  try {
    await scenario({ dgram, log, open, bound });
  } finally {
    over = true;
    for (const socket of sockets) {
      try {
        socket.close();
      } catch {
        // Closed by the scenario.
      }
    }
    await turns(3);
  }
  return lines;
}

export const once = (socket: EventEmitter, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()));

/** Both modules must leave the same log. */
export function agrees(title: string, scenario: (kit: Kit) => Promise<void>): void {
  test(title, async () => {
    const node = await record(nodeDgram as unknown as Dgram, scenario);
    const host = createHost({ devices: [], poison: true });
    const ours = await record(createDgram(host), scenario);
    host.close();
    expect(node.length).toBeGreaterThan(0);
    expect(ours).toEqual(node);
  });
}

/** Logs what `task` returns or throws. */
export const attempt = (kit: Kit, title: string, task: () => unknown): void => {
  try {
    const result = task();
    kit.log(title, 'returns', typeof result === 'object' ? 'an object' : result);
  } catch (error) {
    kit.log(title, 'throws', error);
  }
};

export const portOf = (socket: Socket): number => socket.address().port;
