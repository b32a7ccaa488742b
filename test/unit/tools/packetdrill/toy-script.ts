import { parseScript } from '../../../../tools/packetdrill/parser';
import type { ScriptResult } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { type Quirks, toyStack } from './toy-stack';

/** How a script is run, where it is not in the plain way. */
export interface Given {
  quirks?: Quirks;
  strict?: boolean;
  trace?: string[];
}

/** Runs a script on the toy stack. */
export function run(text: string, given: Given = {}): ScriptResult {
  const { quirks, trace } = given;
  return runScript(parseScript('t.pkt', text), {
    factory: toyStack(quirks),
    profile: 'linux',
    strict: given.strict === true,
    seed: 1,
    ...(trace && { trace: (line: string) => void trace.push(line) }),
  });
}

/** What went wrong, in short: "packet 8: ack 9, not 8". '' when nothing did. */
export function wrong(text: string, given: Given = {}): string {
  const { failure } = run(text, given);
  return failure === undefined ? '' : `${failure.kind} ${failure.line}: ${failure.message}`;
}

/** Lines 1 to 7: an accepted connection at 0.1 s, descriptor 4. */
export const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
`;

/** Lines 1 to 5: a connection that the stack made, descriptor 3. */
export const CONNECTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = 0
+0 > S 0:0(0) <mss 1460>
+.1 < S. 500:500(0) ack 1 win 1000 <mss 1000>
+0 > . 1:1(0) ack 1
`;
