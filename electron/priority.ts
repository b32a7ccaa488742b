import type { Agent } from 'node:http';

/** From the last to the first. */
export const PRIORITIES = ['throttled', 'idle', 'lowest', 'low', 'medium', 'highest'] as const;

/** Values of the option `priority`, the names of PRIORITIES. */
export type Priority = (typeof PRIORITIES)[number];

export const isPriority = (value: unknown): value is Priority => PRIORITIES.includes(value as Priority);

/** The value of a Priority field (RFC 9218 §4): urgency 0, the first, to 5; `i` when the response is of use in parts. */
export const priorityField = (priority: Priority, incremental: boolean): string =>
  `u=${PRIORITIES.length - 1 - PRIORITIES.indexOf(priority)}${incremental ? ', i' : ''}`;

/** Where a request that waits for a connection notes how urgent it is. */
const URGENCY = Symbol('urgency');

interface Waiting {
  [URGENCY]?: number;
}

/**
 * Puts a request that has just begun to wait for a connection before those of lower priority. What waits longer goes
 * first among equals.
 */
export function orderQueue(agent: Agent, request: object, priority: Priority): void {
  const urgency = PRIORITIES.indexOf(priority);
  (request as Waiting)[URGENCY] = urgency;
  for (const list of Object.values(agent.requests) as unknown as Waiting[][]) {
    const at = list.indexOf(request as Waiting);
    if (at < 0) continue;
    let to = at;
    while (to > 0 && (list[to - 1]![URGENCY] ?? 0) < urgency) to--;
    if (to < at) list.splice(to, 0, ...list.splice(at, 1));
    return;
  }
}
