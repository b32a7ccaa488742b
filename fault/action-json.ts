import type { Action } from './actions';
import * as actions from './actions';

type Fields = Readonly<Record<string, never>>;

const MAKERS: Readonly<Record<string, (a: Fields) => Action>> = {
  drop: () => actions.drop(),
  delay: (a) => actions.delay(a['ms']!),
  duplicate: (a) => actions.duplicate(a['copies'], a['gapMs']),
  reorder: (a) => actions.reorder(a as object),
  corrupt: (a) => actions.corrupt(a as object),
  truncate: (a) => actions.truncate(a['bytes']!),
  slice: (a) => actions.slice(a['bytes']!, a['gapMs']),
  throttle: (a) => actions.throttle(a['bps']!, a['queueBytes']),
  rst: (a) => actions.rst(a as never),
  fin: (a) => actions.fin(a as never),
  icmp: (a) => actions.icmp(a['type']!, a['code']!, a as never),
  inject: (a) => actions.inject(String(a['bytes']), a as never),
  hold: (a) => actions.hold(a['gate']!, a as object),
  release: (a) => actions.release(a['gate']!),
  blackhole: (a) => actions.blackhole(a['dir']),
  window: (a) => actions.window(a['host']!, a['bytes']!),
  reboot: (a) => actions.reboot(a['host']!),
  down: (a) => actions.down(a['host']!, a['how']),
  up: (a) => actions.up(a['host']!),
  partition: (a) => actions.partition(a['from']!, a['to']!, a as object),
  heal: () => actions.heal(),
  coalesce: () => actions.coalesce(),
  split: (a) => actions.split(a['gapMs']),
};

/** An action from JSON: checked, with what may be left out filled in. @throws RangeError */
export function defaultsOf(given: { readonly do: string }): Action {
  const make = MAKERS[given?.do];
  if (make === undefined)
    throw new RangeError(`there is no action '${given?.do}' here: ${Object.keys(MAKERS).join(', ')}`);
  const made = make(given as unknown as Fields);
  if ('to' in made && !['c', 's', 'both'].includes(String(made.to)) && made.do !== 'partition')
    throw new RangeError(`${made.do} needs "to": "c", "s" or "both"`);
  return made;
}
