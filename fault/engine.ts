import type { Action, HostName } from './actions';
import { actionText } from './actions';
import { Conn, otherSide, type Seen, type Side } from './conn';
import { DecisionLog } from './decisions';
import { type Exchange, Exchanges } from './exchanges';
import { forgeFin, forgeRst, forgeText, forgeWindow } from './forge';
import { Lane } from './lane';
import { type Dir, type EndName, type Match, matchText } from './match';
import { foreignHosts, type HostControl, type Medium } from './medium';
import { type MessageMap, offsetOf } from './messages';
import { Box, type BoxOptions } from './middlebox';
import { fitsConn, type Rule, RuleBuilder } from './rule';
import { ACK, FIN, flagBits, RST, Segment, SYN } from './segment';
import { Trace } from './trace';
import { emit, type Outlet, verdictsOf } from './verdicts';

/** Connections whose segments are known for what they are; those that are remembered for reports. */
const CONNS_MAX = 10_000;
const CONNS_KEPT = 20_000;

/** What a rule's actions act on. */
interface Context {
  readonly rule: Rule | null;
  readonly conn: Conn | null;
  readonly dir: Dir | null;
  /** Offset in the stream of `dir` where it happens. */
  readonly offset: number;
}

/** A rule that fits a segment, and where in its text. */
interface Hit {
  readonly rule: Rule;
  /** Bytes of the segment's text before the place. */
  readonly cut: number;
}

/** What the engine knows of a connection beside what its tracker does. */
class Flow {
  readonly lanes: Record<Dir, Lane>;
  readonly blackhole: Record<Dir, boolean> = { c2s: false, s2c: false };
  /** The end whose closed socket the engine plays. */
  played: EndName | null = null;
  /** That end itself was reset, so that it does not wait for ever. */
  playedReset = false;
  /** Offset in the stream of the end that is played at which it was cut. */
  cutAt = Number.POSITIVE_INFINITY;
  /** The end whose host was rebooted: it knows nothing of the connection. */
  forgotten: EndName | null = null;
  /** Verdicts for the next segment of a direction that has something at or behind the place. */
  readonly pending: Record<Dir, { rule: Rule; verdicts: Action[] }[]> = { c2s: [], s2c: [] };
  readonly idleTimers = new Map<Rule, unknown>();

  constructor(
    readonly conn: Conn,
    medium: Medium,
  ) {
    this.lanes = { c2s: new Lane(medium), s2c: new Lane(medium) };
  }
}

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
  private readonly hosts: HostControl;
  private readonly flows = new Map<string, Flow>();
  private readonly taps = new Set<Tap>();
  private readonly boxes: Box[] = [];
  private readonly blocked: Record<Side, boolean> = { left: false, right: false };
  private readonly downs: Record<Side, 'rst' | 'silent' | null> = { left: null, right: null };
  private readonly windows: Record<Side, number | null> = { left: null, right: null };
  private readonly openGates = new Set<string>();
  private readonly armed: boolean;
  /** Told when a rule acts. */
  onRule: ((rule: Rule, conn: Conn | null) => void) | null = null;

  constructor(options: EngineOptions) {
    this.medium = options.medium;
    this.hosts = options.hosts ?? foreignHosts;
    this.decisions = new DecisionLog(options.seed ?? 1);
    this.armed = options.faults !== 'off';
  }

  // ── rules ──

  /** A rule for what fits `match`: `on(syn()).times(2).do(drop())`. */
  on(match: Match): RuleBuilder {
    return new RuleBuilder(match, (rule) => this.add(rule));
  }

  add(rule: Rule): Rule {
    this.rules.push(rule);
    if (!this.armed) rule.off();
    if (rule.match.idle !== undefined) for (const flow of this.flows.values()) this.armIdle(flow);
    return rule;
  }

  /** Acts now, outside of any connection; what needs one acts on the latest that is open. */
  do(...actions: Action[]): void {
    if (!this.armed) return;
    const conn = this.conns.findLast((candidate) => !candidate.over) ?? null;
    this.act({ rule: null, conn, dir: null, offset: 0 }, actions);
  }

  /** Acts now, on a connection. */
  doOn(conn: Conn, ...actions: Action[]): void {
    if (!this.armed) return;
    this.act({ rule: null, conn, dir: null, offset: 0 }, actions);
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
      reset: (conn, end) => this.reset(conn, end, true, 0, box.label),
      fin: (conn, end) => this.closeEnd(conn, end, box.label),
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
    if (seen.fresh) this.rearmIdle(flow);
    const lost = this.lostOnTheWay(flow, from, dir, seg, seen);
    if (lost !== null) {
      if (lost !== '') this.trace.segment(now, 'dropped', from, conn, dir, seg, lost);
      return;
    }
    if (this.tapped(flow, dir, seg, seen)) return;
    this.applyRules(flow, dir, seg, seen);
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
    for (const box of this.boxes) {
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
    this.forged(flow, opposite(dir), () => reply, 'answered');
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
      this.reset(conn, end === 'c' ? 's' : 'c', true, 0, 'answer of the closed peer');
      if (!flow.playedReset) this.reset(conn, end, true, 0, 'its peer was told that it had closed');
      flow.playedReset = true;
      return '';
    }
    if (seen.fin) {
      const from = conn.sender(dir);
      const peer = conn.receiver(dir);
      const ackTo = seg.reply(ACK, from.rcvNxt(peer), (seg.seq + seg.span) | 0, peer.lastWindow);
      this.forged(flow, opposite(dir), () => ackTo, 'answered');
      if (peer.sent > flow.cutAt) {
        this.reset(conn, end, true, 0, 'its peer has closed');
        return '';
      }
    }
    this.pass(flow, dir, seg);
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
      this.forged(flow, opposite(dir), () => reply, 'answered');
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
      for (const action of verdict) this.act({ rule: null, conn: flow.conn, dir, offset: seen.from }, [action]);
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
      if (rule.spent || rule.match.idle !== undefined || !fitsConn(rule.match, conn, now)) continue;
      if (rule.isPoint) this.findPlaces(rule, conn, dir, seg, seen, points);
      else if (this.fits(rule, conn, dir, seg, seen)) plain.push(rule);
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

  private fits(rule: Rule, conn: Conn, dir: Dir, seg: Segment, seen: Seen): boolean {
    const m = rule.match;
    if (m.dir !== undefined && m.dir !== dir) return false;
    if (m.handshake !== undefined && m.handshake !== seen.handshake) return false;
    if (m.flags !== undefined && !fitsFlags(m.flags, seg.flags)) return false;
    if (m.len !== undefined && (seg.length < m.len[0] || seg.length > m.len[1])) return false;
    if (m.again !== undefined && m.again !== (seg.length > 0 && !seen.fresh && !seen.probe)) return false;
    rule.fits++;
    if (m.nth !== undefined && rule.fits !== m.nth) return false;
    if (m.every !== undefined && rule.fits % m.every !== 0) return false;
    if (m.p !== undefined && !this.decisions.chance(rule.label, m.p)) return false;
    void conn;
    return true;
  }

  /** The places that a rule names and that lie in this segment, which the trackers have read already. */
  private findPlaces(rule: Rule, conn: Conn, dir: Dir, seg: Segment, seen: Seen, into: Hit[]): void {
    const m = rule.match;
    const consider = (offset: number | null, key: string, isBegin: boolean): void => {
      if (offset === null || rule.spent) return;
      const inside = isBegin ? offset >= seen.from && offset < seen.to : offset > seen.from && offset <= seen.to;
      if (!inside || seg.length === 0 || !rule.firstAt(`${conn.id} ${key}`)) return;
      rule.fits++;
      if (m.nth !== undefined && rule.fits !== m.nth) return;
      if (m.every !== undefined && rule.fits % m.every !== 0) return;
      if (m.p !== undefined && !this.decisions.chance(rule.label, m.p)) return;
      into.push({ rule, cut: offset - seen.from });
    };
    if (m.seqAt !== undefined && m.dir === dir) consider(m.seqAt, 'seq', m.seqAt === 0);
    if (m.tlsRecord !== undefined && m.dir === dir)
      consider(conn.sender(dir).tls?.[m.tlsRecord - 1] ?? null, 'tls', false);
    if (m.http === undefined || (m.http.side === 'req') !== (dir === 'c2s')) return;
    for (const message of conn.messages(m.http.side)) {
      if (message.end >= 0 && message.end < seen.from) continue;
      if (!this.fitsMessage(m, message)) continue;
      const { at } = m.http;
      const offset = at === 'continue' ? (message.end < 0 ? null : message.end) : offsetOf(message, { ...m.http, at });
      consider(offset, `${m.http.side} ${message.begin}`, at === 'begin' || offset === message.begin);
    }
  }

  private fitsMessage(m: Match, message: MessageMap): boolean {
    const { exchange, path, at } = m.http!;
    if (exchange !== undefined && message.exchange !== exchange) return false;
    const interim = message.status >= 100 && message.status < 200 && message.status !== 101;
    if (interim !== (at === 'continue')) return false;
    if (path === undefined) return true;
    const target = message.side === 'req' ? message.target : this.exchanges.numbered(message.exchange)?.req?.target;
    return target !== undefined && target !== '' && path.test(target);
  }

  /** Cuts the segment at the places of the rules and lets them act there. What is left, or null when that is gone. */
  private cutAt(flow: Flow, dir: Dir, seg: Segment, seen: Seen, points: readonly Hit[]): Segment | null {
    let done = 0;
    for (const { rule, cut } of points) {
      if (cut > done) {
        this.pass(flow, dir, seg.slice(done, cut));
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
    const labels: string[] = pending.map(({ rule }) => rule.label);
    const fitting = plain.filter((rule) => !rule.spent);
    for (const rule of fitting) {
      verdicts.push(...verdictsOf(rule.actions));
      labels.push(rule.label);
    }
    // A gate closes before the segment; everything else that a rule for segments does comes behind it.
    const contexts = fitting.map((rule) => ({ rule, conn: flow.conn, dir, offset: seen.to }));
    const holds = ({ rule }: Context): boolean => rule!.actions.some((action) => action.do === 'hold');
    for (const context of contexts) if (holds(context)) this.fire(context);
    if (verdicts.length === 0) this.pass(flow, dir, seg);
    else emit(seg, verdicts, this.outlet(flow, dir, labels.join('; ')));
    for (const context of contexts) if (!holds(context)) this.fire(context);
  }

  private outlet(flow: Flow, dir: Dir, label: string): Outlet {
    const lane = flow.lanes[dir];
    const side = flow.conn.sideOf(dir === 'c2s' ? 'c' : 's');
    return {
      decisions: this.decisions,
      now: () => this.medium.now(),
      pass: (seg, delayMs, note) => this.pass(flow, dir, seg, delayMs, `${label}${note === '' ? '' : ` (${note})`}`),
      gap: (ms) => lane.gap(ms),
      aside: (seg, after, forMs) =>
        lane.stepAside(() => this.leave(flow, dir, this.mapped(flow, dir, seg), 'delivered', label), after, forMs),
      lost: (seg, why) =>
        this.trace.segment(this.medium.now(), 'dropped', side, flow.conn, dir, seg, `${label} (${why})`),
    };
  }

  // ── segments leave ──

  /** A segment that its sender sent goes on: its numbers are shifted for what was put into the streams. */
  private pass(flow: Flow, dir: Dir, seg: Segment, delayMs = 0, label = ''): void {
    const pieces = this.splitAtInsertions(flow, dir, seg);
    for (const piece of pieces) {
      const mapped = this.mapped(flow, dir, piece);
      flow.lanes[dir].enter(() => this.leave(flow, dir, mapped, 'delivered', label), delayMs);
    }
  }

  private splitAtInsertions(flow: Flow, dir: Dir, seg: Segment): Segment[] {
    const from = flow.conn.sender(dir);
    if (from.insertions.length === 0 || seg.length === 0) return [seg];
    const begin = from.offset(seg.seq);
    const pieces: Segment[] = [];
    let done = 0;
    for (const { at } of from.insertions) {
      const cut = at - begin;
      if (cut <= done || cut >= seg.length) continue;
      pieces.push(seg.slice(done, cut));
      done = cut;
    }
    pieces.push(done === 0 ? seg : seg.slice(done, seg.length));
    return pieces;
  }

  /** In the numbers of the receiver. */
  private mapped(flow: Flow, dir: Dir, seg: Segment): Segment {
    const { conn } = flow;
    const from = conn.sender(dir);
    const to = conn.receiver(dir);
    const forgedFin = flow.played !== null && dir !== dirFrom(flow.played);
    const host = this.windows[conn.sideOf(dir === 'c2s' ? 'c' : 's')];
    if (from.insertions.length === 0 && to.insertions.length === 0 && !forgedFin && host === null) return seg;
    const made = seg.copy();
    if (!made.has(SYN)) made.seq = from.wireSeq(from.offset(seg.seq));
    if (made.has(ACK) && !made.has(SYN)) {
      const limit = (to.isn + 1 + Math.min(to.sent, flow.cutAt) + (to.finSent >= 0 && !forgedFin ? 1 : 0)) | 0;
      const own = to.ownSeq(seg.ack);
      made.ack = ((own - limit) | 0) > 0 ? limit : own;
      made.mapSack((edge) => to.ownSeq(edge));
    }
    if (host !== null && !made.has(RST)) made.window = Math.min(0xffff, made.has(SYN) ? host : host >>> from.scale);
    return made.seal();
  }

  private leave(flow: Flow, dir: Dir, seg: Segment, kind: 'delivered' | 'forged' | 'answered', label: string): void {
    const { conn } = flow;
    const now = this.medium.now();
    const to = conn.sideOf(dir === 'c2s' ? 's' : 'c');
    conn.delivers(dir, seg, now);
    const forged = kind !== 'delivered';
    this.trace.segment(
      now,
      forged ? 'forged' : 'delivered',
      to,
      conn,
      dir,
      seg,
      kind === 'answered' ? `${label}answer for the peer` : label,
    );
    this.medium.deliver(to, seg.frame);
  }

  /** A segment that nobody sent, made at the very moment when it leaves. */
  private forged(flow: Flow, dir: Dir, make: () => Segment | null, kind: 'forged' | 'answered', label = ''): void {
    const send = (): void => {
      const seg = make();
      if (seg !== null) this.leave(flow, dir, seg, kind, label);
    };
    // A gate holds what the hosts sent, not what a rule sends.
    if (flow.lanes[dir].gates.size > 0) this.medium.at(this.medium.now() + this.medium.wakeGapMs, send);
    else flow.lanes[dir].enter(send);
  }

  // ── actions ──

  /** Lets a rule act. True when what follows in the segment must not pass. */
  private fire(context: Context): boolean {
    const rule = context.rule!;
    if (rule.spent) return false;
    rule.hits++;
    this.decisions.note(rule.label, context.offset);
    this.trace.note(this.medium.now(), 'rule', null, rule.label, context.conn?.id ?? 0);
    this.onRule?.(rule, context.conn);
    if (rule.when !== null) {
      rule.when(() => this.act(context, rule.actions));
      return false;
    }
    return this.act(context, rule.actions);
  }

  private act(context: Context, actions: readonly Action[]): boolean {
    const { conn, dir } = context;
    const flow = conn === null ? null : (this.flows.get(conn.key) ?? null);
    const together = actions.some(({ do: what }) => what === 'coalesce');
    let ends = false;
    let first = true;
    for (const action of actions) {
      if (flow !== null && dir !== null && this.verdict(context, flow, dir, action)) continue;
      ends = this.perform(context, flow, action, together || !first) || ends;
      if (SENDS.has(action.do) || action.do === 'split') first = false;
    }
    return ends;
  }

  /** At a place, a verdict is for what follows it. Those of rules for segments were given before. True: it is a verdict. */
  private verdict(context: Context, flow: Flow, dir: Dir, action: Action): boolean {
    if (verdictsOf([action]).length === 0) return false;
    const rule = context.rule;
    if (rule === null) throw new Error(`${action.do} acts on a segment; give it to on(match).do(…)`);
    if (rule.isPoint) flow.pending[dir].push({ rule, verdicts: [action] });
    return true;
  }

  /** One action that is no verdict. True when the stream it happened in is over. */
  private perform(context: Context, flow: Flow | null, action: Action, together: boolean): boolean {
    const { conn, dir } = context;
    const label = context.rule?.label ?? actionText(action);
    switch (action.do) {
      case 'rst':
      case 'fin':
      case 'icmp':
      case 'inject':
      case 'hold':
      case 'blackhole':
        if (flow === null || conn === null) throw new Error(`${action.do} needs a connection, and there is none`);
        return this.performOn(flow, dir, context.offset, action, together, label);
      case 'release':
        this.release(action.gate);
        return false;
      case 'split':
        if (flow !== null && dir !== null) flow.lanes[dir].gap(action.gapMs ?? this.medium.wakeGapMs);
        return false;
      case 'window':
        this.setWindow(this.sideOf(action.host, conn), action.bytes);
        return false;
      case 'stall':
      case 'freeze':
      case 'jump':
        this.hosts[action.do](this.sideOf(action.host, conn), action.ms);
        return false;
      case 'reboot':
        this.reboot(this.sideOf(action.host, conn));
        return false;
      case 'down':
        this.downs[this.sideOf(action.host, conn)] = action.how;
        return false;
      case 'up':
        this.downs[this.sideOf(action.host, conn)] = null;
        return false;
      case 'partition':
        this.blocked[this.sideOf(action.from, conn)] = true;
        if (!action.oneway) this.blocked[this.sideOf(action.to, conn)] = true;
        return false;
      case 'heal':
        this.blocked.left = this.blocked.right = false;
        return false;
      case 'call':
        action.task();
        return false;
      case 'coalesce': // was read before
        return false;
      default:
        if (context.rule === null || dir === null)
          throw new Error(`${action.do} acts on a segment; give it to on(match).do(…)`);
        return false;
    }
  }

  private performOn(
    flow: Flow,
    dir: Dir | null,
    offset: number,
    action: Action,
    together: boolean,
    label: string,
  ): boolean {
    const { conn } = flow;
    switch (action.do) {
      case 'rst':
        for (const end of endsOf(action.to)) {
          if (!together) flow.lanes[toward(end)].gap(this.medium.wakeGapMs);
          this.reset(conn, end, action.exact, action.off, label);
        }
        return dir !== null && endsOf(action.to).includes(dir === 'c2s' ? 's' : 'c');
      case 'fin':
        for (const end of endsOf(action.to)) {
          if (!together) flow.lanes[toward(end)].gap(this.medium.wakeGapMs);
          this.closeEnd(conn, end, label, dir === toward(end) ? offset : undefined);
        }
        return dir !== null && endsOf(action.to).includes(dir === 'c2s' ? 's' : 'c');
      case 'icmp': {
        const about = conn[action.to].last;
        if (about === null)
          return this.impossible(`icmp: ${action.to} has sent nothing that the error could be about`, conn);
        const frame = about.icmpError(action.type, action.code, action.mtu);
        const side = conn.sideOf(action.to);
        flow.lanes[toward(action.to)].enter(() => {
          this.trace.note(this.medium.now(), 'forged', side, `icmp ${action.type}/${action.code} # ${label}`, conn.id);
          this.medium.deliver(side, frame);
        });
        return false;
      }
      case 'inject':
        this.inject(flow, action.as, action.bytes, action.as === dir ? offset : conn.sender(action.as).sent, label);
        return false;
      case 'hold':
        if (this.openGates.delete(action.gate)) return false;
        flow.lanes[action.dir ?? dir ?? 's2c'].hold(action.gate);
        return false;
      case 'blackhole':
        for (const which of ['c2s', 's2c'] as const)
          if (action.dir === undefined || action.dir === which) flow.blackhole[which] = true;
        return action.dir === undefined || action.dir === dir;
      default:
        throw new Error(`${action.do} is not an action on a connection`);
    }
  }

  /** A rule asked for what cannot be at this moment: it stands in the trace, and the wire goes on. */
  private impossible(text: string, conn: Conn): false {
    this.trace.note(this.medium.now(), 'rule', null, text, conn.id);
    return false;
  }

  private reset(conn: Conn, end: EndName, exact: boolean, off: number, label: string): void {
    const flow = this.flows.get(conn.key);
    if (flow === undefined || flow.conn !== conn) return;
    this.forged(flow, toward(end), () => forgeRst(conn, end, exact ? 0 : off), 'forged', label);
  }

  /** `end` is told that its peer has closed. */
  private closeEnd(conn: Conn, end: EndName, label: string, cut?: number): void {
    const flow = this.flows.get(conn.key);
    if (flow === undefined || flow.conn !== conn) return;
    // Who waits for an answer to its SYN knows of no stream that could end.
    const waits = conn[end].state === 'SYN-SENT' && flow.lanes[toward(end)].waiting === 0;
    if (waits || !(end === 'c' ? conn.s : conn.c).known) {
      this.impossible('fin: there is no connection yet that could end', conn);
      return;
    }
    flow.played = end === 'c' ? 's' : 'c';
    flow.cutAt = cut ?? conn[flow.played].sent;
    this.forged(flow, toward(end), () => forgeFin(conn, end), 'forged', label);
  }

  private inject(flow: Flow, as: Dir, bytes: Uint8Array, at: number, label: string): void {
    const from = flow.conn.sender(as);
    const seq = from.wireSeq(at);
    const made = forgeText(flow.conn, as, seq, bytes);
    if (made === null) {
      this.impossible('inject: nothing of the connection was seen yet', flow.conn);
      return;
    }
    from.insertions.push({ at, bytes: bytes.length });
    from.insertions.sort((a, b) => a.at - b.at);
    this.forged(flow, as, () => made, 'forged', label);
  }

  private setWindow(side: Side, bytes: number | null): void {
    this.windows[side] = bytes;
    for (const flow of this.flows.values()) {
      const { conn } = flow;
      if (conn.over || !conn.handshakeDone) continue;
      const dir = conn.dirFrom(side);
      this.forged(flow, dir, () => forgeWindow(conn, dir, bytes), 'forged', 'window update');
    }
  }

  private reboot(side: Side): void {
    for (const flow of this.flows.values()) {
      const { conn } = flow;
      if (conn.over || flow.forgotten !== null) continue;
      const end: EndName = conn.sideOf('c') === side ? 'c' : 's';
      this.reset(conn, end, true, 0, 'reboot: its program is gone');
      flow.forgotten = end;
    }
  }

  /** The side of a host; c and s are those of the connection at hand. */
  private sideOf(host: HostName, conn: Conn | null): Side {
    if (host === 'client' || host === 'server') return host === 'client' ? 'left' : 'right';
    return conn === null ? (host === 'c' ? 'left' : 'right') : conn.sideOf(host);
  }

  // ── silence ──

  private rearmIdle(flow: Flow): void {
    for (const timer of flow.idleTimers.values()) this.medium.cancel(timer);
    flow.idleTimers.clear();
    this.armIdle(flow);
  }

  private armIdle(flow: Flow): void {
    for (const rule of this.rules) {
      const { idle } = rule.match;
      if (idle === undefined || rule.spent || flow.idleTimers.has(rule)) continue;
      const at = Math.max(this.medium.now(), flow.conn.activeAt + idle.after);
      flow.idleTimers.set(
        rule,
        this.medium.at(at, () => {
          flow.idleTimers.delete(rule);
          this.silent(flow, rule);
        }),
      );
    }
  }

  private silent(flow: Flow, rule: Rule): void {
    const { conn } = flow;
    const now = this.medium.now();
    const m = rule.match;
    if (rule.spent || conn.over || conn.open !== null || conn.served < (m.idle!.served ?? 1)) return;
    if (now - conn.activeAt < m.idle!.after - 0.001 || !fitsConn(m, conn, now)) return;
    if (m.p !== undefined && !this.decisions.chance(rule.label, m.p)) return;
    this.fire({ rule, conn, dir: null, offset: 0 });
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

  /** Rules that never acted, in words. */
  unused(): string[] {
    return this.rules.filter((rule) => rule.hits === 0).map((rule) => rule.label || matchText(rule.match));
  }
}

/** Sees segments before the rules. May answer 'drop', or actions. */
export type Tap = (
  segment: Segment,
  context: { readonly conn: Conn; readonly dir: Dir; readonly seen: Seen; readonly now: number },
) => 'pass' | 'drop' | readonly Action[] | undefined | void;

/** The client has not got the whole response, and still can. */
function isUnderWay({ outcome, res, conn }: Exchange): boolean {
  return outcome === 'open' || (outcome === 'complete' && !conn.c.finGot && conn.c.got.next < (res?.end ?? 0));
}

const SENDS = new Set<Action['do']>(['rst', 'fin', 'inject', 'icmp']);

const opposite = (dir: Dir): Dir => (dir === 'c2s' ? 's2c' : 'c2s');
/** The direction in which an end sends, and in which it receives. */
const dirFrom = (end: EndName): Dir => (end === 'c' ? 'c2s' : 's2c');
const toward = (end: EndName): Dir => (end === 'c' ? 's2c' : 'c2s');
const endsOf = (to: EndName | 'both'): readonly EndName[] => (to === 'both' ? ['c', 's'] : [to]);

function fitsFlags(wanted: string, flags: number): boolean {
  const [must = '', mustNot = ''] = wanted.split('!');
  const bits = flagBits(must);
  return (flags & bits) === bits && (flags & flagBits(mustNot)) === 0;
}
