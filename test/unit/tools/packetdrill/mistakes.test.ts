import { parseScript } from '../../../../tools/packetdrill/parser';
import { describeResult, exitCode } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { stackTarget } from '../../../../tools/packetdrill/stack-target';

/** Lines 1 to 3. */
const LISTENS = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
`;

/** What somebody is told who wrote this. */
function told(lines: string): { code: number; text: string; hint: string } {
  const options = { factory: stackTarget, profile: 'linux', strict: false, seed: 1 } as const;
  const result = runScript(parseScript('t.pkt', LISTENS + lines), options);
  return { code: exitCode(result), text: describeResult(result), hint: result.failure?.hint ?? '' };
}

describe('mistakes of those who write their first script', () => {
  test('the SYN-ACK was forgotten', () => {
    const { code, hint } = told('+.1 < S 0:0(0) win 1000\n+0 < . 1:1(0) ack 1 win 1000\n+0 accept(3, ..., ...) = 4');
    expect(code).toBe(1);
    expect(hint).toBe('the stack did not use the packet of line 5: tcp-bad-ack');
    expect(told('+.1 < S 0:0(0) win 1000\n+0 accept(3, ..., ...) = 4').hint).toBe(
      'the stack has sent  > S. 0:0(0) ack 1 win 65535 <mss 1460>  which no line has expected so far',
    );
  });

  test('an acknowledgment acknowledges nothing', () => {
    const { hint, text } = told(`+.1 < S 0:0(0) win 1000
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) win 1000
+0 accept(3, ..., ...) = 4`);
    expect(hint).toMatch(/^the stack did not use the packet of line 6: tcp-/);
    expect(text).toContain(`\n  hint: ${hint}`);
  });

  test('a call that waits is written as one that does not', () => {
    expect(told('+0 accept(3, ..., ...) = 4').hint).toBe(
      'a call that waits has both times: +0...0.1 accept(…); one of O_NONBLOCK does not wait',
    );
  });

  test('the number of a descriptor that is open', () => {
    const { code, text } = told(`+.1 < S 0:0(0) win 1000
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 3`);
    expect(code).toBe(2);
    expect(text).toContain('t.pkt:7: parse: accept cannot return 3: that descriptor is open');
    // After it was closed the number is free.
    expect(told('+0 close(3) = 0\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3').code).toBe(0);
  });

  test('nothing of a script steers the terminal: not its strings, and not the words that were not expected', () => {
    const steers = (character: string): boolean =>
      (character < ' ' && character !== '\n' && character !== '\t') || (character >= '\x7f' && character <= '\x9f');
    const { text } = told('+0 socket(..., "\x1b[2J\x9b2J", 3) = 4');
    expect(text).toContain('t.pkt:4: unsupported: a string where a number is expected');
    expect([...text].filter(steers)).toEqual([]);
    for (const words of [
      '+0 "\x1b[2J"(1) = 3',
      '+0 so\x9b2J',
      '+0 `\x1b[2J`',
      '+0 %{ assert "\x1b[2J" == 1, "\x9b2J" }%',
    ]) {
      let said: string;
      try {
        said = told(words).text;
      } catch (error) {
        said = (error as Error).message;
      }
      expect([...said].filter(steers)).toEqual([]);
    }
  });
});
