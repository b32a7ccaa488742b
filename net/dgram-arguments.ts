import { invalidArgType, nodeError } from './errors';
import { validatePort, validateString } from './validate';

/** Whatever is called back: who calls decides with what. */
export type Callback = (...args: never[]) => void;

/** Told when a datagram is out of our hands: why not, or its bytes. */
export type Sent = (error: Error | null, bytes?: number) => void;

const TEXT_TYPES = ['Buffer', 'TypedArray', 'DataView', 'string'] as const;

export interface SendArguments {
  readonly pieces: Uint8Array[];
  /** Null: to whom the socket is connected. */
  readonly port: number | null;
  readonly address: unknown;
  readonly callback: Sent | undefined;
}

/** Tells the two forms of `send` apart as Node does. @throws Node's errors for wrong arguments. */
export function readSend(connected: boolean, args: readonly unknown[]): SendArguments {
  let [text, offset, length, port, address, callback] = args;
  if (connected) {
    if (typeof length === 'number') {
      text = slice(text, offset, length);
      if (typeof port === 'function') {
        callback = port;
        port = null;
      }
    } else {
      callback = offset;
    }
    if (port || address) throw nodeError(Error, 'ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');
  } else if (address || (port && typeof port !== 'function')) {
    text = slice(text, offset, length);
  } else {
    callback = port;
    port = offset;
    address = length;
  }
  const pieces = piecesOf(text);
  const checked = connected ? null : validatePort(port, 'Port', false);
  if (typeof callback !== 'function') callback = undefined;
  if (typeof address === 'function') {
    callback = address;
    address = undefined;
  } else if (address != null && !connected) {
    validateString(address, 'address');
  }
  return { pieces, port: checked, address, callback: callback as Sent | undefined };
}

function slice(text: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  if (!ArrayBuffer.isView(bytes)) throw invalidArgType('buffer', TEXT_TYPES, text);
  const from = (offset as number) >>> 0;
  const count = (length as number) >>> 0;
  const outside = (name: string): Error =>
    nodeError(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', `"${name}" is outside of buffer bounds`);
  if (from > bytes.byteLength) throw outside('offset');
  if (from + count > bytes.byteLength) throw outside('length');
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + from, count);
}

const viewOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);

function piecesOf(text: unknown): Uint8Array[] {
  if (typeof text === 'string') return [Buffer.from(text)];
  if (ArrayBuffer.isView(text)) return [viewOf(text)];
  if (!Array.isArray(text)) throw invalidArgType('buffer', TEXT_TYPES, text);
  return text.map((piece: unknown) => {
    if (typeof piece === 'string') return Buffer.from(piece);
    if (ArrayBuffer.isView(piece)) return viewOf(piece);
    throw invalidArgType('buffer list arguments', TEXT_TYPES, text);
  });
}
