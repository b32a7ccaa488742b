import type http from 'node:http';

/** A request that an origin's handler was called for. */
export interface Handled {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  /** The body, as far as it came. */
  body: string;
  /** It came to its end: the last byte, or the last chunk. */
  complete: boolean;
}

const BODY_KEPT = 1 << 20;

/** A server under test, with what it was asked. */
export class Origin {
  readonly handled: Handled[] = [];
  /** Errors of its clients, in order: 'clientError' events. */
  readonly clientErrors: Error[] = [];

  constructor(
    readonly server: http.Server,
    /** "http://10.0.0.2:80" */
    readonly url: string,
    readonly address: string,
    readonly port: number,
    private readonly stop: () => void,
  ) {
    server.on('request', (request: http.IncomingMessage) => this.note(request));
  }

  private note(request: http.IncomingMessage): void {
    const handled: Handled = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: '',
      complete: false,
    };
    this.handled.push(handled);
    const push = request.push.bind(request);
    // Looks at what passes, without being a reader: only those that the handler calls make the body flow.
    request.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null) handled.complete = request.complete;
      else if (handled.body.length < BODY_KEPT) handled.body += Buffer.from(chunk as Uint8Array).toString('latin1');
      return push(chunk, encoding);
    };
  }

  /** How many handled requests carry `id`: in the target, in a field, or in the body. */
  count(id: string): number {
    return this.handled.filter(
      ({ url, headers, body }) =>
        url.includes(id) || body.includes(id) || Object.values(headers).some((value) => String(value).includes(id)),
    ).length;
  }

  /** Forgets what it was asked; it goes on listening, and no connection stays open. */
  restart(): void {
    this.server.closeAllConnections();
    this.handled.length = 0;
    this.clientErrors.length = 0;
  }

  /** Stops listening; connections stay as they are. */
  close(): void {
    this.stop();
  }
}
