import type { Millis } from '../base/bytes';
import { setKeepAlive, setNoDelay } from './calls';
import { newController } from './congestion/controllers';
import type { Connection } from './connection';
import { effectiveMss } from './options';
import type { Tcp } from './tcp';

/**
 * What an application sets on a socket before there is a connection: on its way to `connect`, or on a listener, from
 * which every connection inherits. Zero, '' and -1 leave the profile's value.
 */
export class Settings {
  /** TCP_MAXSEG: the largest MSS to announce and to send. */
  userMss = 0;
  /** SO_RCVBUF and SO_SNDBUF: bytes of text; set, they switch autotuning off. */
  receiveLimit = 0;
  sendLimit = 0;
  /** TCP_NOTSENT_LOWAT: bytes that may wait to be sent. */
  notSentLimit = 0;
  /** TCP_WINDOW_CLAMP: the largest window to offer, in bytes. */
  windowClamp = 0;
  noDelay = false;
  corked = false;
  keepAlive = false;
  keepAliveIdle: Millis = 0;
  keepAliveInterval: Millis = 0;
  keepAliveProbes = 0;
  /** SO_LINGER: how long `close` waits; 0 resets, -1 is off. */
  linger: Millis = -1;
  userTimeout: Millis = 0;
  /** TCP_SYNCNT: how often a SYN is repeated. */
  synRetries = -1;
  /** TCP_LINGER2: how long FIN-WAIT-2 lasts without an application; negative: not at all. */
  finWait2: Millis = Number.NaN;
  tos = 0;
  hopLimit = 0;
  /** TCP_FASTOPEN_NO_COOKIE. */
  fastOpenWithoutCookie = false;
  /** Name of a congestion controller. */
  congestion = '';
}

/** Makes the settings those of a connection. May be called again when one of them changed. */
export function applySettings(tcp: Tcp, c: Connection, s: Settings, now: Millis): void {
  if (s.receiveLimit > 0) {
    c.receiveLimit = s.receiveLimit;
    c.receiveLimitFixed = true;
  }
  if (s.sendLimit > 0) {
    c.sendLimit = s.sendLimit;
    c.sendLimitFixed = true;
  }
  if (s.notSentLimit > 0) c.notSentLimit = s.notSentLimit;
  if (s.userMss !== c.userMss) {
    c.userMss = s.userMss;
    if (c.state !== 'CLOSED') effectiveMss(c);
  }
  c.windowClamp = s.windowClamp;
  if (s.noDelay !== c.noDelay) setNoDelay(tcp, c, s.noDelay);
  c.corked = s.corked;
  c.linger = s.linger;
  c.userTimeout = s.userTimeout > 0 ? s.userTimeout : tcp.profile.userTimeoutMs;
  c.synRetries = s.synRetries;
  c.finWait2 = Number.isNaN(s.finWait2) ? tcp.profile.finWait2Ms : s.finWait2;
  c.tos = s.tos;
  if (s.hopLimit > 0) c.hopLimit = s.hopLimit;
  applyKeepAlive(tcp, c, s, now);
  if (s.congestion !== '' && s.congestion !== c.congestion.name) switchController(tcp, c, s.congestion, now);
  if (!s.corked || s.noDelay) tcp.wantsOutput(c);
}

/** TCP_CONGESTION. A name that nobody knows leaves the controller as it is. */
function switchController(tcp: Tcp, c: Connection, name: string, now: Millis): void {
  const controller = newController(name, tcp.profile);
  if (controller === null) return;
  c.congestion = controller;
  if (c.synchronized) controller.start(c, now);
}

function applyKeepAlive(tcp: Tcp, c: Connection, s: Settings, now: Millis): void {
  const same =
    s.keepAlive === c.keepAlive &&
    (s.keepAliveIdle === 0 || s.keepAliveIdle === c.keepAliveIdle) &&
    (s.keepAliveInterval === 0 || s.keepAliveInterval === c.keepAliveInterval) &&
    (s.keepAliveProbes === 0 || s.keepAliveProbes === c.keepAliveProbes);
  if (!same) setKeepAlive(tcp, c, s.keepAlive, s.keepAliveIdle, s.keepAliveInterval, s.keepAliveProbes, now);
}
