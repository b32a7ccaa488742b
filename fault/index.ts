/** Faults on a wire, at a named moment, the same every time. See fault/README.md. */
export * from './actions';
export type { Reply, ReplyError, RequestOptions } from './client';
export type { Conn, End, Side } from './conn';
export { ControlServer } from './control';
export { FaultEngine, type Tap } from './engine';
export type { Exchange } from './exchanges';
export {
  type ExploreOptions,
  type ExploreResult,
  explore,
  type FuzzOptions,
  fuzz,
  replay,
  type WireTest,
} from './explore';
export { atMostOnce, bodyIntact, noLeak } from './invariants';
export { type FaultLink, faultLink, type LinkConditions } from './link';
export * from './match';
export { check, type ErrorDetails, matchers, type Phase, type Verdict } from './matchers';
export type { HostControl, Medium } from './medium';
export type { Box, BoxOptions } from './middlebox';
export { type Unused, unusedText } from './misses';
export { Origin } from './origin';
export type { PeerScript, RawPeer } from './peer';
export { type PermuteOptions, permute, type Step } from './permute';
export type { Fault } from './plan';
export { type FaultDevice, faultDevice, type Middlebox, type MiddleboxOptions, openMiddlebox } from './ports';
export { FaultProxy, type ProxyOptions } from './proxy';
export { type Moment, ORDERS, type Order, type Race, race } from './race';
export type { Report } from './report';
export { Rule } from './rule';
export { ACTION_NAMES, actionFrom, type RuleData, ruleFrom, rulesFrom } from './rule-json';
export { Segment } from './segment';
export { type FaultName, fromToken, type Placement, type Plan, toToken } from './token';
export type { Toxic } from './toxics';
export { Trace, type TraceEntry } from './trace';
export { type Clock, createWire, openWires, type ServeOptions, Wire, type WireOptions } from './wire';
