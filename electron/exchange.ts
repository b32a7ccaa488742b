import type * as http from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { BodyFraming, Phase } from './errors';
import { PATIENT } from './patience';
import { orderQueue, type Priority } from './priority';
import { UploadMeter } from './progress';
import type { ElectronModules, Route } from './session-types';
import { type Upload, UploadPump } from './upload';

/** One request on one connection. */
export interface ExchangePlan {
  readonly modules: ElectronModules;
  readonly route: Route;
  readonly url: URL;
  readonly method: string;
  /** The request-target. */
  readonly target: string;
  /** Names and values of all fields in turn. */
  readonly lines: readonly string[];
  /** Null: no body. */
  readonly upload: Upload | null;
  readonly priority: Priority;
  /** Each of a host's addresses is waited for as long as it takes. */
  readonly patient: boolean;
}

/** Whoever hears of an exchange. At most one of the first two is told. */
export interface ExchangeOwner {
  /** A response came; its body waits. */
  responded(exchange: Exchange, response: http.IncomingMessage): void;
  /** There will be no response. */
  failed(exchange: Exchange, error: unknown): void;
  /** More of the body was acknowledged, or handed on. */
  uploaded(exchange: Exchange): void;
}

/** Without an answer's body after this, a connection is not worth to be kept for another request. */
const DISCARD_BYTES = 64 * 1024;

export const hostnameOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');
export const portOf = (url: URL): number => Number(url.port) || (url.protocol === 'https:' ? 443 : 80);

/** One request as it is sent, once, on one connection: until the head of a response, or a failure. */
export class Exchange {
  readonly request: http.ClientRequest;
  response: http.IncomingMessage | null = null;
  phase: Phase = 'connect';
  /** Why it broke, once it has. */
  error: unknown = null;
  meter: UploadMeter | null = null;
  private pump: UploadPump | null = null;
  private over = false;

  /** @throws TypeError for what cannot be sent */
  constructor(
    private readonly plan: ExchangePlan,
    private readonly owner: ExchangeOwner,
  ) {
    const { modules, route, url } = plan;
    const { request } = url.protocol === 'https:' && !route.absoluteForm ? modules.https : modules.http;
    this.request = request({
      protocol: route.absoluteForm ? 'http:' : url.protocol,
      host: hostnameOf(url),
      port: portOf(url),
      method: plan.method,
      path: plan.target,
      agent: route.agent,
      headers: plan.lines as string[],
      setHost: false,
      ...(plan.patient ? PATIENT : {}),
    });
    this.request.on('socket', (socket) => this.started(socket));
    this.request.on('response', (response) => this.responded(response));
    this.request.on('error', (error) => this.broke(error));
    this.request.on('close', () => this.closed());
    orderQueue(route.agent, this.request, plan.priority);
  }

  /** The connection had served other requests, and may have been given up by the server. */
  get wasReused(): boolean {
    return this.request.reusedSocket;
  }

  get uploaded(): number {
    return this.meter?.current ?? 0;
  }

  get framing(): BodyFraming {
    const headers = this.response?.headers ?? {};
    if (headers['transfer-encoding'] !== undefined) return 'chunked';
    return headers['content-length'] === undefined ? 'close' : 'length';
  }

  /** There is a connection, or one in the making: the head can follow. */
  private started(socket: http.ClientRequest['socket'] & object): void {
    if (this.over) return;
    const secured = socket as TLSSocket & { secureConnecting?: boolean };
    const encrypted = secured.encrypted === true;
    if (encrypted && secured.secureConnecting) socket.once('secureConnect', this.connected);
    else if (socket.connecting) socket.once('connect', this.connected);
    else this.phase = 'request';
    const { upload } = this.plan;
    const { request } = this;
    this.meter = new UploadMeter(request, socket, encrypted, upload?.chunked === true, this.progressed);
    if (upload === null) {
      request.end();
      return;
    }
    // The first write sends the head, even when there is nothing in it.
    if (upload.chunked) request.flushHeaders();
    this.pump = new UploadPump(upload, request, this.meter);
    this.pump.run();
  }

  private readonly connected = (): void => {
    if (this.phase === 'connect') this.phase = 'request';
  };

  private readonly progressed = (): void => {
    if (!this.over) this.owner.uploaded(this);
  };

  private responded(response: http.IncomingMessage): void {
    this.response = response;
    this.phase = 'body';
    // What breaks the body is for whoever reads it; here it only must not go unheard.
    response.on('error', (error) => {
      this.error ??= error;
    });
    if (this.over) response.resume();
    else this.owner.responded(this, response);
  }

  private broke(error: unknown): void {
    this.error ??= error;
    if (this.over || this.response !== null) return;
    this.over = true;
    this.settle();
    this.owner.failed(this, error);
  }

  private closed(): void {
    // A 101 that nobody asked for ends like this.
    const refused = Object.assign(new Error('The server switched protocols'), { code: 'HPE_INVALID_CONSTANT' });
    if (this.response === null) this.broke(this.error ?? refused);
    this.settle();
  }

  private settle(): void {
    this.pump?.stop();
    this.meter?.stop();
  }

  /** Ends it, and its connection; the owner hears no more. */
  abandon(): void {
    this.over = true;
    this.settle();
    this.request.destroy();
    if (this.meter === null) this.plan.route.cancel?.(this.request);
    this.response?.destroy();
  }

  /** The response is of no use. When its end is near, the connection can serve another request. */
  discard(): void {
    this.over = true;
    this.settle();
    const { request, response } = this;
    const length = Number(response?.headers['content-length'] ?? 0);
    if (response === null || !request.writableFinished || this.error !== null || length > DISCARD_BYTES) {
      this.abandon();
      return;
    }
    let left = DISCARD_BYTES;
    response.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) request.destroy();
    });
  }

  /** The response has ended. What of the request is still to be sent will not be. */
  finish(): void {
    this.over = true;
    this.settle();
    if (!this.request.writableFinished) this.request.destroy();
  }
}
