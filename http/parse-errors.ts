/** Ways to be lenient, as bits: those of Node's parser, with Node's numbers. 0 is strict. */
export const LENIENT_HEADERS = 1 << 0;
export const LENIENT_CHUNKED_LENGTH = 1 << 1;
export const LENIENT_KEEP_ALIVE = 1 << 2;
export const LENIENT_TRANSFER_ENCODING = 1 << 3;
export const LENIENT_VERSION = 1 << 4;
export const LENIENT_DATA_AFTER_CLOSE = 1 << 5;
export const LENIENT_OPTIONAL_LF_AFTER_CR = 1 << 6;
export const LENIENT_OPTIONAL_CRLF_AFTER_CHUNK = 1 << 7;
export const LENIENT_OPTIONAL_CR_BEFORE_LF = 1 << 8;
export const LENIENT_SPACES_AFTER_CHUNK_SIZE = 1 << 9;
/** `insecureHTTPParser: true`. */
export const LENIENT_ALL = (1 << 10) - 1;

/** Why a peer's message was refused: Node's `code` and `reason`. */
export interface ParseError {
  readonly code: string;
  readonly reason: string;
}

const error = (code: string, reason: string): ParseError => Object.freeze({ code: `HPE_${code}`, reason });

/** Every way to refuse a message. Codes and reasons are Node's, so that handlers of 'clientError' go on working. */
export const ERRORS = {
  invalidMethod: error('INVALID_METHOD', 'Invalid method encountered'),
  spaceAfterMethod: error('INVALID_METHOD', 'Expected space after method'),
  urlBadChar: error('INVALID_URL', 'Invalid characters in url'),
  urlBadStart: error('INVALID_URL', 'Unexpected start char in url'),
  urlBadScheme: error('INVALID_URL', 'Unexpected char in url schema'),
  urlBadAuthority: error('INVALID_URL', 'Unexpected char in url server'),
  urlDoubleAt: error('INVALID_URL', 'Double @ in url'),
  urlBadPath: error('INVALID_URL', 'Invalid char in url path'),
  urlBadQuery: error('INVALID_URL', 'Invalid char in url query'),
  urlBadFragment: error('INVALID_URL', 'Invalid char in url fragment start'),
  urlExpectedCrlf: error('INVALID_URL', 'Expected CRLF'),
  protocol: error('INVALID_CONSTANT', 'Expected HTTP/, RTSP/ or ICE/'),
  methodNotHttp: error('INVALID_CONSTANT', 'Invalid method for HTTP/x.x request'),
  methodNotRtsp: error('INVALID_CONSTANT', 'Invalid method for RTSP/x.x request'),
  methodNotIce: error('INVALID_CONSTANT', 'Expected SOURCE method for ICE/x.x request'),
  versionMajor: error('INVALID_VERSION', 'Invalid major version'),
  versionDot: error('INVALID_VERSION', 'Expected dot'),
  versionMinor: error('INVALID_VERSION', 'Invalid minor version'),
  version: error('INVALID_VERSION', 'Invalid HTTP version'),
  crlfAfterVersion: error('INVALID_VERSION', 'Expected CRLF after version'),
  lfAfterVersion: error('STRICT', 'Expected CRLF after version'),
  spaceAfterVersion: error('INVALID_VERSION', 'Expected space after version'),
  http2Preface: error('INVALID_VERSION', 'Expected HTTP/2 Connection Preface'),
  http2: error('PAUSED_H2_UPGRADE', 'Pause on PRI/Upgrade'),
  statusCode: error('INVALID_STATUS', 'Invalid status code'),
  statusLine: error('INVALID_STATUS', 'Invalid response status'),
  crAfterStatusLine: error('CR_EXPECTED', 'Missing expected CR after response line'),
  lfAfterCr: error('STRICT', 'Expected LF after CR'),
  spaceAfterStartLine: error('UNEXPECTED_SPACE', 'Unexpected space after start line'),
  fieldToken: error('INVALID_HEADER_TOKEN', 'Invalid header token'),
  fieldChar: error('INVALID_HEADER_TOKEN', 'Invalid header field char'),
  valueChar: error('INVALID_HEADER_TOKEN', 'Invalid header value char'),
  fold: error('INVALID_HEADER_TOKEN', 'Unexpected whitespace after header value'),
  crAfterValue: error('CR_EXPECTED', 'Missing expected CR after header value'),
  lfAfterValue: error('LF_EXPECTED', 'Missing expected LF after header value'),
  lfAfterHeaders: error('STRICT', 'Expected LF after headers'),
  transferEncodingWithLength: error(
    'INVALID_TRANSFER_ENCODING',
    "Transfer-Encoding can't be present with Content-Length",
  ),
  lengthWithTransferEncoding: error('INVALID_CONTENT_LENGTH', "Content-Length can't be present with Transfer-Encoding"),
  transferEncodingValue: error('INVALID_TRANSFER_ENCODING', 'Invalid `Transfer-Encoding` header value'),
  transferEncodingRequest: error('INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`'),
  lengthEmpty: error('INVALID_CONTENT_LENGTH', 'Empty Content-Length'),
  lengthOverflow: error('INVALID_CONTENT_LENGTH', 'Content-Length overflow'),
  lengthChar: error('INVALID_CONTENT_LENGTH', 'Invalid character in Content-Length'),
  lengthTwice: error('UNEXPECTED_CONTENT_LENGTH', 'Duplicate Content-Length'),
  headerOverflow: error('HEADER_OVERFLOW', 'Header overflow'),
  chunkSizeChar: error('INVALID_CHUNK_SIZE', 'Invalid character in chunk size'),
  chunkSizeOverflow: error('INVALID_CHUNK_SIZE', 'Chunk size overflow'),
  crAfterChunkSize: error('CR_EXPECTED', 'Missing expected CR after chunk size'),
  lfAfterChunkSize: error('STRICT', 'Expected LF after chunk size'),
  extensionChar: error('STRICT', 'Invalid character in chunk extensions'),
  extensionNameChar: error('STRICT', 'Invalid character in chunk extensions name'),
  extensionValueChar: error('STRICT', 'Invalid character in chunk extensions value'),
  extensionQuotedChar: error('STRICT', 'Invalid character in chunk extensions quoted value'),
  extensionQuotedPair: error('STRICT', 'Invalid quoted-pair in chunk extensions quoted value'),
  extensionAfterQuoted: error('STRICT', 'Invalid character in chunk extensions quote value'),
  crAfterExtensionName: error('CR_EXPECTED', 'Missing expected CR after chunk extension name'),
  crAfterExtensionValue: error('CR_EXPECTED', 'Missing expected CR after chunk extension value'),
  chunkExtensionsOverflow: error('CHUNK_EXTENSIONS_OVERFLOW', 'Chunk extensions overflow'),
  crAfterChunk: error('CR_EXPECTED', 'Missing expected CR after chunk data'),
  lfAfterChunk: error('STRICT', 'Expected LF after chunk data'),
  closed: error('CLOSED_CONNECTION', 'Data after `Connection: close`'),
  endOfInput: error('INVALID_EOF_STATE', 'Invalid EOF state'),
} as const;
