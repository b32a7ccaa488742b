import { nextTick } from '../net/time';
/**
 * What happens to messages in the tick after they were written or finished: 'finish', then 'close'. One tick serves all
 * messages of a batch, in the order asked for, instead of one each; a message with listeners of its own gets its own, so
 * that they run in its async context and see what ran between.
 */
export interface Finishable {
  /** Everything written so far has reached the connection. */
  _written(): void;
  _emitClose(): void;
}

const FINISH = 0;
const CLOSE = 1;

let messages: Finishable[] = [];
let steps: number[] = [];
let scheduled = false;

/** Calls `_written` in the next tick. */
export function finishSoon(message: Finishable, alone: boolean): void {
  if (alone) tickAlone(FINISH, message);
  else add(FINISH, message);
}

/** Calls `_emitClose` in the next tick. */
export function closeSoon(message: Finishable, alone: boolean): void {
  if (alone) tickAlone(CLOSE, message);
  else add(CLOSE, message);
}

function add(step: number, message: Finishable): void {
  messages.push(message);
  steps.push(step);
  if (scheduled) return;
  scheduled = true;
  nextTick(drain, messages, steps);
}

/** What is asked for after this goes into a tick after this. */
function tickAlone(step: number, message: Finishable): void {
  if (scheduled) renew();
  nextTick(step === FINISH ? written : close, message);
}

function renew(): void {
  messages = [];
  steps = [];
  scheduled = false;
}

const written = (message: Finishable): void => message._written();
const close = (message: Finishable): void => message._emitClose();

/** Messages added while this runs to the same list are served in the same go. */
function drain(list: Finishable[], what: number[]): void {
  let i = 0;
  try {
    while (i < list.length) {
      const message = list[i]!;
      const step = what[i]!;
      i++;
      if (step === FINISH) message._written();
      else message._emitClose();
    }
  } finally {
    if (list === messages) renew();
    if (i < list.length) nextTick(drain, list.slice(i), what.slice(i));
  }
}
