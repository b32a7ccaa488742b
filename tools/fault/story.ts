import type { Scenario } from '../../fault/scenarios';

/** A scenario's story as Markdown. */
export function story({ number, id, title, seen, picture, node, cope, expect }: Scenario): string {
  const lines = [`# ${number}. ${title}`, '', `\`tapwire fault run ${id}\``, ''];
  if (seen.length > 0) lines.push(`Seen in ${seen.join(', ')}.`, '');
  lines.push(`**On the wire.** ${picture}`, '', `**What Node reports.** ${node}`, '', `**How to cope.** ${cope}`, '');
  for (const [client, said] of Object.entries(expect)) lines.push(`With ${client}:`, '', '```', ...said, '```', '');
  return `${lines.join('\n')}`;
}
