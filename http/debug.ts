import diagnostics from 'node:diagnostics_channel';
import { debuglog } from 'node:util';
import { IncomingMessage } from './incoming';
import { OutgoingMessage } from './outgoing';

const debug = debuglog('tapwire:http');

/** What the messages on http's channels have in common, as far as it is printed. */
interface Exchange {
  readonly request?: { readonly method?: string; readonly url?: string; readonly path?: string };
  readonly response?: { readonly statusCode?: number };
  readonly error?: Error;
}

let subscribed = false;

/** With NODE_DEBUG=tapwire:http (or tapwire*) requests and answers go to standard error. Otherwise this does nothing. */
export function debugHttp(): void {
  if (subscribed || !debug.enabled) return;
  subscribed = true;
  follow('http.server.request.start', ({ request }) => `server: ${request?.method} ${request?.url}`);
  follow(
    'http.server.response.finish',
    ({ request, response }) => `server: ${request?.method} ${request?.url} answered ${response?.statusCode}`,
  );
  follow('http.client.request.start', ({ request }) => `client: ${request?.method} ${request?.path}`);
  follow(
    'http.client.response.finish',
    ({ request, response }) => `client: ${request?.method} ${request?.path} was answered ${response?.statusCode}`,
  );
  follow(
    'http.client.request.error',
    ({ request, error }) => `client: ${request?.method} ${request?.path} failed: ${error?.message}`,
  );
}

function follow(channel: string, lineOf: (exchange: Exchange) => string): void {
  diagnostics.subscribe(channel, (message) => {
    const exchange = message as Exchange;
    // Node's own http has the same channels.
    const ours = exchange.request instanceof IncomingMessage || exchange.request instanceof OutgoingMessage;
    if (ours) debug('%j', lineOf(exchange));
  });
}
