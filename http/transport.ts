import type { Duplex } from 'node:stream';

/**
 * What HTTP is to a socket of our own stack: text comes in place, without a stream between. Mirrors net/direct.ts.
 */
export interface DirectConsumer {
  /** Bytes [at, end) are lent for the call. Returns how many were consumed; the rest is held until resumeDirect(). */
  onText(bytes: Uint8Array, at: number, end: number): number;
  onEnd(): void;
  onRoom(): void;
  onError(error: Error): void;
  onClosed(): void;
  /** From now on text goes to the socket's stream: somebody asked for it. */
  onDetached?(): void;
}

/** The socket that carries a message: a net.Socket, a TLSSocket, or any Duplex that an application injects. */
export interface MessageSocket extends Duplex {
  /** Whoever reads messages from the socket; null once nobody does. */
  parser?: SocketReader | null;
  /** The message being written. */
  _httpMessage?: unknown;
  _paused?: boolean;
  _hadError?: boolean;
  server?: unknown;
  connecting?: boolean;
  timeout?: number;
  setTimeout?(ms: number, callback?: () => void): unknown;
  destroySoon?(): void;
  attachDirect?(consumer: DirectConsumer): boolean;
  detachDirect?(): void;
  resumeDirect?(): void;
  /** A view of bytes that are lent now, to be kept; null: to be copied. */
  directView?(bytes: Uint8Array, at: number, end: number): Buffer | null;
  directWritable?: boolean;
  directMemory?: Uint8Array;
  directAt?: number;
  directReserve?(wanted: number): boolean;
  directCommit?(bytes: number): void;
  /** The host of a socket of ours. */
  _stackHost?: { readonly loop: { between(): void; failed?(error: unknown): void } };
}

/** `socket.parser` as programs know it. */
export interface SocketReader {
  /** The message whose head was read last; null when it is complete and done with. */
  incoming: unknown;
  pause(): void;
  resume(): void;
}

/** A connection of ours as its messages see it. */
export interface MessageReader {
  /** The application wants more of the message's body. */
  wantMore(): void;
  /** The message holds enough: no more of its body until `wantMore`. */
  holdOff(): void;
}

/** Where an outgoing message may leave its bytes without a stream between. */
export interface MessageWriter {
  /** True when it is the message's turn and nothing of an earlier write waits: bytes may go straight to the send buffer. */
  mayWrite(message: unknown): boolean;
  /**
   * Sends a whole message: `text`, then the bytes of `body`, then `tail`, which is ASCII. False when the send buffer has no
   * room for all of it, and nothing was sent.
   */
  writeWhole(text: string, body: Uint8Array | null, tail: string): boolean;
}
