'use strict';
// tapwire's parser behind the interface of the llhttp vector runner. Loads the TypeScript sources as they are.
const path = require('node:path');
require('../typescript.cjs');

const root = path.resolve(__dirname, '..', '..');
const { HttpReader, HEAD_NO_BODY, HEAD_GOES_ON } = require(path.join(root, 'http', 'connection.ts'));
const { METHODS } = require(path.join(root, 'http', 'grammar.ts'));
const grammar = require(path.join(root, 'http', 'parse-errors.ts'));
const { FIELD_INTS } = require(path.join(root, 'http', 'head.ts'));

const LENIENT = {
  headers: grammar.LENIENT_HEADERS,
  chunkedLength: grammar.LENIENT_CHUNKED_LENGTH,
  keepAlive: grammar.LENIENT_KEEP_ALIVE,
  transferEncoding: grammar.LENIENT_TRANSFER_ENCODING,
  version: grammar.LENIENT_VERSION,
  dataAfterClose: grammar.LENIENT_DATA_AFTER_CLOSE,
  optionalLFAfterCR: grammar.LENIENT_OPTIONAL_LF_AFTER_CR,
  optionalCRLFAfterChunk: grammar.LENIENT_OPTIONAL_CRLF_AFTER_CHUNK,
  optionalCRBeforeLF: grammar.LENIENT_OPTIONAL_CR_BEFORE_LF,
  spacesAfterChunkSize: grammar.LENIENT_SPACES_AFTER_CHUNK_SIZE,
};

/** The fields of a head as [name, value] pairs, from one decoding of the whole head. */
function pairs(head) {
  const text = Buffer.from(head.bytes.subarray(head.at, head.end)).toString('latin1');
  const out = [];
  for (let i = 0; i < head.fieldCount * FIELD_INTS; i += FIELD_INTS) {
    const [nameAt, nameBytes, valueAt, valueBytes] = head.fields.subarray(i, i + 4);
    const value = text.slice(valueAt, valueAt + valueBytes).replace(/[\r\n]/g, '');
    out.push([text.slice(nameAt, nameAt + nameBytes), value]);
  }
  return { text, headers: out };
}

exports.name = 'tapwire http/connection.ts';

exports.parse = function parse(type, bytes, options) {
  const events = [];
  let lenient = 0;
  for (const name of Object.keys(options.lenient || {})) lenient |= LENIENT[name] ?? 0;
  const reader = new HttpReader(
    { role: type, maxHeaderSize: 16_384, lenient },
    {
      onBegin() {},
      onHead(head) {
        const { text, headers } = pairs(head);
        const isRequest = type === 'request';
        events.push({
          type: 'headers',
          method: isRequest ? METHODS[head.method] : undefined,
          url: isRequest ? text.slice(head.targetAt, head.targetAt + head.targetBytes) : undefined,
          status: isRequest ? undefined : head.status,
          reason: isRequest ? undefined : text.slice(head.reasonAt, head.reasonAt + head.reasonBytes),
          versionMajor: head.versionMajor,
          versionMinor: head.versionMinor,
          headers,
          upgrade: head.upgrade,
          keepAlive: head.keepAlive,
        });
        return options.skipBody ? HEAD_NO_BODY : HEAD_GOES_ON;
      },
      onBody(b, at, end) {
        events.push({ type: 'body', bytes: b.slice(at, end) });
      },
      onTrailers(head) {
        events.push({ type: 'trailers', headers: pairs(head).headers });
      },
      onComplete() {
        events.push({ type: 'message-complete' });
      },
    },
  );
  const input = Uint8Array.from(bytes);
  const step = options.chunkSize || input.length || 1;
  for (let at = 0; at < input.length; at += step) {
    const part = input.slice(at, at + step);
    if (reader.read(part, 0, part.length) < part.length) break;
  }
  if (options.finish) reader.finish();
  return { events, error: reader.error && { code: reader.error.code, reason: reader.error.reason } };
};
