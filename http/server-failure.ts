import { requestTimeout } from './errors';
import { refusal } from './refusals';
import type { Server } from './server';
import type { ServerResponse } from './server-response';
import type { MessageSocket } from './transport';

function ignore(): void {}

/** The connection broke, or sent what is no HTTP: the application's affair, or a short answer and the end. */
export function connectionFailed(this: MessageSocket, error: Error): void {
  this.removeListener('error', connectionFailed);
  if (this.listenerCount('error') === 0) this.on('error', ignore);
  if ((this.server as Server).emit('clientError', error, this)) return;
  const response = this._httpMessage as ServerResponse | null | undefined;
  // Amid an answer anything further would be taken for part of it.
  if (this.writable && !response?._headerSent) this.write(refusal((error as { code?: string }).code));
  this.destroy(error);
}

/** `server` waited long enough for the message that `socket` is sending. */
export function requestTimedOut(socket: MessageSocket): void {
  connectionFailed.call(socket, requestTimeout());
}
