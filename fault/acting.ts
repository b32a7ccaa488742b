import { type Action, actionText, type HostName } from './actions';
import type { Conn, Side } from './conn';
import type { Departures } from './departures';
import { endsOf, type Flow, toward } from './flow';
import { forgeFin, forgeRst, forgeText, forgeWindow } from './forge';
import type { Dir, EndName } from './match';
import type { HostControl, Medium } from './medium';
import type { Rule } from './rule';
import type { Trace } from './trace';
import { verdictsOf } from './verdicts';

/** What a rule's actions act on. */
export interface Context {
  readonly rule: Rule | null;
  readonly conn: Conn | null;
  readonly dir: Dir | null;
  /** Offset in the stream of `dir` where it happens. */
  readonly offset: number;
}

/** What actions change, and what they need for it. */
export interface Acted {
  readonly medium: Medium;
  readonly trace: Trace;
  readonly hosts: HostControl;
  readonly departures: Departures;
  readonly flows: ReadonlyMap<string, Flow>;
  /** Sides whose frames are lost. */
  readonly blocked: Record<Side, boolean>;
  readonly downs: Record<Side, 'rst' | 'silent' | null>;
  readonly windows: Record<Side, number | null>;
  /** Gates that were opened before they were closed. */
  readonly openGates: Set<string>;
  release(gate: string): void;
}

/** The direction that a gate closes when none is named: behind the end of a request, that of its response. */
function heldBy({ rule, dir }: Context): Dir {
  const http = rule?.match.http;
  return http?.side === 'req' && http.at === 'end' ? 's2c' : (dir ?? 's2c');
}

const SENDS = new Set<Action['do']>(['rst', 'fin', 'inject', 'icmp']);

/** What actions do. */
export class Acting {
  constructor(private readonly state: Acted) {}

  /** Has actions done. True when the stream in which that was is over. */
  act(context: Context, actions: readonly Action[]): boolean {
    const { conn, dir } = context;
    const flow = conn === null ? null : (this.state.flows.get(conn.key) ?? null);
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
    if (rule.isPoint) {
      flow.pending[dir].push({ rule, verdicts: [action] });
      // Until something follows it was for nothing.
      this.inVain(rule, `${action.do} is for what follows the place, and nothing did`);
    }
    return true;
  }

  /** One action that is no verdict. True when the stream it happened in is over. */
  private perform(context: Context, flow: Flow | null, action: Action, together: boolean): boolean {
    const { conn, dir } = context;
    const label = context.rule?.told ?? actionText(action);
    switch (action.do) {
      case 'rst':
      case 'fin':
      case 'icmp':
      case 'inject':
      case 'hold':
      case 'blackhole':
        if (flow === null || conn === null) throw new Error(`${action.do} needs a connection, and there is none`);
        return this.performOn(context, flow, action, together, label);
      case 'release':
        this.state.release(action.gate);
        return false;
      case 'split':
        if (flow !== null && dir !== null) flow.lanes[dir].gap(action.gapMs ?? this.state.medium.wakeGapMs);
        return false;
      case 'window':
        this.setWindow(this.sideOf(action.host, conn), action.bytes);
        return false;
      case 'stall':
      case 'freeze':
      case 'jump':
        this.state.hosts[action.do](this.sideOf(action.host, conn), action.ms);
        return false;
      case 'skew':
        this.state.hosts.skew(this.sideOf(action.host, conn), action.rate);
        return false;
      case 'reboot':
        this.reboot(this.sideOf(action.host, conn));
        return false;
      case 'down':
        this.state.downs[this.sideOf(action.host, conn)] = action.how;
        return false;
      case 'up':
        this.state.downs[this.sideOf(action.host, conn)] = null;
        return false;
      case 'partition':
        this.state.blocked[this.sideOf(action.from, conn)] = true;
        if (!action.oneway) this.state.blocked[this.sideOf(action.to, conn)] = true;
        return false;
      case 'heal':
        this.state.blocked.left = this.state.blocked.right = false;
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

  private performOn(context: Context, flow: Flow, action: Action, together: boolean, label: string): boolean {
    const { conn } = flow;
    const { dir, offset, rule } = context;
    switch (action.do) {
      case 'rst':
        for (const end of endsOf(action.to)) {
          if (!together) flow.lanes[toward(end)].gap(this.state.medium.wakeGapMs);
          this.reset(conn, end, action.exact, action.off, label);
        }
        return dir !== null && endsOf(action.to).includes(dir === 'c2s' ? 's' : 'c');
      case 'fin':
        for (const end of endsOf(action.to)) {
          if (!together) flow.lanes[toward(end)].gap(this.state.medium.wakeGapMs);
          this.closeEnd(conn, end, label, dir === toward(end) ? offset : undefined, rule);
        }
        return dir !== null && endsOf(action.to).includes(dir === 'c2s' ? 's' : 'c');
      case 'icmp': {
        const about = conn[action.to].last;
        if (about === null)
          return this.impossible(`icmp: ${action.to} has sent nothing that the error could be about`, conn, rule);
        const frame = about.icmpError(action.type, action.code, action.mtu);
        const side = conn.sideOf(action.to);
        flow.lanes[toward(action.to)].enter(() => {
          this.state.trace.note(
            this.state.medium.now(),
            'forged',
            side,
            `icmp ${action.type}/${action.code} # ${label}`,
            conn.id,
          );
          this.state.medium.deliver(side, frame);
        });
        return false;
      }
      case 'inject':
        this.inject(
          flow,
          action.as,
          action.bytes,
          action.as === dir ? offset : conn.sender(action.as).sent,
          label,
          rule,
        );
        return false;
      case 'hold':
        if (this.state.openGates.delete(action.gate)) return false;
        flow.lanes[action.dir ?? heldBy(context)].hold(action.gate);
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
  private impossible(text: string, conn: Conn, rule: Rule | null): false {
    this.inVain(rule, text);
    this.state.trace.note(this.state.medium.now(), 'rule', null, text, conn.id);
    return false;
  }

  private inVain(rule: Rule | null, why: string): void {
    if (rule === null) return;
    rule.vain++;
    rule.vainWhy = why;
  }

  /** Sends a reset to `end`, as if its peer had. */
  reset(conn: Conn, end: EndName, exact: boolean, off: number, label: string): void {
    const flow = this.state.flows.get(conn.key);
    if (flow === undefined || flow.conn !== conn) return;
    this.state.departures.forged(flow, toward(end), () => forgeRst(conn, end, exact ? 0 : off), 'forged', label);
  }

  /** `end` is told that its peer has closed. */
  closeEnd(conn: Conn, end: EndName, label: string, cut?: number, rule: Rule | null = null): void {
    const flow = this.state.flows.get(conn.key);
    if (flow === undefined || flow.conn !== conn) return;
    // Who waits for an answer to its SYN knows of no stream that could end.
    const waits = conn[end].state === 'SYN-SENT' && flow.lanes[toward(end)].waiting === 0;
    if (waits || !(end === 'c' ? conn.s : conn.c).known) {
      this.impossible('fin: there is no connection yet that could end', conn, rule);
      return;
    }
    if (conn[end].finGot) this.inVain(rule, `fin: ${end} has had the end of the stream already`);
    flow.played = end === 'c' ? 's' : 'c';
    flow.cutAt = cut ?? conn[flow.played].sent;
    this.state.departures.forged(flow, toward(end), () => forgeFin(conn, end), 'forged', label);
  }

  private inject(flow: Flow, as: Dir, bytes: Uint8Array, at: number, label: string, rule: Rule | null): void {
    const from = flow.conn.sender(as);
    const seq = from.wireSeq(at);
    const made = forgeText(flow.conn, as, seq, bytes);
    if (made === null) {
      this.impossible('inject: nothing of the connection was seen yet', flow.conn, rule);
      return;
    }
    from.insertions.push({ at, bytes: bytes.length });
    from.insertions.sort((a, b) => a.at - b.at);
    this.state.departures.forged(flow, as, () => made, 'forged', label);
  }

  private setWindow(side: Side, bytes: number | null): void {
    this.state.windows[side] = bytes;
    for (const flow of this.state.flows.values()) {
      const { conn } = flow;
      if (conn.over || !conn.handshakeDone) continue;
      const dir = conn.dirFrom(side);
      this.state.departures.forged(flow, dir, () => forgeWindow(conn, dir, bytes), 'forged', 'window update');
    }
  }

  private reboot(side: Side): void {
    for (const flow of this.state.flows.values()) {
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
}
