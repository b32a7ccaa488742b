/**
 * A client's side of SOCKS: version 5 (RFC 1928) with a name and a password (RFC 1929), and version 4 with names (4a).
 * Pure: bytes in, bytes out.
 */
import type { RouteError } from '../session-types';
import type { ProxyLogin } from './proxy-rules';

/** Where the proxy is to connect to. `address` is the host when that is one: its family, and its bytes. */
export interface SocksTarget {
  readonly host: string;
  readonly port: number;
  readonly address: { readonly family: 4 | 6; readonly bytes: Uint8Array } | null;
}

/** Why it failed. */
export interface SocksFailure {
  readonly code: RouteError['code'];
  readonly message: string;
}

/** What to do next: send bytes, wait for more, go on as a plain connection (the rest belongs to that), or give up. */
export type SocksStep =
  | { readonly do: 'send'; readonly bytes: Uint8Array }
  | { readonly do: 'wait' }
  | { readonly do: 'done'; readonly rest: Uint8Array }
  | { readonly do: 'fail'; readonly failure: SocksFailure };

const WAIT: SocksStep = { do: 'wait' };

const NO_AUTHENTICATION = 0;
const USERNAME_PASSWORD = 2;
const NONE_ACCEPTABLE = 0xff;
const NAME_BYTES_MAX = 255;

/** RFC 1928 §6. */
const REPLIES = [
  'succeeded',
  'general failure',
  'connection not allowed',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'TTL expired',
  'command not supported',
  'address type not supported',
];
const UNREACHABLE = new Set([3, 4, 6]);

const fail = (message: string, code: RouteError['code'] = 'ERR_SOCKS_CONNECTION_FAILED'): SocksStep => ({
  do: 'fail',
  failure: { code, message: `SOCKS: ${message}` },
});

function joined(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Uint8Array.from(part)));
}

const portBytes = (port: number): number[] => [port >> 8, port & 0xff];

/** A handshake: `begin`, then each piece of what the proxy says to `take`, until it is done. */
export interface SocksHandshake {
  begin(): SocksStep;
  take(bytes: Uint8Array): SocksStep;
}

abstract class Handshake implements SocksHandshake {
  protected held: Uint8Array = new Uint8Array(0);

  abstract begin(): SocksStep;
  protected abstract next(): SocksStep;

  take(bytes: Uint8Array): SocksStep {
    this.held = this.held.length === 0 ? bytes : joined(this.held, bytes);
    return this.next();
  }

  /** The first `count` bytes, which are then gone; null while there are fewer. */
  protected shift(count: number): Uint8Array | null {
    if (this.held.length < count) return null;
    const taken = this.held.subarray(0, count);
    this.held = this.held.subarray(count);
    return taken;
  }
}

/** RFC 1928. The proxy looks names up. */
export class Socks5 extends Handshake {
  private state: 'method' | 'login' | 'reply' = 'method';

  constructor(
    private readonly target: SocksTarget,
    private readonly login: ProxyLogin | undefined,
  ) {
    super();
  }

  begin(): SocksStep {
    if (this.target.address === null && Buffer.byteLength(this.target.host) > NAME_BYTES_MAX) {
      return fail('a name of more than 255 bytes cannot be asked for', 'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE');
    }
    const methods = this.login === undefined ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USERNAME_PASSWORD];
    return { do: 'send', bytes: joined([5, methods.length], methods) };
  }

  protected next(): SocksStep {
    if (this.state === 'method') return this.method();
    return this.state === 'login' ? this.verdict() : this.reply();
  }

  private method(): SocksStep {
    const answer = this.shift(2);
    if (answer === null) return WAIT;
    const [version, method] = answer as unknown as [number, number];
    if (version !== 5) return fail(`the server answers with version ${version}`);
    if (method === NO_AUTHENTICATION) return this.ask();
    if (method === USERNAME_PASSWORD && this.login !== undefined) {
      this.state = 'login';
      const name = Buffer.from(this.login.username);
      const password = Buffer.from(this.login.password);
      return { do: 'send', bytes: joined([1, name.length], name, [password.length], password) };
    }
    return fail(
      method === NONE_ACCEPTABLE
        ? 'the server accepts no way to log in that we have'
        : `the server wants method ${method}, which was not offered`,
    );
  }

  private verdict(): SocksStep {
    const answer = this.shift(2);
    if (answer === null) return WAIT;
    return answer[1] === 0 ? this.ask() : fail('the name or the password is wrong');
  }

  private ask(): SocksStep {
    this.state = 'reply';
    const { host, port, address } = this.target;
    if (address !== null) {
      return { do: 'send', bytes: joined([5, 1, 0, address.family === 4 ? 1 : 4], address.bytes, portBytes(port)) };
    }
    const name = Buffer.from(host);
    return { do: 'send', bytes: joined([5, 1, 0, 3, name.length], name, portBytes(port)) };
  }

  private reply(): SocksStep {
    const { held } = this;
    if (held.length < 2) return WAIT;
    if (held[0] !== 5) return fail(`the server answers with version ${held[0]}`);
    const code = held[1]!;
    if (code !== 0) {
      const unreachable = UNREACHABLE.has(code);
      const message = REPLIES[code] ?? `failure ${code}`;
      return fail(message, unreachable ? 'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE' : 'ERR_SOCKS_CONNECTION_FAILED');
    }
    if (held.length < 5) return WAIT;
    const bound = held[3] === 1 ? 4 : held[3] === 4 ? 16 : held[3] === 3 ? 1 + held[4]! : -1;
    if (bound < 0) return fail(`the server answers with address type ${held[3]}`);
    return this.shift(4 + bound + 2) === null ? WAIT : { do: 'done', rest: this.held };
  }
}

/** SOCKS 4, and 4a where the host is a name. Version 6 of IP is unknown to it. */
export class Socks4 extends Handshake {
  constructor(private readonly target: SocksTarget) {
    super();
  }

  begin(): SocksStep {
    const { host, port, address } = this.target;
    if (address?.family === 6) return fail('version 4 knows no IPv6', 'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE');
    const name = address === null ? [...Buffer.from(host), 0] : [];
    return { do: 'send', bytes: joined([4, 1], portBytes(port), address?.bytes ?? [0, 0, 0, 1], [0], name) };
  }

  protected next(): SocksStep {
    const answer = this.shift(8);
    if (answer === null) return WAIT;
    if (answer[0] !== 0) return fail(`the server answers with version ${answer[0]}`);
    if (answer[1] !== 90) return fail(`the server refuses with code ${answer[1]}`);
    return { do: 'done', rest: this.held };
  }
}
