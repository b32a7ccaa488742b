import { deprecate } from 'node:util';
import { END_CALLS_BACK_FIRST, MESSAGES_COUNT_CORKS } from '../net/running-node';
import { accessors } from './construct';
import { headerName, OutgoingHeaders } from './outgoing-headers';
import type { OutgoingMessage } from './outgoing-message';
import type { MessageSocket } from './transport';

/** Accessors of Node 0.x that are still asked for. */
const DEPRECATED = ['OutgoingMessage.prototype._headers is deprecated', 'DEP0066'] as const;
const NAMES_DEPRECATED = ['OutgoingMessage.prototype._headerNames is deprecated', 'DEP0066'] as const;

/** Puts on a message's prototype what it tells of its state when it is asked. */
export function defineState(prototype: OutgoingMessage): void {
  accessors(prototype, {
    errored: {
      get(this: OutgoingMessage) {
        return this._errored;
      },
    },
    closed: {
      get(this: OutgoingMessage) {
        return this._closed;
      },
    },
    writableFinished: {
      get(this: OutgoingMessage) {
        if (END_CALLS_BACK_FIRST) return this._flushed;
        return this.finished && this.outputSize === 0 && (!this.socket || this.socket.writableLength === 0);
      },
    },
    writableObjectMode: { get: () => false },
    writableLength: {
      get(this: OutgoingMessage) {
        return this.outputSize + (this.socket ? this.socket.writableLength : 0);
      },
    },
    writableHighWaterMark: {
      get(this: OutgoingMessage) {
        return this.socket ? this.socket.writableHighWaterMark : this._highWaterMark;
      },
    },
    writableCorked: {
      get(this: OutgoingMessage) {
        if (MESSAGES_COUNT_CORKS) return this._corks;
        return this._corked + (this.socket ? this.socket.writableCorked : 0);
      },
    },
    writableEnded: {
      get(this: OutgoingMessage) {
        return this.finished;
      },
    },
    writableNeedDrain: {
      get(this: OutgoingMessage) {
        return !this.destroyed && !this.finished && this._needDrain;
      },
    },
    headersSent: {
      get(this: OutgoingMessage) {
        return Boolean(this._header);
      },
      enumerable: true,
    },
    _headers: {
      get: deprecate(
        function (this: OutgoingMessage) {
          return this.getHeaders();
        },
        ...DEPRECATED,
      ),
      set: deprecate(
        function (this: OutgoingMessage, headers: object | null | undefined) {
          if (headers == null) {
            this._outHeaders = null;
          } else if (typeof headers === 'object') {
            const set = new OutgoingHeaders();
            for (const name of Object.keys(headers))
              set.set(headerName(name), (headers as Record<string, unknown>)[name]);
            this._outHeaders = set;
          }
        },
        ...DEPRECATED,
      ),
    },
    _headerNames: {
      get: deprecate(
        function (this: OutgoingMessage) {
          return this._outHeaders === null ? null : this._outHeaders.spellings();
        },
        ...NAMES_DEPRECATED,
      ),
      set: deprecate(
        function (this: OutgoingMessage, spellings: Record<string, string> | null) {
          if (typeof spellings === 'object' && spellings !== null) this._outHeaders?.respell(spellings);
        },
        ...NAMES_DEPRECATED,
      ),
    },
    connection: {
      get(this: OutgoingMessage) {
        return this.socket;
      },
      set(this: OutgoingMessage, socket: MessageSocket | null) {
        this.socket = socket;
      },
    },
  });
}
