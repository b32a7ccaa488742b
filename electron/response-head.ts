import type * as http from 'node:http';

/** Both Node's messages and ours fold fields with these. */
type Folding = http.IncomingMessage & {
  _addHeaderLine(name: string, value: string, into: object): void;
  _addHeaderLineDistinct(name: string, value: string, into: object): void;
};

type Fields = Record<string, string | string[]>;

const STATUS_LINE = /^HTTP\/\d\.\d (\d{3})(?: (.*))?$/;

/** An object whose names are a peer's: none of them is anything to JavaScript. */
const empty = <T extends object>(): T => Object.create(null) as T;

/** The head of a response: as it came, or as a listener of `webRequest` wants it to have come. */
export class ResponseHead {
  private constructor(
    /** Null: nobody sent it. */
    private readonly message: http.IncomingMessage | null,
    readonly statusCode: number,
    readonly statusMessage: string,
    /** Names and values in turn. */
    readonly rawHeaders: string[],
    readonly headers: Fields,
    readonly headersDistinct: Record<string, string[]>,
  ) {}

  /** As it came. */
  static of(message: http.IncomingMessage): ResponseHead {
    const { statusCode, statusMessage, rawHeaders } = message;
    const headers = message.headers as Fields;
    const distinct = message.headersDistinct as Record<string, string[]>;
    return new ResponseHead(message, statusCode!, statusMessage!, rawHeaders, headers, distinct);
  }

  /** The redirect that a listener asks for, as Chromium makes it up. */
  static internalRedirect(location: string): ResponseHead {
    const fields = { location: [location], 'non-authoritative-reason': ['WebRequest API'] };
    const rawHeaders = ['Location', location, 'Non-Authoritative-Reason', 'WebRequest API'];
    return new ResponseHead(null, 307, 'Internal Redirect', rawHeaders, { location }, fields);
  }

  /** With other fields, and, where a line is given that is one, with another status. */
  replaced(fields: Fields, statusLine?: string): ResponseHead {
    const rawHeaders = Object.entries(fields).flatMap(([name, values]) =>
      [values].flat().flatMap((value) => [name, String(value)]),
    );
    const message = this.message as Folding;
    const headers = empty<Fields>();
    const distinct = empty<Record<string, string[]>>();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      message._addHeaderLine(rawHeaders[i]!, rawHeaders[i + 1]!, headers);
      message._addHeaderLineDistinct(rawHeaders[i]!, rawHeaders[i + 1]!, distinct);
    }
    const [, code, text = ''] = STATUS_LINE.exec(statusLine ?? '') ?? [];
    const { statusCode, statusMessage } = this;
    const status = code === undefined ? ([statusCode, statusMessage] as const) : ([Number(code), text] as const);
    return new ResponseHead(message, ...status, rawHeaders, headers, distinct);
  }

  get httpVersion(): string {
    return this.message?.httpVersion ?? '1.1';
  }
  /** "HTTP/1.1 200 OK" */
  get statusLine(): string {
    return `HTTP/${this.httpVersion} ${this.statusCode} ${this.statusMessage}`;
  }

  /** Every value of every field, by the name as it came. */
  distinctAsSpelled(): Record<string, string[]> {
    const all = empty<Record<string, string[]>>();
    const { rawHeaders } = this;
    for (let i = 0; i < rawHeaders.length; i += 2) (all[rawHeaders[i]!] ??= []).push(rawHeaders[i + 1]!);
    return all;
  }

  /** All values of a field. `name` is in lower case. */
  valuesOf(name: string): string[] {
    return valuesOf(this.rawHeaders, name);
  }
}

/** All values of a field, among names and values in turn. `name` is in lower case. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
}
