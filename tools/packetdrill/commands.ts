/** What a command in back quotes means here. No shell is ever started. */
export type CommandAction =
  | { readonly kind: 'sysctl'; readonly name: string; readonly value: string }
  /** `defaults.sh`: the defaults of the profile. */
  | { readonly kind: 'defaults' }
  /** `tc ... pfifo limit 0`: everything that the stack sends is lost, until another `tc`. */
  | { readonly kind: 'blackhole'; readonly on: boolean }
  /** `ip tcp_metrics flush all`: what was learned about other hosts is forgotten. */
  | { readonly kind: 'flush-metrics' }
  /** `ip route change ... mtu lock N advmss N initcwnd N`: what the route to the peer says; null where it says nothing. */
  | { readonly kind: 'route'; readonly metrics: RouteMetrics }
  /** Nothing that a stack on a virtual clock could do. */
  | { readonly kind: 'nothing' }
  /** Not understood: goes on with a warning. */
  | { readonly kind: 'unknown'; readonly text: string };

/** What a route can say of the connections over it. */
export interface RouteMetrics {
  readonly mtu: number | null;
  /** The MSS to advertise. */
  readonly advmss: number | null;
  /** Initial congestion window, in segments. */
  readonly initcwnd: number | null;
}

/** Reads a command: several, with new lines, `;` or `&&` between, become several actions. */
export function parseCommandText(text: string): CommandAction[] {
  const actions: CommandAction[] = [];
  for (const words of splitCommands(text)) actions.push(...interpret(words));
  return actions;
}

/**
 * Words of each simple command: quotes taken off; comments, continued lines, redirections and what is behind a pipe left
 * out.
 */
function splitCommands(text: string): string[][] {
  const commands: string[][] = [[]];
  let piped = false;
  const token =
    /\\\r?\n|[ \t\r]+|#[^\n]*|\n|;|&&|\|\|?|\d?&?>{1,2}\s*&?\s*[^\s;|&]+|((?:"[^"]*"|'[^']*'|\\.|[^\s;|&"'\\])+)|./g;
  for (const found of text.matchAll(token)) {
    const [whole, word] = found;
    if (word !== undefined && !piped) {
      commands[commands.length - 1]!.push(word.replace(/"([^"]*)"|'([^']*)'|\\(.)/g, '$1$2$3'));
    } else if (/^(?:\n|;|&&|\|\|)$/.test(whole)) {
      commands.push([]);
      piped = false;
    } else if (whole === '|') piped = true;
  }
  return commands.filter((words) => words.length > 0);
}

/** Commands that change nothing a stack could notice. */
const HARMLESS = new Set(['true', ':', 'sleep', 'nstat', 'rm', 'dd', 'ethtool']);

function interpret(words: readonly string[]): CommandAction[] {
  const name = words[0]!.replace(/^.*\//, '');
  if (name === 'sysctl') return assignments(words, /^(?:\/proc\/sys\/)?([\w./-]+)=([\s\S]*)$/);
  if (name === 'set_sysctls.py') return assignments(words, /^\/proc\/sys\/([\w./-]+)=([\s\S]*)$/);
  if (name === 'defaults.sh') return [{ kind: 'defaults' }];
  if (name.startsWith('sysctl_restore_') || HARMLESS.has(name)) return [{ kind: 'nothing' }];
  const line = words.join(' ');
  if (name === 'tc') {
    if (/\bpfifo limit 0\b/.test(line)) return [{ kind: 'blackhole', on: true }];
    if (/\b(?:del|delete|replace|add)\b/.test(line)) return [{ kind: 'blackhole', on: false }];
  }
  if (name === 'ip' && /\btcp_metrics flush\b/.test(line)) return [{ kind: 'flush-metrics' }];
  if (name === 'ip' && /\broute (?:change|replace|add)\b/.test(line))
    return [{ kind: 'route', metrics: metricsOf(line) }];
  return [{ kind: 'unknown', text: line }];
}

function metricsOf(line: string): RouteMetrics {
  const number = (pattern: RegExp): number | null => {
    const found = pattern.exec(line);
    return found === null ? null : Number(found[1]);
  };
  return {
    mtu: number(/\bmtu(?: lock)? (\d+)\b/),
    advmss: number(/\badvmss (\d+)\b/),
    initcwnd: number(/\binitcwnd (\d+)\b/),
  };
}

function assignments(words: readonly string[], form: RegExp): CommandAction[] {
  const actions: CommandAction[] = [];
  for (const word of words.slice(1)) {
    if (/^-\w+$/.test(word)) continue;
    const found = form.exec(word);
    if (found === null) actions.push({ kind: 'unknown', text: words.join(' ') });
    else actions.push({ kind: 'sysctl', name: found[1]!.replace(/\//g, '.'), value: found[2]!.trim() });
  }
  return actions;
}
