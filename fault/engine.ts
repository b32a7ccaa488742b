import { Acting, type Context } from './acting';
import type { Action } from './actions';
import { Conn, otherSide, type Seen, type Side } from './conn';
import { DecisionLog } from './decisions';
import { Departures } from './departures';
import { type Exchange, Exchanges } from './exchanges';
import { Fitting, type Hit } from './fitting';
import { dirFrom, Flow, opposite } from './flow';
import { type Dir, type EndName, type Match, matchText } from './match';
import { foreignHosts, type HostControl, type Medium } from './medium';
import { Box, type BoxOptions } from './middlebox';
import { isUnused, missOf, noteMiss, type Unused } from './misses';
import { fitsConn, type Rule, RuleBuilder } from './rule';
import { ACK, FIN, RST, Segment, SYN } from './segment';
import { Silence } from './silence';
import { Trace } from './trace';
import { emit, type Outlet, verdictsOf } from './verdicts';

/** Connections whose segments are known for what they are; those that are remembered for reports. */
const CONNS_MAX = 10_000;
const CONNS_KEPT = 20_000;
/** Of those that were begun and not finished. */
const RULES_MAX = 1000;
const NOTHING_TO_DO = 'nothing was said to do: a rule is on(…).do(…)';

/** What an engine may be told. */
export interface EngineOptions {
  readonly medium: Medium;
  readonly hosts?: HostControl;
  readonly seed?: number;
  /** 'off': rules, actions and boxes are taken and do nothing, so that a test can be seen to fail without its fault. */
  readonly faults?: 'on' | 'off';
}

/**
 * The rules on a wire between two hosts, left and right. Every frame of either comes to `arrives`; what becomes of it goes
 * out through the medium. Passive trackers know states, offsets and phases of HTTP before any rule is asked, so the hosts
 * may be anything that speaks TCP.
 */
export class FaultEngine {
  readonly trace = new Trace();
  readonly exchanges = new Exchanges();
  readonly decisions: DecisionLog;
  readonly rules: Rule[] = [];
  /** The latest, when there are very many. */
  readonly conns: Conn[] = [];
  /** How many there were. */
  connCount = 0;
  readonly medium: Medium;
  private readonly flows = new Map<string, Flow>();
  private readonly taps = new Set<Tap>();
  private readonly boxes: Box[] = [];
  /** Matches that nothing was said to do for. */
  private readonly unfinished = new Set<RuleBuilder>();
  private readonly blocked: Record<Side, boolean> = { left: false, right: false };
  private readonly downs: Record<Side, 'rst' | 'silent' | null> = { left: null, right: null };
  private readonly windows: Record<Side, number | null>;
  private readonly openGates = new Set<string>();
  private readonly departures: Departures;
  private readonly fitting: Fitting;
  private readonly acting: Acting;
  private readonly silence: Silence;
  private readonly armed: boolean;
  /** Between two runs on one wire: rules and boxes do nothing. */
  private resting = false;
  /** Told when a rule acts. */
  onRule: ((rule: Rule, conn: Conn | null) => void) | null = null;

  constructor(options: EngineOptions) {
    this.medium = options.medium;
    this.decisions = new DecisionLog(options.seed ?? 1);
    this.armed = options.faults !== 'off';
    const { medium, trace, decisions, exchanges, rules, flows, blocked, downs, openGates } = this;
    const hosts = options.hosts ?? foreignHosts;
    const windows: Record<Side, number | null> = { left: null, right: null };
    const release = (gate: string): void => this.release(gate);
    const departures = new Departures(medium, trace, windows);
    this.departures = departures;
    this.fitting = new Fitting(decisions, exchanges);
    this.windows = windows;
    this.acting = new Acting({ medium, trace, hosts, departures, flows, blocked, downs, windows, openGates, release });
    this.silence = new Silence(medium, this.fitting, rules, (context) => void this.fire(context));
  }

  // ── rules ──

  /** A rule for what fits `match`: `on(syn()).times(2).do(drop())`. */
  on(match: Match): RuleBuilder {
    const builder = new RuleBuilder(match, (rule) => {
      this.unfinished.delete(builder);
      return this.add(rule);
    });
    if (this.unfinished.size < RULES_MAX) this.unfinished.add(builder);
    return builder;
  }

  add(rule: Rule): Rule {
    this.rules.push(rule);
    rule.since = { at: this.medium.now(), entry: this.trace.count };
    if (!this.armed) rule.off();
    if (rule.match.idle !== undefined) for (const flow of this.flows.values()) this.silence.arm(flow);
    return rule;
  }

  /** Acts now, outside of any connection; what needs one acts on the latest that is open. */
  do(...actions: Action[]): void {
    if (!this.armed) return;
    const conn = this.conns.findLast((candidate) => !candidate.over) ?? null;
    this.acting.act({ rule: null, conn, dir: null, offset: 0 }, actions);
  }

  /** Acts now, on a connection. */
  doOn(conn: Conn, ...actions: Action[]): void {
    if (!this.armed) return;
    this.acting.act({ rule: null, conn, dir: null, offset: 0 }, actions);
  }

  /** Sees every segment before the rules do, and may decide for them. */
  tap(tap: Tap): () => void {
    this.taps.add(tap);
    return () => void this.taps.delete(tap);
  }

  /** A box with a table of connections between the hosts: a NAT, a firewall, a load balancer. */
  middlebox(options: BoxOptions): Box {
    const box = new Box(options, {
      now: () => this.medium.now(),
      at: (at, task) => this.medium.at(at, task),
      reset: (conn, end) => this.acting.reset(conn, end, true, 0, box.label),
      fin: (conn, end) => this.acting.closeEnd(conn, end, box.label),
      note: (text, conn) => this.trace.note(this.medium.now(), 'rule', null, text, conn.id),
    });
    if (this.armed) this.boxes.push(box);
    return box;
  }

  /** Opens a gate from outside. */
  release(gate: string): void {
    this.openGates.add(gate);
    for (const flow of this.flows.values()) {
      flow.lanes.c2s.release(gate);
      flow.lanes.s2c.release(gate);
    }
  }

  /** Lets what there is come to its end: nothing is in its way, and no rule acts until `restart`. */
  rest(): void {
    this.resting = true;
    for (const side of ['left', 'right'] as const) {
      this.blocked[side] = false;
      this.downs[side] = this.windows[side] = null;
    }
    for (const { lanes, blackhole } of this.flows.values()) {
      blackhole.c2s = blackhole.s2c = false;
      for (const lane of [lanes.c2s, lanes.s2c]) for (const gate of [...lane.gates]) lane.release(gate);
    }
  }

  /** As when it was made, with the rules that it has: connections and requests count from 1, nothing has happened yet. */
  restart(): void {
    for (const flow of [...this.flows.values()]) this.drop(flow);
    this.conns.length = this.connCount = 0;
    this.openGates.clear();
    this.exchanges.clear();
    this.trace.clear();
    this.decisions.restart();
    for (const rule of this.rules) rule.restart({ at: this.medium.now(), entry: 0 });
    for (const box of this.boxes) box.restart();
    this.resting = false;
  }

  /** Takes a rule away as if it had never been. */
  remove(rule: Rule): void {
    rule.off();
    const at = this.rules.indexOf(rule);
    if (at >= 0) this.rules.splice(at, 1);
  }

  // ── a frame arrives ──

  /** A frame that `from` sent has come. It is the engine's from here on. Never throws because of what it holds. */
  arrives(from: Side, frame: Uint8Array): void {
    const to = otherSide(from);
    const seg = Segment.read(frame, this.medium.linkType);
    if (seg === null) {
      if (!this.blocked[from] && this.downs[to] === null && this.downs[from] === null) this.medium.deliver(to, frame);
      return;
    }
    const now = this.medium.now();
    const flow = this.flowOf(seg, from, now);
    const { conn } = flow;
    const dir = conn.dirFrom(from);
    const seen = conn.sees(dir, seg, now);
    this.trace.segment(now, 'sent', from, conn, dir, seg);
    if (seen.fresh) this.silence.rearm(flow);
    const lost = this.lostOnTheWay(flow, from, dir, seg, seen);
    if (lost !== null) {
      this.witnessed(flow, dir, seg, seen);
      if (lost !== '') this.trace.segment(now, 'dropped', from, conn, dir, seg, lost);
      return;
    }
    if (this.resting) return this.departures.pass(flow, dir, seg);
    if (this.tapped(flow, dir, seg, seen)) return;
    this.applyRules(flow, dir, seg, seen);
  }

  /** What will not come to the rules is shown to those that only want to know that it was sent. */
  private witnessed(flow: Flow, dir: Dir, seg: Segment, seen: Seen): void {
    const now = this.medium.now();
    for (const rule of this.rules) {
      if (!rule.evenIfLost || rule.spent || !fitsConn(rule.match, flow.conn, now)) continue;
      const points: Hit[] = [];
      if (rule.isPoint) this.fitting.places(rule, flow.conn, dir, seg, seen, points);
      const fits = rule.isPoint ? points.length > 0 : this.fitting.segment(rule, flow.conn, dir, seg, seen);
      if (fits) this.fire({ rule, conn: flow.conn, dir, offset: seen.to });
    }
  }

  private flowOf(seg: Segment, from: Side, now: number): Flow {
    const a = `${seg.sourceKey}:${seg.sourcePort}`;
    const b = `${seg.destinationKey}:${seg.destinationPort}`;
    const key = from === 'left' ? `${a}>${b}` : `${b}>${a}`;
    const known = this.flows.get(key);
    const opens = seg.has(SYN) && !seg.has(ACK);
    if (known !== undefined && !(opens && this.isNew(known.conn, seg, from, now))) return known;
    if (known !== undefined) this.drop(known);
    if (this.flows.size >= CONNS_MAX) this.dropOldest();
    const opener = opens || !seg.has(SYN) ? from : otherSide(from);
    const conn = new Conn(++this.connCount, seg.has(SYN) ? opener : 'left', key, now, this.exchanges);
    this.conns.push(conn);
    if (this.conns.length > CONNS_KEPT) this.conns.shift();
    const flow = new Flow(conn, this.medium);
    this.flows.set(key, flow);
    return flow;
  }

  /** A SYN on addresses that are known: one of a new connection, not the same one again. */
  private isNew(conn: Conn, seg: Segment, from: Side, now: number): boolean {
    const end = conn.dirFrom(from) === 'c2s' ? conn.c : conn.s;
    const again = end.known && end.isn === seg.seq && !conn.over;
    return !again && (conn.over || conn.stateOf('c', now) === 'CLOSED' || conn.stateOf('c', now) === 'TIME-WAIT');
  }

  private drop(flow: Flow): void {
    this.flows.delete(flow.conn.key);
    for (const timer of flow.idleTimers.values()) this.medium.cancel(timer);
  }

  private dropOldest(): void {
    const oldest = this.flows.values().next().value;
    if (oldest !== undefined) this.drop(oldest);
  }

  /** Why a segment does not even come to the rules, '' when it was answered; null when it does. */
  private lostOnTheWay(flow: Flow, from: Side, dir: Dir, seg: Segment, seen: Seen): string | null {
    const { conn } = flow;
    const to = otherSide(from);
    if (this.blocked[from]) return 'partition';
    if (this.downs[from] !== null) return `the ${from === 'left' ? 'client' : 'server'} is down`;
    if (this.downs[to] !== null) {
      if (this.downs[to] === 'rst') this.answerRst(flow, dir, seg);
      return this.downs[to] === 'rst' ? '' : 'down';
    }
    if (flow.forgotten !== null) return this.forgottenBy(flow, flow.forgotten, dir, seg);
    if (flow.played !== null) return this.playedBy(flow, flow.played, dir, seg, seen);
    for (const box of this.resting ? [] : this.boxes) {
      const verdict = box.sees(conn, dir, seg, seen);
      if (verdict === 'rst') this.answerRst(flow, dir, seg);
      if (verdict !== 'pass') return verdict === 'rst' ? '' : box.label;
    }
    return flow.blackhole[dir] ? 'blackhole' : null;
  }

  /** A reset to the sender of `seg`, as the closed port of its destination would send it (RFC 9293 §3.10.7.1). */
  private answerRst(flow: Flow, dir: Dir, seg: Segment): void {
    if (seg.has(RST)) return;
    const reply = seg.has(ACK) ? seg.reply(RST, seg.ack, 0, 0) : seg.reply(RST | ACK, 0, (seg.seq + seg.span) | 0, 0);
    this.departures.forged(flow, opposite(dir), () => reply, 'answered');
  }

  /** The host of `end` has lost all memory. */
  private forgottenBy(flow: Flow, end: EndName, dir: Dir, seg: Segment): string {
    if (dir === dirFrom(end)) return 'the host was rebooted';
    this.answerRst(flow, dir, seg);
    return '';
  }

  /** The engine plays the closed socket of `end`, whose stream it ended. */
  private playedBy(flow: Flow, end: EndName, dir: Dir, seg: Segment, seen: Seen): string | null {
    const { conn } = flow;
    if (dir === dirFrom(end)) return this.unheard(flow, dir, seg, seen);
    if (seg.has(RST)) return null;
    if (seen.fresh || seg.length > 0) {
      // The number that a socket in FIN-WAIT resets with: behind its FIN.
      this.acting.reset(conn, end === 'c' ? 's' : 'c', true, 0, 'answer of the closed peer');
      if (!flow.playedReset) this.acting.reset(conn, end, true, 0, 'its peer was told that it had closed');
      flow.playedReset = true;
      return '';
    }
    if (seen.fin) {
      const from = conn.sender(dir);
      const peer = conn.receiver(dir);
      const ackTo = seg.reply(ACK, from.rcvNxt(peer), (seg.seq + seg.span) | 0, peer.lastWindow);
      this.departures.forged(flow, opposite(dir), () => ackTo, 'answered');
      if (peer.sent > flow.cutAt) {
        this.acting.reset(conn, end, true, 0, 'its peer has closed');
        return '';
      }
    }
    this.departures.pass(flow, dir, seg);
    return '';
  }

  /** What an end sends whose peer takes it for closed. Its own close is acknowledged, so that it can end. */
  private unheard(flow: Flow, dir: Dir, seg: Segment, seen: Seen): string {
    if (seen.fin) {
      const { conn } = flow;
      const reply = seg.reply(
        ACK,
        conn.receiver(dir).sndNxt(),
        (seg.seq + seg.span) | 0,
        conn.receiver(dir).lastWindow,
      );
      this.departures.forged(flow, opposite(dir), () => reply, 'answered');
    }
    return 'behind the end that was forged';
  }

  private tapped(flow: Flow, dir: Dir, seg: Segment, seen: Seen): boolean {
    for (const tap of this.taps) {
      const verdict = tap(seg, { conn: flow.conn, dir, seen, now: this.medium.now() });
      if (verdict === undefined || verdict === 'pass') continue;
      if (verdict === 'drop') {
        this.trace.segment(
          this.medium.now(),
          'dropped',
          flow.conn.sideOf(dir === 'c2s' ? 'c' : 's'),
          flow.conn,
          dir,
          seg,
          'tap',
        );
        return true;
      }
      for (const action of verdict) this.acting.act({ rule: null, conn: flow.conn, dir, offset: seen.from }, [action]);
    }
    return false;
  }

  // ── rules fit ──

  private applyRules(flow: Flow, dir: Dir, seg: Segment, seen: Seen): void {
    const { conn } = flow;
    const now = this.medium.now();
    const points: Hit[] = [];
    const plain: Rule[] = [];
    for (const rule of this.rules) {
      if (rule.spent || rule.match.idle !== undefined) continue;
      if (rule.fits === 0 && !rule.optional && !rule.isPoint) noteMiss(rule, conn, dir, seg, seen, now);
      if (!fitsConn(rule.match, conn, now)) continue;
      if (rule.isPoint) this.fitting.places(rule, conn, dir, seg, seen, points);
      else if (this.fitting.segment(rule, conn, dir, seg, seen)) plain.push(rule);
    }
    points.sort((a, b) => a.cut - b.cut);
    const played = flow.played;
    const rest = this.cutAt(flow, dir, seg, seen, points);
    if (rest === null) return;
    // A rule has just closed the end that this is for: it comes too late.
    if (played === null && flow.played !== null && dir !== dirFrom(flow.played)) {
      this.playedBy(flow, flow.played, dir, rest, seen);
      return;
    }
    this.emitRest(flow, dir, rest, plain, seen);
  }

  /** Cuts the segment at the places of the rules and lets them act there. What is left, or null when that is gone. */
  private cutAt(flow: Flow, dir: Dir, seg: Segment, seen: Seen, points: readonly Hit[]): Segment | null {
    let done = 0;
    for (const { rule, cut } of points) {
      if (cut > done) {
        this.departures.pass(flow, dir, withoutFin(seg.slice(done, cut)));
        done = cut;
      }
      const context = { rule, conn: flow.conn, dir, offset: seen.from + cut };
      if (this.fire(context)) return null;
    }
    if (done === 0) return seg;
    if (done < seg.length || seg.has(FIN)) return seg.slice(done, seg.length);
    return null;
  }

  /** What is left of the segment goes, subject to the verdicts of the rules that fit. */
  private emitRest(flow: Flow, dir: Dir, seg: Segment, plain: readonly Rule[], seen: Seen): void {
    const pending = seg.length > 0 || seg.has(FIN) ? flow.pending[dir].splice(0) : [];
    const verdicts: Action[] = pending.flatMap(({ verdicts: list }) => list);
    const labels: string[] = pending.map(({ rule }) => rule.told);
    for (const { rule } of pending) rule.vain--;
    const fitting = plain.filter((rule) => !rule.spent);
    for (const rule of fitting) {
      verdicts.push(...verdictsOf(rule.actions));
      labels.push(rule.told);
    }
    // A gate closes before the segment; everything else that a rule for segments does comes behind it.
    const contexts = fitting.map((rule) => ({ rule, conn: flow.conn, dir, offset: seen.to }));
    const holds = ({ rule }: Context): boolean => rule!.actions.some((action) => action.do === 'hold');
    for (const context of contexts) if (holds(context)) this.fire(context);
    if (verdicts.length === 0) this.departures.pass(flow, dir, seg);
    else emit(seg, verdicts, this.outlet(flow, dir, labels.join('; ')));
    for (const context of contexts) if (!holds(context)) this.fire(context);
  }

  private outlet(flow: Flow, dir: Dir, label: string): Outlet {
    const lane = flow.lanes[dir];
    const side = flow.conn.sideOf(dir === 'c2s' ? 'c' : 's');
    return {
      decisions: this.decisions,
      now: () => this.medium.now(),
      pass: (seg, delayMs, note) =>
        this.departures.pass(flow, dir, seg, delayMs, `${label}${note === '' ? '' : ` (${note})`}`),
      gap: (ms) => lane.gap(ms),
      aside: (seg, after, forMs) =>
        lane.stepAside(
          () => this.departures.leave(flow, dir, this.departures.mapped(flow, dir, seg), 'delivered', label),
          after,
          forMs,
        ),
      lost: (seg, why) =>
        this.trace.segment(this.medium.now(), 'dropped', side, flow.conn, dir, seg, `${label} (${why})`),
    };
  }

  // ── actions ──

  /** Lets a rule act. True when what follows in the segment must not pass. */
  private fire(context: Context): boolean {
    const rule = context.rule!;
    if (rule.spent || this.resting) return false;
    rule.hits++;
    this.decisions.note(rule.label, context.offset);
    this.trace.note(this.medium.now(), 'rule', null, rule.label, context.conn?.id ?? 0);
    this.onRule?.(rule, context.conn);
    const act = (): boolean => {
      rule.acted++;
      return this.acting.act(context, rule.actions);
    };
    if (rule.when === null) return act();
    rule.when(() => void act());
    return false;
  }

  // ── looking ──

  /** Whether something is under way that must end by itself: a handshake, a request, a segment that waits for its time. */
  get isBusy(): boolean {
    return this.conns.some((conn) => {
      if (conn.over) return false;
      if (!conn.handshakeDone) return conn.c.state === 'SYN-SENT' || conn.s.state === 'SYN-RECEIVED';
      return conn.c.finSent < 0 && conn.exchanges.some((exchange) => isUnderWay(exchange));
    });
  }

  /** Rules and boxes that should have acted and never did, each with what came nearest to it. None with `faults: 'off'`. */
  unused(): Unused[] {
    if (!this.armed) return [];
    const rules = this.rules.filter(isUnused).map((rule) => ({ label: rule.label, why: missOf(rule, this) }));
    const boxes = this.boxes.filter((box) => box.isUnused);
    const silent = [...this.unfinished].map(({ match }) => ({ label: matchText(match), why: NOTHING_TO_DO }));
    return [...rules, ...boxes.map((box) => ({ label: box.label, why: box.miss() })), ...silent];
  }
}

/** Sees segments before the rules. May answer 'drop', or actions. */
export type Tap = (
  segment: Segment,
  context: { readonly conn: Conn; readonly dir: Dir; readonly seen: Seen; readonly now: number },
) => 'pass' | 'drop' | readonly Action[] | undefined | void;

/** A place is before the FIN that comes with the bytes: that is part of what follows. */
function withoutFin(seg: Segment): Segment {
  if (!seg.has(FIN)) return seg;
  seg.flags &= ~FIN;
  return seg.seal();
}

/** The client has not got the whole response, and still can. */
function isUnderWay({ outcome, res, conn }: Exchange): boolean {
  return outcome === 'open' || (outcome === 'complete' && !conn.c.finGot && conn.c.got.next < (res?.end ?? 0));
}
