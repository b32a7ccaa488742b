import type { Hop } from './request-fields';
import type { ResponseHead } from './response-head';
import type {
  Asked,
  AskedEvent,
  Told,
  ToldEvent,
  UploadData,
  WebRequest,
  WebRequestAnswers,
  WebRequestDetails,
  WebRequestEvents,
} from './web-request';

/** Fields that say how a message is delimited and where it goes: not for listeners to change. */
const FRAMING = new Set(['host', 'content-length', 'transfer-encoding']);

let requests = 0;

/** What the listeners of a session's `webRequest` see of one request, and say about it. */
export class Interception {
  private readonly id = ++requests;
  /** What was last told of a response. */
  private head: ResponseHead | null = null;
  private begun = false;
  private over = false;

  constructor(private readonly webRequest: WebRequest) {}

  /** Asks whether a hop may begin. `go` is called once, at once where nobody listens. */
  beforeRequest(hop: Hop, go: (answer: WebRequestAnswers['onBeforeRequest']) => void): void {
    this.begun = true;
    this.ask('onBeforeRequest', hop, () => ({ uploadData: uploadOf(hop) }), go);
  }

  /** Asks what fields a head is sent with: names and values in turn. Null: it is not to be sent. */
  beforeSendHeaders(hop: Hop, lines: string[], go: (lines: string[] | null) => void): void {
    const send = (sent: string[]): void => {
      this.tell('onSendHeaders', hop, () => ({ requestHeaders: recordOf(sent) }));
      go(sent);
    };
    const more = (): { uploadData: UploadData[]; requestHeaders: Record<string, string> } => ({
      uploadData: uploadOf(hop),
      requestHeaders: recordOf(lines),
    });
    this.ask('onBeforeSendHeaders', hop, more, ({ cancel, requestHeaders }) => {
      if (cancel === true) go(null);
      else send(requestHeaders === undefined ? lines : [...framingOf(lines), ...linesOf(requestHeaders)]);
    });
  }

  /** Asks what head a response shall have had. Null: none, the request is cancelled. */
  headersReceived(hop: Hop, head: ResponseHead, go: (head: ResponseHead | null) => void): void {
    this.ask(
      'onHeadersReceived',
      hop,
      () => detailsOf(head),
      ({ cancel, responseHeaders, statusLine }) => {
        this.head = responseHeaders === undefined ? head : head.replaced(responseHeaders, statusLine);
        go(cancel === true ? null : this.head);
      },
    );
  }

  responseStarted(hop: Hop, head: ResponseHead): void {
    this.head = head;
    this.tell('onResponseStarted', hop, () => ({ ...detailsOf(head), fromCache: false as const }));
  }

  beforeRedirect(hop: Hop, head: ResponseHead, to: URL): void {
    const redirectURL = to.href;
    this.tell('onBeforeRedirect', hop, () => ({ ...detailsOf(head), fromCache: false as const, redirectURL }));
  }

  /** The request is at its end; `error` is why, or null. Said once. */
  ended(hop: Hop, error: string | null): void {
    if (this.over || !this.begun) return;
    this.over = true;
    const { head } = this;
    if (error !== null) this.tell('onErrorOccurred', hop, () => ({ fromCache: false as const, error }));
    else if (head !== null) {
      this.tell('onCompleted', hop, () => ({ ...detailsOf(head), fromCache: false as const, error: 'net::OK' }));
    }
  }

  private ask<E extends AskedEvent>(
    event: E,
    hop: Hop,
    more: () => Omit<WebRequestEvents[E], keyof WebRequestDetails>,
    go: (answer: WebRequestAnswers[E]) => void,
  ): void {
    const listener = this.webRequest.listenerFor(event, hop.url) as Asked<E> | undefined;
    if (listener === undefined) return go({});
    let answered = false;
    const callback = (answer?: WebRequestAnswers[E]): void => {
      if (answered || this.over) return;
      answered = true;
      go(answer ?? {});
    };
    guarded(() => listener({ ...this.about(hop), ...more() } as WebRequestEvents[E], callback));
  }

  private tell<E extends ToldEvent>(
    event: E,
    hop: Hop,
    more: () => Omit<WebRequestEvents[E], keyof WebRequestDetails>,
  ): void {
    const listener = this.webRequest.listenerFor(event, hop.url) as Told<E> | undefined;
    if (listener !== undefined) guarded(() => listener({ ...this.about(hop), ...more() } as WebRequestEvents[E]));
  }

  private about({ url, method, headers }: Hop): WebRequestDetails {
    const referrer = headers.text('referer') ?? '';
    return { id: this.id, url: url.href, method, resourceType: 'other', referrer, timestamp: Date.now() };
  }
}

/** What a listener throws is the application's mistake, and not for the network to stumble over. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

const uploadOf = ({ upload }: Hop): UploadData[] =>
  [...(upload?.whole ?? [])].map((bytes) => ({ bytes: Buffer.from(bytes) }));

function recordOf(lines: readonly string[]): Record<string, string> {
  const record = Object.create(null) as Record<string, string>;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!;
    if (FRAMING.has(name.toLowerCase())) continue;
    record[name] = record[name] === undefined ? lines[i + 1]! : `${record[name]}, ${lines[i + 1]}`;
  }
  return record;
}

const framingOf = (lines: readonly string[]): string[] =>
  lines.filter((_, i) => FRAMING.has(lines[i - (i % 2)]!.toLowerCase()));

function linesOf(record: Record<string, string | string[]>): string[] {
  const lines: string[] = [];
  for (const [name, values] of Object.entries(record)) {
    if (FRAMING.has(name.toLowerCase())) continue;
    for (const value of [values].flat()) lines.push(name, String(value));
  }
  return lines;
}

const detailsOf = (
  head: ResponseHead,
): { statusCode: number; statusLine: string; responseHeaders: Record<string, string[]> } => ({
  statusCode: head.statusCode,
  statusLine: head.statusLine,
  responseHeaders: head.distinctAsSpelled(),
});
