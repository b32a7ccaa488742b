import type { Stack } from '../stack/stack';
import { checkInvariants } from '../stack/tcp/invariants';
import type { SimHost } from './sim-host';

/** Every connection's own relations, and those between the stack's shared tables. Throws when one does not hold. */
export function checkStack(stack: Stack): void {
  // What is due has not been sent yet: a link pushed back.
  if (stack.wantsPoll) return;
  const { tcp } = stack;
  let nodes = 0;
  let records = 0;
  for (const c of tcp.connections) {
    if (c.state === 'CLOSED') throw new Error(`connection ${c.id} is closed and still in the table`);
    checkInvariants(tcp, c);
    for (let node = c.readHead; node >= 0; node = tcp.store.next(node)) nodes++;
    for (let node = c.oooHead; node >= 0; node = tcp.store.next(node)) nodes++;
    for (let record = c.sent.head; record >= 0; record = tcp.sent.next(record)) records++;
  }
  if (nodes > tcp.store.inUse) throw new Error(`connections hold ${nodes} received segments of ${tcp.store.inUse}`);
  if (records !== tcp.sent.inUse) throw new Error(`connections hold ${records} sent records of ${tcp.sent.inUse}`);
}

/** What hosts still hold, in words; empty: nothing. For when everything is over. */
export function leftovers(hosts: readonly SimHost[]): string {
  const words: string[] = [];
  for (const { name, stack } of hosts) {
    const { tcp } = stack;
    const counts: Record<string, number> = {
      connections: tcp.connections.size,
      'TIME-WAITs': tcp.timeWaits.size,
      'send blocks': stack.blocks.inUse,
      'received segments': tcp.store.inUse,
      'sent records': tcp.sent.inUse,
      'pinned slabs': stack.slabs.pinned(),
      deadlines: tcp.deadlines.size,
    };
    for (const [what, count] of Object.entries(counts)) if (count !== 0) words.push(`${count} ${what} on ${name}`);
  }
  return words.join(', ');
}
