import type { Call, Command, Event, EventTime, Expression, IcmpLine, PacketLine, Script, TcpLine } from './ast';
import { type CommandAction, parseCommandText } from './commands';
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, type TcpOption, URG } from './packet';
import { describe } from './values';

/** Sentences about a whole script, one a line of it: "line 7: 0.1 s later the peer sends ...". */
export function explainScript(script: Script): string[] {
  const lines: string[] = [];
  const { source, setUp, cleanUp, config } = script;
  const wire = config.family === 'ipv4' ? 'IPv4' : config.family === 'ipv6' ? 'IPv6' : 'IPv4, with sockets of IPv6';
  lines.push(`The stack at ${config.localIp} talks to a peer at ${config.remoteIp} over ${wire}, MTU ${config.mtu}.`);
  if (setUp !== null) lines.push(`line ${source.line(setUp.at)}: before all else ${explainCommand(setUp)}.`);
  for (const event of script.events) lines.push(`line ${event.line}: ${explainEvent(event)}`);
  if (cleanUp !== null) lines.push(`line ${source.line(cleanUp.at)}: at the end ${explainCommand(cleanUp)}.`);
  return lines;
}

/** One event as a sentence. */
function explainEvent(event: Event): string {
  const { action } = event;
  return `${explainTime(event.time)} ${explainAction(action)}.`;
}

const s = (us: number): string => `${us / 1e6} s`;

function explainTime(time: EventTime): string {
  switch (time.kind) {
    case 'any':
      return 'At any later time';
    case 'absolute':
      return `At ${s(time.us)}`;
    case 'relative':
      return time.us === 0 ? 'At once' : `${s(time.us)} later`;
    case 'absolute-range':
      return `Between ${s(time.us)} and ${s(time.toUs)}`;
    case 'relative-range':
      return `Between ${s(time.us)} and ${s(time.toUs)} later`;
  }
}

function explainAction(action: Event['action']): string {
  switch (action.kind) {
    case 'call':
      return explainCall(action);
    case 'command':
      return explainCommand(action);
    case 'code':
      return `this must hold: ${action.text.trim().replace(/\s+/g, ' ')}`;
  }
  return explainPacket(action);
}

function explainPacket(line: PacketLine): string {
  const who = line.direction === 'in' ? 'the peer sends' : 'the stack must send';
  if (line.kind === 'udp') return `${who} a UDP datagram of ${line.length} bytes`;
  return line.kind === 'icmp' ? `${who} ${explainIcmp(line)}` : `${who} ${explainTcp(line)}`;
}

function explainIcmp(line: IcmpLine): string {
  const code = line.code === null ? '' : `, ${line.code.name}`;
  const mtu = line.mtu === null ? '' : `, next-hop MTU ${line.mtu}`;
  const { quote } = line;
  const about =
    quote === null
      ? ''
      : quote.protocol === 'tcp'
        ? `, about the segment that begins at ${quote.from}`
        : `, about a ${quote.protocol} datagram`;
  return `an ICMP message (${line.type.name}${code}${mtu}${about})`;
}

function explainTcp(line: TcpLine): string {
  const parts = [segmentName(line)];
  if (line.length > 0)
    parts.push(`bytes ${line.from} to ${(line.from + line.length - 1) >>> 0} (${line.length} of them)`);
  else if ((line.flags & (SYN | FIN | RST)) !== 0) parts.push(`sequence number ${line.from}`);
  if (line.ack !== null) parts.push(`acknowledging everything before ${line.ack}`);
  if (line.window !== null) parts.push(line.window === 0 ? 'a closed window' : `window ${line.window}`);
  if (line.urgent !== null) parts.push(`urgent pointer ${line.urgent}`);
  if (line.ip.ecn !== null) parts.push(`marked ${line.ip.ecn}`);
  if (line.options === 'any') parts.push('whatever options');
  else if (line.options.length > 0) parts.push(`with ${line.options.filter(says).map(explainOption).join(', ')}`);
  return parts.join(', ');
}

const says = (option: TcpOption): boolean => option.kind !== 'nop' && option.kind !== 'eol';

function segmentName(line: TcpLine): string {
  const { flags } = line;
  const names: string[] = [];
  if ((flags & SYN) !== 0) names.push('SYN');
  if ((flags & FIN) !== 0) names.push('FIN');
  if ((flags & RST) !== 0) names.push('RST');
  if ((flags & ECE) !== 0) names.push('ECE');
  if ((flags & CWR) !== 0) names.push('CWR');
  if ((flags & URG) !== 0) names.push('URG');
  if ((flags & ACK) !== 0 && (names.length > 0 || line.length === 0)) names.push('ACK');
  if (names.length === 0) return (flags & PSH) !== 0 || line.length > 0 ? 'data' : 'a segment without flags';
  const article = /^[REA]/.test(names[0]!) ? 'an' : 'a';
  return `${article} ${names.join('+')}`;
}

function explainOption(option: TcpOption): string {
  switch (option.kind) {
    case 'mss':
      return `MSS ${option.value}`;
    case 'wscale':
      return `window scale ${option.value}`;
    case 'sackOK':
      return 'SACK permitted';
    case 'sack':
      return `SACK of ${option.blocks.map(({ from, to }) => `${from} to ${(to - 1) >>> 0}`).join(' and ')}`;
    case 'TS':
      return `timestamp ${option.value} echoing ${option.echo}`;
    case 'FO':
    case 'FOEXP':
      return option.cookie === '' ? 'a request for a Fast Open cookie' : `the Fast Open cookie ${option.cookie}`;
    case 'md5':
      return 'an MD5 signature';
    case 'ECN':
      return 'AccECN counters';
  }
  return option.kind;
}

function explainCall(call: Call): string {
  const args = call.args.map(explainArgument).join(', ');
  const isError = call.result.kind === 'integer' && call.result.value < 0;
  const result = isError
    ? `fail${call.errno === null ? '' : ` with ${call.errno}`}`
    : `return ${describe(call.result)}`;
  const when = call.endUs === null ? '' : `, not before ${s(call.endUs)} on the same clock`;
  return `the application calls ${call.name}(${args}), which must ${result}${when}`;
}

function explainArgument(e: Expression): string {
  if (e.kind === 'ellipsis') return '...';
  if (e.kind === 'array') return `[${e.items.map(explainArgument).join(', ')}]`;
  return describe(e);
}

function explainCommand(command: Command): string {
  const parts = parseCommandText(command.text).map(explainCommandAction);
  return parts.length === 0 ? 'nothing happens' : parts.join('; ');
}

function explainCommandAction(action: CommandAction): string {
  switch (action.kind) {
    case 'sysctl':
      return `${action.name} is set to ${action.value}`;
    case 'defaults':
      return 'all variables get their defaults';
    case 'blackhole':
      return action.on ? 'the link begins to lose everything that the stack sends' : 'the link works again';
    case 'flush-metrics':
      return 'what was learned about the peer is forgotten';
    case 'route':
      return 'the route to the peer changes';
    case 'nothing':
      return 'nothing happens';
    case 'unknown':
      return `"${action.text}" is not run`;
  }
}
