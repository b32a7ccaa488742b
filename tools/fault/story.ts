import { expectedOf, type Scenario } from '../../fault/scenarios';
import { DIFFERENCES, type Difference, NODE_20 } from '../../fault/versions';

const CLIENTS = ['http', 'tapwire', 'fetch', 'undici', 'axios', 'got'] as const;

/** What clients say, those that say the same together; of a difference, those that say something else with it. */
function said(scenario: Scenario, difference?: Difference): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const client of CLIENTS) {
    const usual = expectedOf(scenario, client, NODE_20)?.join('\n');
    const text = difference === undefined ? usual : expectedOf(scenario, client, [difference])?.join('\n');
    if (text === undefined || (difference !== undefined && text === usual)) continue;
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [client]);
    else group.push(client);
  }
  return groups;
}

/** A scenario's story as Markdown: as Node 20 has it, and what newer ones have otherwise. The same whatever runs this. */
export function story(scenario: Scenario): string {
  const { number, id, title, seen, picture, node, cope } = scenario;
  const lines = [`# ${number}. ${title}`, '', `\`tapwire fault run ${id}\``, ''];
  if (seen.length > 0) lines.push(`Seen in ${seen.join(', ')}.`, '');
  lines.push(`**On the wire.** ${picture}`, '', `**What Node reports.** ${node}`, '', `**How to cope.** ${cope}`, '');
  for (const [text, clients] of said(scenario)) lines.push(`With ${clients.join(', ')}:`, '', '```', text, '```', '');
  for (const difference of Object.keys(DIFFERENCES) as Difference[])
    for (const [text, clients] of said(scenario, difference))
      lines.push(`${DIFFERENCES[difference].where}, with ${clients.join(', ')}:`, '', '```', text, '```', '');
  return lines.join('\n');
}
