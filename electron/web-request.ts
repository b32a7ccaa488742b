/** `session.webRequest`: what a program may see and change of the requests of a session, as they go. */
import { type UrlPattern, urlPattern } from './url-pattern';

/** Which requests a listener is for. */
export interface WebRequestFilter {
  /** "*://*.foo.com/*", "http://foo:1234/", "<all_urls>"; an empty list is every URL. */
  urls: readonly string[];
  excludeUrls?: readonly string[];
  /** What a page would do with the response. Requests of programs are 'other'. */
  types?: readonly string[];
}

/** What every listener is told. */
export interface WebRequestDetails {
  /** The same in all that is told of one request, its redirects and answers to challenges included. */
  id: number;
  url: string;
  method: string;
  /** What requests of programs are. */
  resourceType: 'other';
  /** The Referer that was set; '' for none. */
  referrer: string;
  /** Milliseconds since 1970. */
  timestamp: number;
}

/** A piece of a body that is known before it is sent. */
export interface UploadData {
  bytes: Buffer;
}

/** A response's head. */
export interface ResponseDetails extends WebRequestDetails {
  statusCode: number;
  /** "HTTP/1.1 200 OK" */
  statusLine: string;
  responseHeaders: Record<string, string[]>;
}

/** What listeners are called with. */
export interface WebRequestEvents {
  onBeforeRequest: WebRequestDetails & { uploadData: UploadData[] };
  onBeforeSendHeaders: WebRequestDetails & { uploadData: UploadData[]; requestHeaders: Record<string, string> };
  onSendHeaders: WebRequestDetails & { requestHeaders: Record<string, string> };
  onHeadersReceived: ResponseDetails;
  onResponseStarted: ResponseDetails & { fromCache: false };
  onBeforeRedirect: ResponseDetails & { fromCache: false; redirectURL: string };
  onCompleted: ResponseDetails & { fromCache: false; error: string };
  onErrorOccurred: WebRequestDetails & { fromCache: false; error: string };
}

/** What is called back; nothing of it is needed. */
export interface WebRequestAnswers {
  onBeforeRequest: { cancel?: boolean; redirectURL?: string };
  onBeforeSendHeaders: { cancel?: boolean; requestHeaders?: Record<string, string | string[]> };
  onHeadersReceived: { cancel?: boolean; responseHeaders?: Record<string, string | string[]>; statusLine?: string };
}

/** Those that are asked, and hold the request up until they have called back. */
export type AskedEvent = keyof WebRequestAnswers;
/** Those that are only told. */
export type ToldEvent = Exclude<keyof WebRequestEvents, AskedEvent>;

/** A listener that is asked. */
export type Asked<E extends AskedEvent> = (
  details: WebRequestEvents[E],
  callback: (answer: WebRequestAnswers[E]) => void,
) => void;
/** A listener that is told. */
export type Told<E extends ToldEvent> = (details: WebRequestEvents[E]) => void;

type AnyListener = (details: never, callback: never) => void;

interface Entry {
  readonly urls: readonly UrlPattern[];
  readonly excluded: readonly UrlPattern[];
  readonly types: readonly string[] | null;
  readonly listener: AnyListener;
}

/**
 * One listener for each event: another takes its place, null takes it away. A filter with a URL pattern that cannot be
 * read is a TypeError.
 */
export class WebRequest {
  private readonly entries = new Map<keyof WebRequestEvents, Entry>();

  /** Before anything is sent: may cancel it, or have another URL asked instead. @throws TypeError */
  onBeforeRequest(...given: Given<Asked<'onBeforeRequest'>>): void {
    this.set('onBeforeRequest', given);
  }
  /** Before a head is sent: may change its fields. @throws TypeError */
  onBeforeSendHeaders(...given: Given<Asked<'onBeforeSendHeaders'>>): void {
    this.set('onBeforeSendHeaders', given);
  }
  /** A head is sent, as it is told. @throws TypeError */
  onSendHeaders(...given: Given<Told<'onSendHeaders'>>): void {
    this.set('onSendHeaders', given);
  }
  /** A head came: may change status and fields, before anything is made of them. @throws TypeError */
  onHeadersReceived(...given: Given<Asked<'onHeadersReceived'>>): void {
    this.set('onHeadersReceived', given);
  }
  /** The application is about to get its response. @throws TypeError */
  onResponseStarted(...given: Given<Told<'onResponseStarted'>>): void {
    this.set('onResponseStarted', given);
  }
  /** A redirect is about to be told. @throws TypeError */
  onBeforeRedirect(...given: Given<Told<'onBeforeRedirect'>>): void {
    this.set('onBeforeRedirect', given);
  }
  /** The whole response has come. @throws TypeError */
  onCompleted(...given: Given<Told<'onCompleted'>>): void {
    this.set('onCompleted', given);
  }
  /** The request failed, or was aborted: net::ERR_ABORTED. @throws TypeError */
  onErrorOccurred(...given: Given<Told<'onErrorOccurred'>>): void {
    this.set('onErrorOccurred', given);
  }

  private set(event: keyof WebRequestEvents, given: Given<AnyListener>): void {
    const [filter, listener] = given.length === 1 ? [{ urls: [] }, given[0]] : given;
    if (listener !== null && typeof listener !== 'function') throw new TypeError('Must pass null or a Function');
    if (listener === null) {
      this.entries.delete(event);
      return;
    }
    const { urls, excludeUrls = [], types = null } = filter;
    if (!Array.isArray(urls)) throw new TypeError(`${event}: the filter has no list of urls`);
    const patterns = (list: readonly string[]): UrlPattern[] => list.map(urlPattern);
    this.entries.set(event, { urls: patterns(urls), excluded: patterns(excludeUrls), types, listener });
  }

  /** Nobody listens to anything. */
  get isIdle(): boolean {
    return this.entries.size === 0;
  }

  /** Whoever listens to an event of this URL. */
  listenerFor(event: keyof WebRequestEvents, url: URL): AnyListener | undefined {
    const entry = this.entries.get(event);
    if (entry === undefined) return undefined;
    const { urls, excluded, types, listener } = entry;
    if (types !== null && !types.includes('other')) return undefined;
    if (urls.length > 0 && !urls.some((fits) => fits(url))) return undefined;
    return excluded.some((fits) => fits(url)) ? undefined : listener;
  }
}

/** A listener, with or without a filter before it. */
export type Given<L> = [listener: L | null] | [filter: WebRequestFilter, listener: L | null];
