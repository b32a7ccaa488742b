/**
 * Whoever takes a socket's text where it lies and writes straight into its send buffer: the HTTP parser. No stream
 * machinery is in the way until somebody asks for the socket as a stream.
 */
export interface DirectConsumer {
  /** Nobody can have the socket as a stream any more. */
  readonly keeps?: boolean;
  /**
   * In-place text: bytes [at, end) lent for the call. Returns how many bytes were consumed; fewer means: hold the rest
   * until resumeDirect().
   */
  onText(bytes: Uint8Array, at: number, end: number): number;
  /** The peer's FIN is reached. The stream's own 'end' follows. */
  onEnd(): void;
  /** The send buffer has room again after directReserve or directSend said no. */
  onRoom(): void;
  /** The socket is destroyed with this error; its own 'error' follows. */
  onError(error: Error): void;
  /** The connection is gone; the socket's own 'close' follows. */
  onClosed(): void;
  /** Somebody wants the socket as a stream: from now on text goes there. */
  onDetached?(): void;
}
