import type { Newer } from '../versions';
import { CUT_BYTES } from './cut-bytes';
import type { ClientName, Said } from './scenario';

const CLOSED_BEFORE = 'Socket closed before the connection was established [ERR_SOCKET_CLOSED_BEFORE_CONNECTION]';

/** What the packages below say instead with newer versions of Node than 20. */
export const NEWER_PACKAGES: Readonly<Record<string, Newer<Said>>> = {
  'pod-dies-before-endpoints-update': {
    node24: { got: ['GET /1: 200, 10 bytes', `GET /2: ${CLOSED_BEFORE}`, `GET /3: ${CLOSED_BEFORE}`] },
  },
  'peer-rebooted-half-open': {
    guardedPool: {
      axios: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
      got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
    },
  },
  'cut-during-tls-handshake': {
    node24: {
      got: [
        'GET /fin: write ECANCELED Canceled because of SSL destruction',
        'GET /rst: write ECANCELED Canceled because of SSL destruction',
      ],
    },
  },
  'happy-eyeballs-250ms': {
    node24: {
      got: [
        'GET /handshake-of-240-ms-first: 200, 10 bytes',
        `GET /handshake-of-260-ms-first: ${CLOSED_BEFORE}`,
        'GET /handshake-of-260-ms-last: 200, 10 bytes',
      ],
    },
  },
  'listener-closed-with-unaccepted': { node24: { got: [`GET /: ${CLOSED_BEFORE}`, 'requests handled: 0'] } },
  'conntrack-table-full': {
    node24: {
      got: ['GET /1: 200, 10 bytes', `GET /new: ${CLOSED_BEFORE}`, 'given up after 127 s', 'GET /2: 200, 10 bytes'],
    },
  },
  'snat-port-exhaustion': {
    node24: { got: ['16 requests: 200', `GET /new: ${CLOSED_BEFORE}`, 'given up after 127 s'] },
  },
  'content-length-short-rst-together': {
    resetBehindText: { undici: ['GET /: 200, 4 bytes, then read ECONNRESET'], axios: ['GET /: read ECONNRESET'] },
  },
  'close-delimited-truncation': {
    resetBehindText: {
      axios: ['GET /together: read ECONNRESET', 'GET /later: read ECONNRESET'],
      got: ['GET /together: 200, 10 bytes', 'GET /later: 200, 10 bytes'],
    },
  },
  'accept-then-reset': {
    node24: { got: [`GET /1: ${CLOSED_BEFORE}`, 'GET /2: 200, 10 bytes', 'GET /3: 200, 10 bytes'] },
  },
};

/** Those that say the same as the others, and those that do not. */
const alike = (lines: readonly string[], others: Said = {}): Said => ({
  undici: lines,
  axios: lines,
  got: lines,
  ...others,
});

/** What packages say in the scenarios that are played with them: recorded with undici 7.30.2, axios 1.21.1 and got 14.6.6. */
export const PACKAGES: Readonly<Record<string, Partial<Record<ClientName, readonly string[]>>>> = {
  'keepalive-fin-crosses-request': {
    undici: ['GET /1: 200, 10 bytes', 'GET /2: other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  },
  'keepalive-fin-waits-busy-client': {
    undici: ['GET /1: 200, 10 bytes', 'GET /2: other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  },
  'keepalive-rst-waits-busy-client': alike(['GET /1: 200, 10 bytes', 'GET /2: write ECONNRESET'], {
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  }),
  'queued-request-inherits-dying-socket': alike(
    ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
    { axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]', 'connections opened: 1'] },
  ),
  'frozen-runtime-dead-pool': {
    undici: ['GET /1: 200, 10 bytes', 'GET /2: other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  },
  'retry-takes-next-stale-socket': {
    undici: [
      '3 requests: 200, 200, 200',
      'GET /4: write ECONNRESET',
      'GET /5: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
      'GET /6: read ECONNRESET',
    ],
    axios: [
      '3 requests: 200, 200, 200',
      'GET /4: write ECONNRESET',
      'GET /5: write ECONNRESET',
      'GET /6: write ECONNRESET',
    ],
    got: ['3 requests: 200, 200, 200', 'GET /4: write ECONNRESET', 'GET /5: 200, 10 bytes', 'GET /6: 200, 10 bytes'],
  },
  'headers-timeout-across-idle-gap': {
    undici: [
      'GET /1: 200, 10 bytes',
      'GET /2: 200, 10 bytes',
      'GET /3: other side closed [UND_ERR_SOCKET]',
      'the server of today, after 70 s: 200',
    ],
    axios: [
      'GET /1: 200, 10 bytes',
      'GET /2: 200, 10 bytes',
      'GET /3: socket hang up [ECONNRESET]',
      'the server of today, after 70 s: 200',
    ],
    got: [
      'GET /1: 200, 10 bytes',
      'GET /2: 200, 10 bytes',
      'GET /3: 200, 10 bytes',
      'the server of today, after 70 s: 200',
    ],
  },
  'server-timer-beats-pending-request': alike(
    ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET', 'the handler ran for /2: 0 times'],
    { got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'the handler ran for /2: 1 times'] },
  ),
  'graceful-shutdown-closes-idle': {
    undici: ['GET /1: 200, 10 bytes', 'GET /2: other side closed [UND_ERR_SOCKET]', 'the handler ran for /2: 0 times'],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]', 'the handler ran for /2: 0 times'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'the handler ran for /2: 1 times'],
  },
  'pod-dies-before-endpoints-update': alike(
    ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET', 'GET /3: connect ECONNREFUSED 10.0.0.2:80'],
    {
      got: [
        'GET /1: 200, 10 bytes',
        'GET /2: connect ECONNREFUSED 10.0.0.2:80',
        'GET /3: connect ECONNREFUSED 10.0.0.2:80',
      ],
    },
  ),
  'listener-closed-with-unaccepted': alike(['GET /: read ECONNRESET', 'requests handled: 0'], {
    got: ['GET /: connect ECONNREFUSED 10.0.0.2:80', 'requests handled: 0'],
  }),
  'conntrack-invalid-host-answers-rst': {
    undici: ['GET /: the client gave up', 'server: read ECONNRESET'],
    axios: ['GET /: socket hang up [ECONNRESET]', 'server: read ECONNRESET'],
    got: ["GET /: Timeout awaiting 'request' for 10000ms [ETIMEDOUT]", 'server: read ECONNRESET'],
  },
  'conntrack-table-full': {
    undici: [
      'GET /1: 200, 10 bytes',
      'GET /new: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
      'given up after 10 s',
      'GET /2: 200, 10 bytes',
    ],
    axios: [
      'GET /1: 200, 10 bytes',
      'GET /new: connect ETIMEDOUT 10.0.0.2:80',
      'given up after 127 s',
      'GET /2: 200, 10 bytes',
    ],
    got: [
      'GET /1: 200, 10 bytes',
      'GET /new: connect ETIMEDOUT 10.0.0.2:80',
      'given up after 384 s',
      'GET /2: 200, 10 bytes',
    ],
  },
  'silent-nat-drop-no-timeout': {
    undici: [
      'GET /1: 200, 10 bytes',
      'GET /2: Headers Timeout Error [UND_ERR_HEADERS_TIMEOUT]',
      'GET /3: the client gave up',
    ],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: read ETIMEDOUT', 'GET /3: socket hang up [ECONNRESET]'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'GET /3: 200, 10 bytes'],
  },
  'snat-port-exhaustion': {
    undici: [
      '16 requests: 200',
      'GET /new: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
      'given up after 10 s',
    ],
    axios: ['16 requests: 200', 'GET /new: connect ETIMEDOUT 10.0.0.2:80', 'given up after 127 s'],
    got: ['16 requests: 200', 'GET /new: connect ETIMEDOUT 10.0.0.2:80', 'given up after 384 s'],
  },
  'ephemeral-ports-gone': alike([
    '4 requests: 200',
    'GET /new: connect EADDRNOTAVAIL 10.0.0.2:80 - Local (0.0.0.0:0)',
    'given up after 0 s',
  ]),
  'proxy-upstream-reset-before-headers': {
    undici: ['GET /1: 200, 10 bytes', 'GET /2: other side closed [UND_ERR_SOCKET]', 'GET /2: 200, 10 bytes'],
    axios: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET]', 'GET /2: 200, 10 bytes'],
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  },
  'nginx-104-from-node-upstream': alike(['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET'], {
    got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes'],
  }),
  'early-response-unfinished-upload': alike(['POST /: 413, 9 bytes', 'POST /: read ECONNRESET']),
  'early-response-unfinished-upload-fetch': alike([
    'POST /: 413, 9 bytes',
    'POST /: 413, 9 bytes',
    'the last connection ended with RST',
  ]),
  'error-after-response': alike(['POST /: 413, 9 bytes', 'the last connection ended with RST']),
  'fin-before-any-byte': {
    undici: ['GET /: other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /: socket hang up [ECONNRESET]'],
    got: ['GET /: 200, 10 bytes'],
  },
  'partial-header-block': {
    undici: ['GET /fin: other side closed [UND_ERR_SOCKET]', 'GET /rst: read ECONNRESET'],
    axios: ['GET /fin: socket hang up [ECONNRESET]', 'GET /rst: read ECONNRESET'],
    got: ['GET /fin: 200, 10 bytes', 'GET /rst: 200, 10 bytes'],
  },
  'content-length-short-fin': {
    undici: ['GET /: 200, 4 bytes, then other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /: stream has been aborted [ERR_BAD_RESPONSE]'],
    got: ['GET /: 200, 10 bytes'],
  },
  'content-length-short-rst': {
    undici: ['GET /: 200, 4 bytes, then read ECONNRESET'],
    axios: ['GET /: read ECONNRESET'],
    got: ['GET /: 200, 10 bytes'],
  },
  'content-length-short-rst-together': {
    undici: ['GET /: 200, 4 bytes, then other side closed [UND_ERR_SOCKET]'],
    axios: ['GET /: stream has been aborted [ERR_BAD_RESPONSE]'],
    got: ['GET /: 200, 10 bytes'],
  },
  'truncated-chunked-body': {
    undici: CUT_BYTES.map((bytes) => `GET /: 200, ${bytes} bytes, then other side closed [UND_ERR_SOCKET]`),
    axios: CUT_BYTES.map(() => 'GET /: stream has been aborted [ERR_BAD_RESPONSE]'),
    got: CUT_BYTES.map(() => 'GET /: 200, 11 bytes'),
  },
  'close-delimited-truncation': {
    undici: ['GET /together: 200, 4 bytes', 'GET /later: 200, 4 bytes'],
    axios: ['GET /together: 200, 4 bytes', 'GET /later: read ECONNRESET'],
    got: ['GET /together: 200, 4 bytes', 'GET /later: 200, 10 bytes'],
  },
  'premature-close-false-alarm': alike(['GET /: 200, 11 bytes', 'the last chunk came in 5 pieces']),
  'complete-response-then-reset': alike(['GET /: 200, 11 bytes', 'the connection ended with RST']),
  'reset-or-eof-lottery': {
    undici: [
      'GET /1: 200, 10 bytes',
      'GET /fin: other side closed [UND_ERR_SOCKET]',
      'GET /2: 200, 10 bytes',
      'GET /rst: read ECONNRESET',
    ],
    axios: [
      'GET /1: 200, 10 bytes',
      'GET /fin: socket hang up [ECONNRESET]',
      'GET /2: 200, 10 bytes',
      'GET /rst: read ECONNRESET',
    ],
    got: ['GET /1: 200, 10 bytes', 'GET /fin: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'GET /rst: 200, 10 bytes'],
  },
  'accept-then-reset': alike(
    ['GET /1: connect ECONNRESET 10.0.0.2:80', 'GET /2: read ECONNRESET', 'GET /3: 200, 10 bytes'],
    { got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'GET /3: 200, 10 bytes'] },
  ),
  'accept-backlog-overflow': alike(['7 requests: 200', 'SYNs sent more than once: yes']),
  'health-checker-resets-idle': alike(['GET /: 200, 10 bytes', 'clientError: read ECONNRESET']),
  'upload-aborted': alike(['request: aborted', 'request: error aborted', 'request: close, complete false']),
  'streaming-to-gone-client': alike(['response: close', 'a later write: failed']),
  'own-timeout-looks-like-peer-reset': {
    undici: ['GET /: the client gave up', 'the first FIN is of the client'],
    axios: ['GET /: socket hang up [ECONNRESET]', 'the first FIN is of the client'],
    got: ["GET /: Timeout awaiting 'request' for 3000ms [ETIMEDOUT]", 'the first FIN is of the client'],
  },
  'unsolicited-response-on-idle-socket': alike(
    ['GET /a: 200, 10 bytes', 'GET /b: 200, 10 bytes', 'GET /c: 408, 0 bytes'],
    { got: ['GET /a: 200, 10 bytes', 'GET /b: 200, 10 bytes', 'GET /c: 200, 10 bytes'] },
  ),
  'trailing-bytes-after-response': alike(
    [
      'GET /: Parse Error: Expected HTTP/, RTSP/ or ICE/ [HPE_INVALID_CONSTANT]',
      'the connection was closed by the client',
    ],
    { undici: ['GET /: 200, 10 bytes', 'the connection was closed by the client'] },
  ),
  'stateful-retry-doubles-post': alike([
    'POST /pay: read ECONNRESET',
    'POST /pay: 200, 10 bytes',
    'processed: 2 times',
  ]),
  'transparent-retry-of-other-runtimes': alike(
    ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET', 'connections opened: 1'],
    { got: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'] },
  ),
  'peer-rebooted-half-open': alike(
    ['GET /1: 200, 10 bytes', 'socket: read ECONNRESET', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
    {
      undici: ['GET /1: 200, 10 bytes', 'socket: read ECONNRESET', 'GET /2: read ECONNRESET', 'connections opened: 1'],
    },
  ),
  'zero-window-slow-reader': {
    undici: ['POST /: the client gave up', 'window probes: some'],
    axios: ['POST /: socket hang up [ECONNRESET]', 'window probes: some'],
    got: ["POST /: Timeout awaiting 'request' for 20000ms [ETIMEDOUT]", 'window probes: some'],
  },
  'lb-idle-longer-than-server': {
    undici: [
      'GET /: 200, 10 bytes',
      'GET /at-5.9-s: 200, 10 bytes',
      'GET /: 200, 10 bytes',
      'GET /at-6-s: other side closed [UND_ERR_SOCKET]',
      'GET /: 200, 10 bytes',
      'GET /at-6.1-s: 200, 10 bytes',
    ],
    axios: [
      'GET /: 200, 10 bytes',
      'GET /at-5.9-s: 200, 10 bytes',
      'GET /: 200, 10 bytes',
      'GET /at-6-s: socket hang up [ECONNRESET]',
      'GET /: 200, 10 bytes',
      'GET /at-6.1-s: 200, 10 bytes',
    ],
    got: [
      'GET /: 200, 10 bytes',
      'GET /at-5.9-s: 200, 10 bytes',
      'GET /: 200, 10 bytes',
      'GET /at-6-s: 200, 10 bytes',
      'GET /: 200, 10 bytes',
      'GET /at-6.1-s: 200, 10 bytes',
    ],
  },
  'agent-ignores-keepalive-hint': alike(
    ['told to keep it for 60 s: FIN of the client after 2.0 s', 'told nothing: FIN of the server after 4.0 s'],
    {
      undici: [
        'told to keep it for 60 s: FIN of the client after 1.0 s',
        'told nothing: FIN of the client after 1.0 s',
      ],
    },
  ),
  'pool-timer-kills-assigned-socket': {
    undici: [
      'request at 960 ms: closed [UND_ERR_SOCKET], the FIN is of the client',
      'request at 1010 ms: 200',
      'with a timer that looks first, at 960 ms: 200',
    ],
    axios: [
      'request at 960 ms: socket hang up [ECONNRESET], the FIN is of the client',
      'request at 1010 ms: 200',
      'with a timer that looks first, at 960 ms: 200',
    ],
    got: ['request at 960 ms: 200', 'request at 1010 ms: 200', 'with a timer that looks first, at 960 ms: 200'],
  },
  'ipvs-forgets-after-900s': {
    undici: [
      'GET /1: 200, 10 bytes',
      'GET /2: Headers Timeout Error [UND_ERR_HEADERS_TIMEOUT]',
      'told after 300 s',
      'GET /3: 200, 10 bytes',
      'GET /4: 200, 10 bytes',
    ],
    axios: [
      'GET /1: 200, 10 bytes',
      'GET /2: read ETIMEDOUT',
      'told after 945 s',
      'GET /3: 200, 10 bytes',
      'GET /4: 200, 10 bytes',
    ],
    got: [
      'GET /1: 200, 10 bytes',
      'GET /2: 200, 10 bytes',
      'told after 946 s',
      'GET /3: 200, 10 bytes',
      'GET /4: 200, 10 bytes',
    ],
  },
  'nat-gateway-resets-after-350s': alike(
    [
      'GET /1: 200, 10 bytes',
      'GET /2: read ECONNRESET',
      'told after 0 s',
      'GET /3: 200, 10 bytes',
      'GET /4: 200, 10 bytes',
      'server side: ESTABLISHED',
    ],
    {
      got: [
        'GET /1: 200, 10 bytes',
        'GET /2: 200, 10 bytes',
        'told after 1 s',
        'GET /3: 200, 10 bytes',
        'GET /4: 200, 10 bytes',
        'server side: ESTABLISHED',
      ],
    },
  ),
  'cut-during-tls-handshake': alike([
    'GET /fin: Client network socket disconnected before secure TLS connection was established [ECONNRESET]',
    'GET /rst: read ECONNRESET',
  ]),
  'happy-eyeballs-250ms': {
    undici: [
      'GET /handshake-of-240-ms-first: 200, 10 bytes',
      'GET /handshake-of-260-ms-first: Connect Timeout Error (attempted addresses: 10.0.0.2:80, 10.0.0.9:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
      'GET /handshake-of-260-ms-last: 200, 10 bytes',
    ],
    axios: [
      'GET /handshake-of-240-ms-first: 200, 10 bytes',
      'GET /handshake-of-260-ms-first: connect ETIMEDOUT 10.0.0.2:80; connect ETIMEDOUT 10.0.0.9:80: AggregateError [ETIMEDOUT]',
      'GET /handshake-of-260-ms-last: 200, 10 bytes',
    ],
    got: [
      'GET /handshake-of-240-ms-first: 200, 10 bytes',
      'GET /handshake-of-260-ms-first: RequestError [ETIMEDOUT]: AggregateError [ETIMEDOUT]',
      'GET /handshake-of-260-ms-last: 200, 10 bytes',
    ],
  },
  'client-half-close-loses-response': {
    undici: ['the response was closed, finished false', 'GET /: other side closed [UND_ERR_SOCKET]'],
    axios: ['the response was closed, finished false', 'GET /: socket hang up [ECONNRESET]'],
    got: [
      'the response was closed, finished false',
      'the response was closed, finished false',
      'the response was closed, finished false',
      'GET /: socket hang up [ECONNRESET]',
    ],
  },
  'reset-after-100-continue': alike(
    [
      'request: aborted',
      'request: error aborted',
      'request: close, complete false',
      'POST /asked-for: read ECONNRESET',
      'request: aborted',
      'request: error aborted',
      'request: close, complete false',
      'POST /unasked: read ECONNRESET',
      'clientError: read ECONNRESET, read ECONNRESET',
    ],
    {
      undici: [
        'POST /asked-for: expect header not supported [UND_ERR_NOT_SUPPORTED]',
        'POST /unasked: bad response [UND_ERR_SOCKET]',
        'request: aborted',
        'request: error aborted',
        'request: close, complete false',
        'clientError: read ECONNRESET',
      ],
    },
  ),
};
