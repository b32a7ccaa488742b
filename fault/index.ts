/** Faults on a wire, at a named moment, the same every time. See fault/README.md. */
export * from './actions';
export type { Reply, ReplyError, RequestOptions } from './client';
export type { Conn, End, Side } from './conn';
export { FaultEngine, type Tap } from './engine';
export type { Exchange } from './exchanges';
export * from './match';
export type { HostControl, Medium } from './medium';
export type { Box, BoxOptions } from './middlebox';
export { Origin } from './origin';
export type { PeerScript, RawPeer } from './peer';
export type { Report } from './report';
export { Rule } from './rule';
export { Segment } from './segment';
export { Trace, type TraceEntry } from './trace';
export { type Clock, createWire, type ServeOptions, Wire, type WireOptions } from './wire';
