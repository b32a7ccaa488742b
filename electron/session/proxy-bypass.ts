/**
 * `proxyBypassRules`: what goes without a proxy, as Chromium documents it: host patterns with `*`, domain suffixes,
 * addresses, blocks of addresses, `<local>`, `<-loopback>`; separated by commas or semicolons. Later rules win.
 */
import { BlockList, isIP } from 'node:net';

/** The parts of a URL that rules look at. */
interface Place {
  /** Without a colon: "http". */
  readonly scheme: string;
  /** In lower case, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** True: goes direct. False: does not, whatever earlier rules say. Null: is none of this rule's business. */
type Rule = (place: Place) => boolean | null;

/** What never leaves the machine or the link does not need a proxy, unless `<-loopback>` says so. */
const IMPLICIT = new BlockList();
IMPLICIT.addSubnet('127.0.0.0', 8, 'ipv4');
IMPLICIT.addSubnet('169.254.0.0', 16, 'ipv4');
IMPLICIT.addAddress('::1', 'ipv6');
IMPLICIT.addSubnet('fe80::', 10, 'ipv6');

const familyOf = (host: string): 'ipv4' | 'ipv6' => (isIP(host) === 6 ? 'ipv6' : 'ipv4');

function isImplicit({ host }: Place): boolean {
  if (isIP(host) !== 0) return IMPLICIT.check(host, familyOf(host));
  const name = host.replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Decides for URLs. @throws TypeError for a rule that is none */
export class ProxyBypass {
  private readonly rules: readonly Rule[];

  constructor(text: string) {
    this.rules = text
      .split(/[,;\s]+/)
      .filter((one) => one !== '')
      .map((one) => parseRule(one.toLowerCase()));
  }

  /** Whether a URL goes without a proxy. */
  covers(url: URL): boolean {
    const scheme = url.protocol.slice(0, -1);
    const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
    const place: Place = { scheme, host: url.hostname.replace(/^\[|\]$/g, ''), port };
    for (let i = this.rules.length - 1; i >= 0; i--) {
      const verdict = this.rules[i]!(place);
      if (verdict !== null) return verdict;
    }
    return isImplicit(place);
  }
}

function parseRule(text: string): Rule {
  if (text === '<local>')
    return ({ host }) => (isIP(host) === 0 && !host.replace(/\.$/, '').includes('.') ? true : null);
  if (text === '<-loopback>') return (place) => (isImplicit(place) ? false : null);
  const block = /^\[?([\da-f.:]+)\]?\/(\d+)$/.exec(text);
  if (block !== null) return blockRule(text, block[1]!, Number(block[2]));
  const [, scheme, rest] = /^(?:([a-z][a-z\d+.-]*):\/\/)?(.*)$/s.exec(text)!;
  const [, bracketed, pattern, port] = /^(?:\[([^\]]*)\]|([^:[\]/]*))(?::(\d+|\*))?$/.exec(rest!) ?? [];
  const host = bracketed ?? pattern;
  if (!host) throw new TypeError(`proxyBypassRules: '${text}' is no rule`);
  if (bracketed !== undefined && isIP(bracketed) !== 6) {
    throw new TypeError(`proxyBypassRules: '${text}': between brackets stands an IPv6 address`);
  }
  const wantedPort = port === undefined || port === '*' ? null : Number(port);
  const fits = hostMatcher(bracketed !== undefined ? `[${bracketed}]` : host);
  return (place) =>
    (scheme === undefined || scheme === place.scheme) &&
    (wantedPort === null || wantedPort === place.port) &&
    fits(place.host)
      ? true
      : null;
}

function blockRule(text: string, address: string, bits: number): Rule {
  const list = new BlockList();
  try {
    list.addSubnet(address, bits, familyOf(address));
  } catch {
    throw new TypeError(`proxyBypassRules: '${text}' is no block of addresses`);
  }
  return ({ host }) => (isIP(host) !== 0 && list.check(host, familyOf(host)) ? true : null);
}

function hostMatcher(host: string): (name: string) => boolean {
  const pattern = host.startsWith('.') ? `*${host}` : host;
  if (pattern.includes('*')) return (name) => matchesGlob(name, pattern.split('*'));
  // Addresses may be written in many ways; URLs have them in one.
  const canonical = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : host;
  const plain = canonical.replace(/^\[|\]$/g, '');
  return (name) => name === plain;
}

/** Pieces between stars, in order, without going back: linear. */
function matchesGlob(name: string, pieces: readonly string[]): boolean {
  const last = pieces.length - 1;
  if (!name.startsWith(pieces[0]!) || !name.endsWith(pieces[last]!)) return false;
  let at = pieces[0]!.length;
  for (let i = 1; i < last; i++) {
    const found = name.indexOf(pieces[i]!, at);
    if (found < 0) return false;
    at = found + pieces[i]!.length;
  }
  return at <= name.length - pieces[last]!.length;
}
