import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { serveFile } from './files';
import { send, sendText, serveLab } from './labs';
import { htmlStoryPage, type PageFacts, textPage } from './page';
import type { Story } from './story';

/** What the listener needs beside the request. */
export interface HandlerOptions {
  /** The folder whose files are served; null: the page about the connection. */
  root: string | null;
  facts: PageFacts;
  /** What the stack knows of the connection that a request came over. */
  storyOf(req: IncomingMessage): Story | null;
  /** Told of errors that are ours. */
  onError(error: unknown): void;
}

/** The listener of `tapwire serve`: an ordinary one, which works on any Node-shaped HTTP server. */
export function createHandler(options: HandlerOptions): RequestListener {
  const { root } = options;
  return (req, res) => {
    try {
      if (root !== null) serveFile(root, req, res, () => guarded(options, res, () => serveRest(req, res)));
      else if (isPage(req)) servePage(options, req, res);
      else serveRest(req, res);
    } catch (error) {
      fail(options, res, error);
    }
  };
}

const isPage = (req: IncomingMessage): boolean =>
  (req.method === 'GET' || req.method === 'HEAD') && (req.url === '/' || req.url!.startsWith('/?'));

function servePage(options: HandlerOptions, req: IncomingMessage, res: ServerResponse): void {
  const story = options.storyOf(req);
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Vary', 'Accept');
  if ((req.headers.accept ?? '').includes('text/html')) {
    send(res, 200, 'text/html; charset=utf-8', htmlStoryPage(options.facts, story));
  } else {
    sendText(res, 200, textPage(options.facts, story));
  }
}

function serveRest(req: IncomingMessage, res: ServerResponse): void {
  if (!serveLab(req, res)) sendText(res, 404, 'There is nothing here.\n');
}

/** For what happens later than the listener's own call. */
function guarded(options: HandlerOptions, res: ServerResponse, task: () => void): void {
  try {
    task();
  } catch (error) {
    fail(options, res, error);
  }
}

function fail(options: HandlerOptions, res: ServerResponse, error: unknown): void {
  options.onError(error);
  if (res.headersSent) res.destroy();
  else sendText(res, 500, 'Something went wrong on the server; its own output says what.\n');
}
