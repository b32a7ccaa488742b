import type * as NodeHttp from 'node:http';
import type * as NodeNet from 'node:net';
import { createElectronNet, type ElectronNet } from '../../../../electron/net';
import type { ClientRequestOptions } from '../../../../electron/options';
import {
  createSessions,
  type ElectronSessions,
  type Session,
  type SessionsOptions,
} from '../../../../electron/session';
import { Lab, type Outcome, run } from '../lab';

/** A lab whose requests have real sessions. */
export class Place extends Lab {
  readonly real: ElectronSessions;
  readonly requests: ElectronNet;

  constructor(options: SessionsOptions = {}) {
    super();
    this.real = createSessions(this.modules, options);
    this.requests = createElectronNet(this.modules, this.real, () => !this.host.isClosed);
  }

  get own(): Session {
    return this.real.defaultSession;
  }

  /** Runs a request of the default session; `login` answers the questions for credentials, in turn. */
  ask(
    options: ClientRequestOptions & { login?: [string, string][] },
    body?: string,
  ): Promise<Outcome & { logins: Login[] }> {
    const { login, ...rest } = options;
    const request = this.requests.request(rest);
    const logins: Login[] = [];
    const answers = [...(login ?? [])];
    if (login !== undefined) {
      request.on('login', (info, callback) => {
        logins.push({ ...info });
        const answer = answers.shift();
        if (answer === undefined) callback();
        else callback(...answer);
      });
    }
    return run(request, body).then((outcome) => ({ ...outcome, logins }));
  }

  override close(): void {
    void this.own.closeAllConnections();
    super.close();
  }

  /** An HTTP proxy: absolute form, and CONNECT. Answers 407 until `fits` likes what it is sent. */
  async proxy(
    fits?: (authorization: string | undefined, method: string, uri: string) => string[] | null,
  ): Promise<Proxy> {
    const { http, net } = this.modules;
    const seen: string[] = [];
    const heads: NodeHttp.IncomingHttpHeaders[] = [];
    const connections: unknown[] = [];
    const server = http.createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      heads.push(request.headers);
      const asked = fits?.(request.headers['proxy-authorization'], request.method!, request.url!) ?? null;
      if (asked !== null) {
        request.resume();
        response.writeHead(407, { 'Proxy-Authenticate': asked }).end('log in');
        return;
      }
      const url = new URL(request.url!);
      const headers = { ...request.headers };
      delete headers['proxy-authorization'];
      const onward = http.request(
        {
          host: url.hostname,
          port: url.port,
          path: url.pathname + url.search,
          method: request.method,
          headers,
          agent: false,
        },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.rawHeaders as never);
          answer.pipe(response);
        },
      );
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
    server.on('connection', (socket) => connections.push(socket));
    server.on('connect', (request, socket, head) => {
      seen.push(`CONNECT ${request.url}`);
      heads.push(request.headers);
      socket.on('error', () => {});
      const asked = fits?.(request.headers['proxy-authorization'], 'CONNECT', request.url!) ?? null;
      if (asked !== null) {
        const lines = asked.map((one) => `Proxy-Authenticate: ${one}\r\n`).join('');
        socket.end(`HTTP/1.1 407 Log in\r\n${lines}Content-Length: 6\r\n\r\nlog in`);
        return;
      }
      const [host, port] = request.url!.split(/:(?=\d+$)/);
      const onward = net.connect({ host: host!, port: Number(port) }, () => {
        socket.write('HTTP/1.1 200 Connected\r\n\r\n');
        onward.write(head);
        onward.pipe(socket);
        socket.pipe(onward);
      });
      onward.on('error', () => socket.destroy());
      socket.on('close', () => onward.destroy());
    });
    const port = await this.listen(server as unknown as NodeNet.Server);
    return { port, seen, heads, connections, address: `127.0.0.1:${port}` };
  }
}

export interface Login {
  isProxy: boolean;
  scheme: string;
  host: string;
  port: number;
  realm: string;
}

export interface Proxy {
  port: number;
  address: string;
  /** "GET http://…", "CONNECT host:port", in their order. */
  seen: string[];
  heads: NodeHttp.IncomingHttpHeaders[];
  connections: unknown[];
}

/** Loopback goes through the proxies as well. */
export const EVERYTHING = '<-loopback>';
