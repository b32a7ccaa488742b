import type { Conn } from './conn';
import type { MessageListener, MessageMap } from './messages';

/** A request and its response. */
export interface Exchange {
  /** From 1, over the whole wire, in the order in which requests begin. */
  readonly n: number;
  readonly conn: Conn;
  /** How many requests the connection had carried before. */
  readonly before: number;
  req: MessageMap | null;
  /** The final response; null while none has begun. */
  res: MessageMap | null;
  /** 'cut': it ended before it was complete. */
  outcome: 'open' | 'complete' | 'cut';
}

const EXCHANGES_KEPT = 20_000;
/** Of one connection: those that are under way are among the latest. */
const KEPT_OF_CONN = 200;

/** The exchanges of a wire: the latest, when there are very many. */
export class Exchanges {
  readonly list: Exchange[] = [];
  /** How many there were, those that are not kept any more among them. */
  count = 0;
  /** Responses that no request had asked for. */
  unsolicited = 0;

  /** Forgets all, and counts from 1 again. */
  clear(): void {
    this.list.length = 0;
    this.count = 0;
    this.unsolicited = 0;
  }

  /** Reads the two directions of a connection. */
  listener(conn: Conn): MessageListener {
    return {
      began: (side) => (side === 'req' ? this.begin(conn) : this.answered(conn)),
      headDone: (m) => this.headDone(conn, m),
      completed: (m) => this.completed(m),
    };
  }

  private begin(conn: Conn): number {
    const exchange: Exchange = {
      n: ++this.count,
      conn,
      before: conn.asked++,
      req: null,
      res: null,
      outcome: 'open',
    };
    this.list.push(exchange);
    conn.exchanges.push(exchange);
    if (this.list.length > EXCHANGES_KEPT) this.list.shift();
    if (conn.exchanges.length > KEPT_OF_CONN) conn.exchanges.shift();
    return exchange.n;
  }

  private answered(conn: Conn): number {
    const exchange = conn.exchanges.find((candidate) => candidate.outcome === 'open' && candidate.res === null);
    if (exchange !== undefined) return exchange.n;
    this.unsolicited++;
    return 0;
  }

  /** The nth; undefined when there was none, or it is not kept any more. */
  numbered(n: number): Exchange | undefined {
    const first = this.count - this.list.length + 1;
    return n < first ? undefined : this.list[n - first];
  }

  private headDone(conn: Conn, m: MessageMap): void {
    if (m.exchange === 0) return;
    const exchange = this.numbered(m.exchange);
    if (exchange === undefined) return;
    if (m.side === 'req') {
      exchange.req = m;
      conn.s.reader.expect(m.method);
    } else if (m.status >= 200 || m.status === 101) {
      exchange.res = m;
    }
  }

  private completed(m: MessageMap): void {
    const exchange = this.numbered(m.exchange);
    if (exchange === undefined || m.side === 'req' || exchange.res !== m) return;
    exchange.outcome = 'complete';
    exchange.conn.served++;
  }

  /** Requests under way. */
  get open(): number {
    return this.list.reduce((n, exchange) => n + (exchange.outcome === 'open' ? 1 : 0), 0);
  }
}
