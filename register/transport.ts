/**
 * `node --require tapwire/register-net app.js`: only what is below Node's own `http` and `https` changes. Their parser,
 * agents and messages stay Node's; their connections, and the program's own of `net` and `tls`, run on a stack of ours.
 * For programs that need Node's very classes, and to tell a fault of HTTP from one of the transport.
 */
import nodeHttp from 'node:http';
import nodeHttps from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
// Loaded before its exports change: terminals are the kernel's, and their classes derive from Node's own socket.
import 'node:tty';
import type { NetModule } from '../http/module';
import { createTls } from '../http/tls';
import { net } from '../net';
import { setDefaultHost } from '../net/default-host';
import { makeReady } from '../net/loop';
import { listOurHandles } from './active';
import { serveCluster } from './cluster';
import { serveHttp2 } from './http2';
import { defineInstances } from './instances';
import { defineNodeKeys } from './node-keys';
import { patch } from './patch';
import { tellObservers } from './performance';
import { refuseToSendHandles } from './send-handles';
import { completeStreamWraps } from './stream-wrap';
import { hostOrExit, showIfAsked } from './wire';

const builtin = (name: string): object => require(name) as object;

/** A class of Node's that inherits from one that was replaced inherits from its replacement. */
function inheritFrom(derived: unknown, base: unknown): void {
  Object.setPrototypeOf(derived as object, base as object);
  Object.setPrototypeOf((derived as { prototype: object }).prototype, (base as { prototype: object }).prototype);
}

makeReady();
const host = hostOrExit();
if (host !== null) setDefaultHost(host);
showIfAsked();
defineNodeKeys();
tellObservers();
defineInstances();
completeStreamWraps();
serveHttp2();
listOurHandles();
serveCluster();
refuseToSendHandles();
const tls = createTls(net as unknown as NetModule);
patch(builtin('net'), net);
patch(builtin('tls'), tls);
inheritFrom(nodeHttp.Server, net.Server);
inheritFrom(nodeHttps.Server, tls.Server);
// The agent took its function from `net` when it was loaded.
Object.assign(nodeHttp.Agent.prototype, { createConnection: net.createConnection });
syncBuiltinESMExports();
