import { STATUS_CODES } from './status-codes';

const refusalOf = (status: number): Buffer =>
  Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`, 'latin1');

const BAD_REQUEST = refusalOf(400);
const REFUSALS: Record<string, Buffer> = {
  HPE_HEADER_OVERFLOW: refusalOf(431),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: refusalOf(413),
  ERR_HTTP_REQUEST_TIMEOUT: refusalOf(408),
};

/** What a client is told whose request could not be read, by the code of the error. */
export function refusal(code: string | undefined): Buffer {
  return (code !== undefined && REFUSALS[code]) || BAD_REQUEST;
}
