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

/** All exchanges of a wire. */
export class Exchanges {
  readonly list: Exchange[] = [];
  /** Responses that no request had asked for. */
  unsolicited = 0;

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
      n: this.list.length + 1,
      conn,
      before: conn.exchanges.length,
      req: null,
      res: null,
      outcome: 'open',
    };
    this.list.push(exchange);
    conn.exchanges.push(exchange);
    return exchange.n;
  }

  private answered(conn: Conn): number {
    const exchange = conn.exchanges.find((candidate) => candidate.outcome === 'open' && candidate.res === null);
    if (exchange !== undefined) return exchange.n;
    this.unsolicited++;
    return 0;
  }

  private headDone(conn: Conn, m: MessageMap): void {
    if (m.exchange === 0) return;
    const exchange = this.list[m.exchange - 1]!;
    if (m.side === 'req') {
      exchange.req = m;
      conn.s.reader.expect(m.method);
    } else if (m.status >= 200 || m.status === 101) {
      exchange.res = m;
    }
  }

  private completed(m: MessageMap): void {
    const exchange = m.exchange === 0 ? undefined : this.list[m.exchange - 1];
    if (exchange === undefined || m.side === 'req' || exchange.res !== m) return;
    exchange.outcome = 'complete';
    exchange.conn.served++;
  }

  /** Requests under way. */
  get open(): number {
    return this.list.reduce((n, exchange) => n + (exchange.outcome === 'open' ? 1 : 0), 0);
  }
}
