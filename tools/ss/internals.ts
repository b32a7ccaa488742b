import type { TcpInfo } from '../../stack/tcp/info';
import type { SocketEntry, SocketMemory, SocketTimer } from './entries';

/** Bits of `tcpi_options`, and the words that `ss` has for them. */
const OPTION_WORDS: readonly (readonly [bit: number, word: string])[] = [
  [1, 'ts'],
  [2, 'sack'],
  [8, 'ecn'],
  [16, 'ecnseen'],
  [32, 'fastopen'],
];
const OPT_WSCALE = 4;

/** Linux leaves out what is at its default: the first RTO (microseconds) and three packets of reordering. */
const RTO_UNSET = 3_000_000;
const REORDERING_DEFAULT = 3;
const SSTHRESH_SHOWN_MAX = 0xffff;
const UNKNOWN = 0xffff_ffff;
const LISTEN_STATE = 10;

/** As C prints %g. */
const g = (value: number): string => String(Number(value.toPrecision(6)));

/** A rate in bits a second; exact with `numeric`, otherwise three figures and k, M, G. */
export function rateText(bits: number, numeric: boolean): string {
  if (numeric || bits < 1000) return `${Math.round(bits)}bps`;
  for (const [unit, letter] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (bits >= unit) return `${Number((bits / unit).toPrecision(3))}${letter}bps`;
  }
  return `${bits}bps`;
}

/** The second line of `ss -i`: every key, its order and unit as iproute2 has them. `numeric`: rates in full. */
export function internalsText(entry: SocketEntry, numeric: boolean): string {
  const { info } = entry;
  if (info === null) return '';
  return [
    ...agreed(entry, info),
    ...timesAndWindows(info),
    ...counted(info),
    ...believed(entry, numeric),
    ...ratesOf(info, numeric),
    ...recovery(info),
  ].join(' ');
}

const at = (info: TcpInfo, name: string): number => info[`tcpi_${name}`] ?? 0;

/** `key:value` for each that is not 0; `ss` says nothing of what is. */
function nonZero(info: TcpInfo, keys: readonly (readonly [key: string, field: string])[]): string[] {
  return keys.flatMap(([key, field]) => (at(info, field) === 0 ? [] : [`${key}:${at(info, field)}`]));
}

function agreed({ congestion }: SocketEntry, info: TcpInfo): string[] {
  const options = at(info, 'options');
  const words = OPTION_WORDS.filter(([bit]) => (options & bit) !== 0).map(([, word]) => word);
  if (congestion !== '') words.push(congestion);
  if ((options & OPT_WSCALE) !== 0) words.push(`wscale:${at(info, 'snd_wscale')},${at(info, 'rcv_wscale')}`);
  return words;
}

function timesAndWindows(info: TcpInfo): string[] {
  const words: string[] = [];
  const rto = at(info, 'rto');
  if (rto !== 0 && rto !== RTO_UNSET) words.push(`rto:${g(rto / 1000)}`);
  words.push(...nonZero(info, [['backoff', 'backoff']]));
  if (at(info, 'rtt') > 0) words.push(`rtt:${g(at(info, 'rtt') / 1000)}/${g(at(info, 'rttvar') / 1000)}`);
  if (at(info, 'ato') > 0) words.push(`ato:${g(at(info, 'ato') / 1000)}`);
  words.push(
    ...nonZero(info, [
      ['mss', 'snd_mss'],
      ['pmtu', 'pmtu'],
      ['rcvmss', 'rcv_mss'],
      ['advmss', 'advmss'],
      ['cwnd', 'snd_cwnd'],
    ]),
  );
  const ssthresh = at(info, 'snd_ssthresh');
  if (ssthresh > 0 && ssthresh < SSTHRESH_SHOWN_MAX) words.push(`ssthresh:${ssthresh}`);
  return words;
}

const counted = (info: TcpInfo): string[] =>
  nonZero(info, [
    ['bytes_sent', 'bytes_sent'],
    ['bytes_retrans', 'bytes_retrans'],
    ['bytes_acked', 'bytes_acked'],
    ['bytes_received', 'bytes_received'],
    ['segs_out', 'segs_out'],
    ['segs_in', 'segs_in'],
    ['data_segs_out', 'data_segs_out'],
    ['data_segs_in', 'data_segs_in'],
  ]);

/** What BBR believes of the path. */
function believed({ congestion, beliefs }: SocketEntry, numeric: boolean): string[] {
  if (congestion !== 'bbr' || beliefs === null) return [];
  const { bandwidth = 0, minRtt = 0, pacingGain = 0, cwndGain = 0 } = beliefs;
  const gains = `${pacingGain === 0 ? '' : `,pacing_gain:${g(pacingGain)}`}${cwndGain === 0 ? '' : `,cwnd_gain:${g(cwndGain)}`}`;
  return [`bbr:(bw:${rateText(bandwidth * 8, numeric)},mrtt:${g(minRtt / 1000)}${gains})`];
}

function ratesOf(info: TcpInfo, numeric: boolean): string[] {
  const words: string[] = [];
  const rate = (bytes: number): string => rateText(bytes * 8, numeric);
  const rtt = at(info, 'rtt');
  if (rtt > 0 && at(info, 'snd_mss') > 0 && at(info, 'snd_cwnd') > 0) {
    words.push(`send ${rate((at(info, 'snd_cwnd') * at(info, 'snd_mss') * 1e6) / rtt)}`);
  }
  words.push(
    ...nonZero(info, [
      ['lastsnd', 'last_data_sent'],
      ['lastrcv', 'last_data_recv'],
      ['lastack', 'last_ack_recv'],
    ]),
  );
  const pacing = at(info, 'pacing_rate');
  if (pacing > 0 && pacing !== UNKNOWN) words.push(`pacing_rate ${rate(pacing)}`);
  if (at(info, 'delivery_rate') > 0) words.push(`delivery_rate ${rate(at(info, 'delivery_rate'))}`);
  words.push(
    ...nonZero(info, [
      ['delivered', 'delivered'],
      ['delivered_ce', 'delivered_ce'],
    ]),
  );
  if (at(info, 'delivery_rate_app_limited') !== 0) words.push('app_limited');
  return [...words, ...busy(info)];
}

function busy(info: TcpInfo): string[] {
  const all = at(info, 'busy_time');
  if (all === 0) return [];
  const part = (key: string): string[] => {
    const time = at(info, key);
    return time === 0 ? [] : [`${key}:${Math.floor(time / 1000)}ms(${((100 * time) / all).toFixed(1)}%)`];
  };
  return [`busy:${Math.floor(all / 1000)}ms`, ...part('rwnd_limited'), ...part('sndbuf_limited')];
}

function recovery(info: TcpInfo): string[] {
  const listening = at(info, 'state') === LISTEN_STATE;
  const words = listening ? [] : nonZero(info, [['unacked', 'unacked']]);
  if (at(info, 'retrans') + at(info, 'total_retrans') > 0) {
    words.push(`retrans:${at(info, 'retrans')}/${at(info, 'total_retrans')}`);
  }
  words.push(
    ...nonZero(
      info,
      listening
        ? []
        : [
            ['lost', 'lost'],
            ['sacked', 'sacked'],
          ],
    ),
  );
  words.push(...nonZero(info, [['dsack_dups', 'dsack_dups']]));
  if (!listening && at(info, 'reordering') !== REORDERING_DEFAULT) words.push(`reordering:${at(info, 'reordering')}`);
  words.push(...nonZero(info, [['reord_seen', 'reord_seen']]));
  if (at(info, 'rcv_rtt') > 0) words.push(`rcv_rtt:${g(at(info, 'rcv_rtt') / 1000)}`);
  words.push(
    ...nonZero(info, [
      ['rcv_space', 'rcv_space'],
      ['rcv_ssthresh', 'rcv_ssthresh'],
      ['notsent', 'notsent_bytes'],
    ]),
  );
  const least = at(info, 'min_rtt');
  if (least > 0 && least !== UNKNOWN) words.push(`minrtt:${g(least / 1000)}`);
  return [
    ...words,
    ...nonZero(info, [
      ['rcv_ooopack', 'rcv_ooopack'],
      ['snd_wnd', 'snd_wnd'],
      ['rcv_wnd', 'rcv_wnd'],
    ]),
  ];
}

/** `timer:(on,204ms,0)`, as `ss -o` writes it. */
export const timerText = ({ name, ms, count }: SocketTimer): string => `timer:(${name},${spanText(ms)},${count})`;

/** A time as `ss` writes it: 1min59sec, 12sec, 4.992ms (four seconds and 992 ms), 204ms. */
export function spanText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  let seconds = Math.floor(ms / 1000) % 60;
  let rest = ms % 1000;
  let text = '';
  if (minutes > 0) {
    rest = 0;
    text += `${minutes}min`;
    if (minutes > 9) seconds = 0;
  }
  if (seconds > 0) {
    if (seconds > 9) rest = 0;
    text += `${seconds}${rest > 0 ? '.' : 'sec'}`;
  }
  if (rest > 0 || text === '') text += `${String(rest).padStart(3, '0')}ms`;
  return text;
}

/** `skmem:(…)`, as `ss -m` writes it; what does not exist here is 0. */
export const memoryText = ({ r, rb, t, tb, w }: SocketMemory): string =>
  `skmem:(r${r},rb${rb},t${t},tb${tb},f0,w${w},o0,bl0,d0)`;
