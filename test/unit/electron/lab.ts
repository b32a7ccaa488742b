import { EventEmitter, once } from 'node:events';
import type * as NodeHttp from 'node:http';
import type * as NodeNet from 'node:net';
import type { ClientRequest } from '../../../electron/client-request';
import { modulesOf } from '../../../electron/modules';
import { createElectronNet, type ElectronNet } from '../../../electron/net';
import type { ClientRequestOptions } from '../../../electron/options';
import type {
  AuthChallenge,
  Authorization,
  AuthTarget,
  Credentials,
  ElectronModules,
  ProxyServer,
  RequestSession,
  Route,
  Sessions,
  TrackedRequest,
} from '../../../electron/session-types';
import { WebRequest } from '../../../electron/web-request';
import { createHost, type Host } from '../../../net/host';

/** A session of the simplest kind: a jar of cookies by host, Basic credentials by realm, agents that connect directly. */
export class PlainSession implements RequestSession {
  userAgent = 'lab';
  acceptLanguage = '';
  browserHeaders = false;
  contentDecoding = true;
  offline = false;
  readonly webRequest = new WebRequest();
  readonly cookies = new Map<string, Map<string, string>>();
  readonly credentials = new Map<string, Credentials>();
  readonly tracked = new Set<TrackedRequest>();
  proxies: readonly ProxyServer[] = [{ type: 'direct' }];
  readonly agents: { http: NodeHttp.Agent; https: NodeHttp.Agent };

  constructor(
    readonly modules: ElectronModules,
    agentOptions: object = {},
  ) {
    const options = { keepAlive: true, maxSockets: 6, rejectUnauthorized: false, ...agentOptions };
    this.agents = { http: new modules.http.Agent(options), https: new modules.https.Agent(options) };
  }

  cookieHeader(url: URL): string | undefined {
    const jar = this.cookies.get(url.hostname);
    if (jar === undefined || jar.size === 0) return undefined;
    return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }
  storeCookies(url: URL, setCookie: readonly string[]): void {
    const jar = this.cookies.get(url.hostname) ?? new Map<string, string>();
    this.cookies.set(url.hostname, jar);
    for (const line of setCookie) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined) jar.set(name, value!);
    }
  }
  proxiesFor(): readonly ProxyServer[] {
    return this.proxies;
  }
  proxyFailed(): void {}
  takeAuthenticationInfo(): boolean {
    return false;
  }
  route(url: URL): Route {
    return { agent: url.protocol === 'https:' ? this.agents.https : this.agents.http, absoluteForm: false };
  }
  readChallenge(target: AuthTarget, fields: readonly string[]): AuthChallenge | undefined {
    const [, realm] = /^basic realm="([^"]*)"/i.exec(fields[0] ?? '') ?? [];
    return realm === undefined ? undefined : { ...target, scheme: 'basic', realm, parameters: { realm } };
  }
  private place({ host, port }: AuthTarget): string {
    return `${host}:${port}`;
  }
  preemptiveAuthorization(target: AuthTarget): Authorization | undefined {
    const credentials = this.credentials.get(this.place(target));
    return credentials === undefined ? undefined : basic(credentials);
  }
  credentialsFor(challenge: AuthChallenge, rejected: Credentials | undefined): Credentials | undefined {
    const kept = this.credentials.get(this.place(challenge));
    if (kept === undefined || kept !== rejected) return kept;
    this.credentials.delete(this.place(challenge));
    return undefined;
  }
  rememberCredentials(challenge: AuthChallenge, credentials: Credentials): void {
    this.credentials.set(this.place(challenge), credentials);
  }
  forgetCredentials(challenge: AuthChallenge): void {
    this.credentials.delete(this.place(challenge));
  }
  authorize(_challenge: AuthChallenge, credentials: Credentials): Authorization {
    return basic(credentials);
  }
  track(request: TrackedRequest): void {
    this.tracked.add(request);
  }
  untrack(request: TrackedRequest): void {
    this.tracked.delete(request);
  }
  async resolveHost(host: string): Promise<{ endpoints: { address: string; family: 'ipv4' | 'ipv6' }[] }> {
    const found = await this.modules.lookup(host, {});
    return { endpoints: found.map(({ address, family }) => ({ address, family: family === 4 ? 'ipv4' : 'ipv6' })) };
  }
}

export const basic = (credentials: Credentials): Authorization => ({
  value: `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`,
  credentials,
});

class PlainSessions implements Sessions<PlainSession> {
  readonly Session = PlainSession;
  readonly defaultSession: PlainSession;
  private readonly named = new Map<string, PlainSession>();
  constructor(private readonly modules: ElectronModules) {
    this.defaultSession = new PlainSession(modules);
  }
  fromPartition(name: string): PlainSession {
    if (name === '') return this.defaultSession;
    const session = this.named.get(name) ?? new PlainSession(this.modules);
    this.named.set(name, session);
    return session;
  }
  requestSession(session: PlainSession): RequestSession {
    return session;
  }
  /** Ends their connections. */
  close(): void {
    for (const { agents } of [this.defaultSession, ...this.named.values()]) {
      agents.http.destroy();
      agents.https.destroy();
    }
  }
}

type Handler = (request: NodeHttp.IncomingMessage, response: NodeHttp.ServerResponse) => void;

const NAMES = { 'nowhere.invalid': [], 'other.test': ['127.0.0.1'], 'both.test': ['127.0.0.1', '::1'] };

/** A host with Electron's net, and servers on the same host. */
export class Lab {
  readonly host: Host = createHost({ devices: [], names: NAMES });
  readonly modules = modulesOf(this.host) as ElectronModules & {
    http: typeof NodeHttp;
    net: typeof NodeNet;
    https: typeof import('node:https');
  };
  readonly sessions = new PlainSessions(this.modules);
  readonly electron: ElectronNet = createElectronNet(this.modules, this.sessions, () => !this.host.isClosed);
  private readonly servers: NodeNet.Server[] = [];

  get session(): PlainSession {
    return this.sessions.defaultSession;
  }

  /** Serves HTTP; gives the origin. */
  async serve(handler: Handler): Promise<string> {
    return `http://127.0.0.1:${await this.listen(this.modules.http.createServer(handler))}`;
  }

  /** Serves bytes. */
  async accept(listener: (socket: NodeNet.Socket) => void): Promise<string> {
    const server = this.modules.net.createServer((socket) => {
      socket.on('error', () => {});
      listener(socket);
    });
    return `http://127.0.0.1:${await this.listen(server)}`;
  }

  async listen(server: NodeNet.Server, port = 0): Promise<number> {
    this.servers.push(server);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as NodeNet.AddressInfo).port;
  }

  request(options: string | ClientRequestOptions): ClientRequest {
    return this.electron.request(options);
  }

  /** A POST that is still to be written and ended. */
  post(url: string, options: ClientRequestOptions = {}): ClientRequest {
    return this.request({ method: 'POST', url, ...options });
  }

  /** Ends everything: what is left open would keep the test's process alive. */
  close(): void {
    for (const server of this.servers) server.close();
    this.sessions.close();
    this.host.close();
  }
}

export interface Outcome {
  events: string[];
  status: number | undefined;
  body: string;
  error: (Error & { code?: string; cause?: unknown }) | undefined;
}

const REQUEST_EVENTS = ['finish', 'response', 'login', 'redirect', 'abort', 'error', 'close'];
const RESPONSE_EVENTS = ['end', 'aborted', 'error', 'close'];

/** What a request and its response tell, in order, until the request's 'close'. */
export function outcomeOf(request: ClientRequest): Promise<Outcome> {
  const outcome: Outcome = { events: [], status: undefined, body: '', error: undefined };
  const log = (name: string): void => void outcome.events.push(name);
  for (const name of REQUEST_EVENTS) {
    // A listener would change what 'login' means.
    if (name !== 'login' || request.listenerCount('login') > 0) request.on(name, () => log(name));
  }
  request.on('error', (error) => {
    outcome.error = error;
  });
  request.on('response', (response) => {
    outcome.status = response.statusCode;
    for (const name of RESPONSE_EVENTS) response.on(name, () => log(`response ${name}`));
    response.on('data', (chunk: Buffer) => {
      outcome.body += chunk.toString('latin1');
    });
  });
  return new Promise((resolve) => request.on('close', () => resolve(outcome)));
}

/** Resolves when a condition holds; looks again after whatever happens in the program. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export const bodyOf = async (message: NodeHttp.IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

export { EventEmitter, once };

/** Runs a request to its end; `body` is its whole body. */
export async function run(request: ClientRequest, body?: string | Buffer): Promise<Outcome> {
  const outcome = outcomeOf(request);
  if (body === undefined) request.end();
  else request.end(body);
  return outcome;
}

export interface Wire {
  origin: string;
  /** What came on each connection, as latin1. */
  received: string[];
  /** The same by request, in the order in which they were complete. */
  requests: string[];
  sockets: NodeNet.Socket[];
}

/** A response without a body. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** A redirect without a body. */
export const redirectTo = (location: string, status = 302): string =>
  `HTTP/1.1 ${status} Away\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;

/** The first line of each. */
export const headsOf = (requests: readonly string[]): string[] => requests.map((text) => text.split('\r\n')[0]!);

/** A server of bytes: answers with the next of `answers` (the last again and again) when a whole request has come. */
export async function wire(lab: Lab, answers: readonly string[] = [OK], end = false): Promise<Wire> {
  const made: Wire = { origin: '', received: [], requests: [], sockets: [] };
  let next = 0;
  made.origin = await lab.accept((socket) => {
    const index = made.received.push('') - 1;
    let unread = '';
    made.sockets.push(socket);
    socket.on('data', (chunk: Buffer) => {
      made.received[index] += chunk.toString('latin1');
      unread += chunk.toString('latin1');
      if (!isWhole(unread)) return;
      made.requests.push(unread);
      unread = '';
      const answer = answers[Math.min(next++, answers.length - 1)]!;
      if (end) socket.end(answer, 'latin1');
      else socket.write(answer, 'latin1');
    });
  });
  return made;
}

function isWhole(text: string): boolean {
  const at = text.indexOf('\r\n\r\n');
  if (at < 0) return false;
  const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
  if (/transfer-encoding: chunked/i.test(text)) return text.endsWith('0\r\n\r\n');
  return text.length >= at + 4 + length;
}
