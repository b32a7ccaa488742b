import * as calls from '../../../../stack/tcp/calls';
import * as f from '../ip/frames';
import { Ground, receive } from './grounds';

/* Segments that come in fragments: their text is kept where the datagram was put together, until the application takes it. */

const ENDS = { from: '2001:db8:2::1', to: '2001:db8:1::1' };
const TEXT = f.bytesOf(600, 7);

/** Everything that can be read now, as a copy. */
function readable(t: ReturnType<Ground['established']>): number[] {
  const text = new calls.Text();
  return calls.peek(t.stack.tcp, t.c, text) ? [...text.bytes.slice(text.at, text.end)] : [];
}

describe('fragments of a segment', () => {
  test('over IPv4', () => {
    const g = new Ground({ title: 'IPv4', family: 4, irs: 0 });
    const t = g.established();
    const whole = g.frame({ flags: f.ACK, seq: 1, iss: t.c.iss, ack: 1, text: TEXT });
    const body = whole.slice(20);
    const ends = { from: '192.0.2.1', to: '192.168.0.1', id: 5 };
    receive(t, f.ip4(f.TCP, body.slice(0, 320), { ...ends, more: true }));
    receive(t, f.ip4(f.TCP, body.slice(320), { ...ends, offset: 320 }));
    expect(readable(t)).toEqual([...TEXT]);
  });

  test.each([
    ['over IPv6', []],
    ['with destination options behind the fragment header (RFC 8200 §4.1)', f.optionsHeader(f.TCP, [])],
  ])('%s', (_, options) => {
    const g = new Ground({ title: 'IPv6', family: 6, irs: 0 });
    const t = g.established();
    const whole = g.frame({ flags: f.ACK, seq: 1, iss: t.c.iss, ack: 1, text: TEXT });
    const body = [...options, ...whole.slice(40)];
    const first = options.length === 0 ? f.TCP : f.DESTINATION;
    const piece = (from: number, to: number): Uint8Array =>
      f.ip6(f.FRAGMENT, [...f.fragmentHeader(first, from, to < body.length), ...body.slice(from, to)], ENDS);
    receive(t, piece(0, 320));
    receive(t, piece(320, body.length));
    expect(readable(t)).toEqual([...TEXT]);
    expect(t.stack.slabs.pinned()).toBeGreaterThan(0);
    expect(t.read()).toBe(TEXT.length);
    expect(t.stack.slabs.pinned()).toBe(0);
  });
});
