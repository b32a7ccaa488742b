import { IdleTimer } from './idle-timer';
import type { SocketMethods } from './socket-methods';
import { timerDuration, validateFunction } from './validate';

/** `socket.setTimeout`: 'timeout' after `msecs` milliseconds without activity; 0 ends that, and takes `callback` away. */
export function setIdleTime(socket: SocketMethods, msecs: number, callback?: () => void): void {
  socket.timeout = msecs;
  const duration = timerDuration(msecs, 'msecs');
  if (socket._idle !== null) {
    socket._idle.cancel();
    socket._idle = null;
  }
  if (duration === 0) {
    if (callback !== undefined) {
      validateFunction(callback, 'callback');
      socket.removeListener('timeout', callback);
    }
    return;
  }
  socket._idle = new IdleTimer(socket._stackHost.loop, duration, () => socket._onTimeout());
  if (callback !== undefined) {
    validateFunction(callback, 'callback');
    socket.once('timeout', callback);
  }
}
