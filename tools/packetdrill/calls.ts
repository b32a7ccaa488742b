import type { Call } from './ast';
import type { CallContext, CallHandler, Started } from './call-context';
import { connectionCalls } from './calls-connection';
import { dataCalls } from './calls-data';
import { descriptorCalls } from './calls-descriptor';
import { Unsupported } from './source';

const HANDLERS: Readonly<Record<string, CallHandler>> = { ...connectionCalls, ...dataCalls, ...descriptorCalls };

/** Begins a call. Throws Unsupported for one that is not known, or whose arguments mean nothing here. */
export function startCall(call: Call, x: CallContext): Started {
  const handler = Object.hasOwn(HANDLERS, call.name) ? HANDLERS[call.name] : undefined;
  if (handler === undefined) throw new Unsupported(`the system call ${call.name}`);
  return handler(call.args, x);
}
