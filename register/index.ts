/**
 * `node --require tapwire/register app.js`, or `--import`: the program's `http`, `https`, `net` and `tls` run on a stack of
 * ours. The exports of Node's modules are replaced in place, so that whoever required them before sees the same.
 */
import { syncBuiltinESMExports } from 'node:module';
import type { NetModule } from '../http';
import { http } from '../http';
import { createHttps, tlsOf } from '../http/https';
import { net } from '../net';
import { setDefaultHost } from '../net/default-host';
import { makeReady } from '../net/loop';
import { listOurHandles } from './active';
import { serveCluster } from './cluster';
import { httpInternals } from './http-internals';
import { serveHttp2 } from './http2';
import { defineInstances } from './instances';
import { defineNodeKeys } from './node-keys';
import { patch } from './patch';
import { tellObservers } from './performance';
import { refuseToSendHandles } from './send-handles';
import { completeStreamWraps } from './stream-wrap';
import { hostOrExit, showIfAsked } from './wire';

const builtin = (name: string): object => require(name) as object;
const stack = net as unknown as NetModule;

makeReady();
const host = hostOrExit();
if (host !== null) setDefaultHost(host);
showIfAsked();

defineInstances();
completeStreamWraps();
serveHttp2();
listOurHandles();
serveCluster();
refuseToSendHandles();
defineNodeKeys();
tellObservers();
patch(builtin('net'), net);
patch(builtin('tls'), tlsOf(stack));
patch(builtin('http'), http);
patch(builtin('https'), createHttps(stack));
const internals = httpInternals(http);
for (const name of Object.keys(internals)) patch(builtin(name), internals[name]!);
syncBuiltinESMExports();
