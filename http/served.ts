import { time } from '../net/time';
import type { ReaderPool } from './reader-pool';
import type { Server } from './server';

/** Milliseconds since the process began, as a small integer that is never 0; what began more than 24 days ago is lost. */
export const clock = (): number => time.now() | 0 || 1;

/** What connections of one server share while its options stay as they are. */
export class Served {
  constructor(
    readonly server: Server,
    readonly pool: ReaderPool,
    /** Fields that `headers` takes in; 0 for all. */
    readonly headersMax: number,
    /** Their sockets' own `write`; an application that puts another in its place wants to see every write. */
    readonly write: unknown,
  ) {}
}
