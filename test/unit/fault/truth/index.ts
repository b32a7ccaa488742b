import { fetchRows, keepAliveRows, requestRows, uploadRows } from './rows-http';
import { agentRows, datagramRows, poolRows, queueRows, refusedRows, serverTimerRows } from './rows-more';
import { closingRows, connectRows, establishedRows, listenRows, patientRows } from './rows-net';
import { serverRows } from './rows-server';
import type { Row } from './world';

export { type Row, saidHere, type TruthWorld } from './world';

/** The truth table of fault catalogue §3, section by section. */
export const SECTIONS: Readonly<Record<string, readonly Row[]>> = {
  connect: connectRows,
  listen: listenRows,
  established: establishedRows,
  closing: closingRows,
  request: requestRows,
  'keep-alive': keepAliveRows,
  fetch: fetchRows,
  upload: uploadRows,
  server: serverRows,
  refused: refusedRows,
  datagrams: datagramRows,
  queues: queueRows,
  agent: agentRows,
  pool: poolRows,
  'server timers': serverTimerRows,
  patience: patientRows,
};

/** The row of this name. @throws Error when there is none */
export function rowNamed(name: string): Row {
  const row = Object.values(SECTIONS)
    .flat()
    .find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`there is no row '${name}'`);
  return row;
}

/** The port that belongs to a row: every row has connections of its own. */
export const portOf = (section: number, row: number): number => 2000 + section * 100 + row;
