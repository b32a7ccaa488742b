import type { State } from '../../stack/tcp/connection';

/** States by the names that `ss` prints. */
export type SsState =
  | 'ESTAB'
  | 'SYN-SENT'
  | 'SYN-RECV'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'TIME-WAIT'
  | 'UNCONN'
  | 'CLOSE-WAIT'
  | 'LAST-ACK'
  | 'LISTEN'
  | 'CLOSING';

export const ESTABLISHED_CODE: SsState = 'ESTAB';

/** RFC 9293's names as those of `ss`. */
export const STATE_CODES: Readonly<Record<State, SsState>> = {
  CLOSED: 'UNCONN',
  'SYN-SENT': 'SYN-SENT',
  'SYN-RECEIVED': 'SYN-RECV',
  ESTABLISHED: ESTABLISHED_CODE,
  'FIN-WAIT-1': 'FIN-WAIT-1',
  'FIN-WAIT-2': 'FIN-WAIT-2',
  'CLOSE-WAIT': 'CLOSE-WAIT',
  CLOSING: 'CLOSING',
  'LAST-ACK': 'LAST-ACK',
  'TIME-WAIT': 'TIME-WAIT',
};

const ALL: readonly SsState[] = [
  'ESTAB',
  'SYN-SENT',
  'SYN-RECV',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'UNCONN',
  'CLOSE-WAIT',
  'LAST-ACK',
  'LISTEN',
  'CLOSING',
];

const except = (...states: SsState[]): SsState[] => ALL.filter((state) => !states.includes(state));

/** What `state NAME` may name, and the states that it means (ss(8), STATE-FILTER). */
export const STATE_GROUPS: Readonly<Record<string, readonly SsState[]>> = {
  established: ['ESTAB'],
  'syn-sent': ['SYN-SENT'],
  'syn-recv': ['SYN-RECV'],
  'fin-wait-1': ['FIN-WAIT-1'],
  'fin-wait-2': ['FIN-WAIT-2'],
  'time-wait': ['TIME-WAIT'],
  closed: ['UNCONN'],
  'close-wait': ['CLOSE-WAIT'],
  'last-ack': ['LAST-ACK'],
  listening: ['LISTEN'],
  listen: ['LISTEN'],
  closing: ['CLOSING'],
  all: ALL,
  connected: except('LISTEN', 'UNCONN'),
  synchronized: except('LISTEN', 'UNCONN', 'SYN-SENT'),
  bucket: ['TIME-WAIT', 'SYN-RECV'],
  big: except('TIME-WAIT', 'SYN-RECV'),
};

/** Shown when nothing is asked for: neither listening nor closed, nor what is only waiting. */
export const STATES_DEFAULT: readonly SsState[] = except('LISTEN', 'UNCONN', 'TIME-WAIT', 'SYN-RECV');
export const STATES_LISTENING: readonly SsState[] = ['LISTEN', 'UNCONN'];
export const STATES_ALL = ALL;
