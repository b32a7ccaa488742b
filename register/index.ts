/**
 * `node --require tapwire/register app.js`, or `--import`: the program's `http` and `net` run on a stack of ours. The
 * exports of Node's modules are replaced in place, so that whoever required them before sees the same.
 */
import { syncBuiltinESMExports } from 'node:module';
import { http } from '../http';
import { net } from '../net';
import { httpInternals } from './http-internals';
import { patch } from './patch';

const builtin = (name: string): object => require(name) as object;

patch(builtin('net'), net);
patch(builtin('http'), http);
const internals = httpInternals(http);
for (const name of Object.keys(internals)) patch(builtin(name), internals[name]!);
syncBuiltinESMExports();
