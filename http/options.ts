/** Options that are given to the process and concern HTTP. */
const flags = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];

/** Value of `--name=value` or `--name value`; the last one counts. */
function flagValue(name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i]!.replace(/_/g, '-');
    if (flag === name) value = flags[i + 1];
    else if (flag.startsWith(`${name}=`)) value = flag.slice(name.length + 1);
  }
  return value;
}

/** `http.maxHeaderSize`: bytes of a head that are read unless a server or request says otherwise. */
export const maxHeaderSize = Number(flagValue('--max-http-header-size') ?? 16_384) || 16_384;

const insecure = flags.some((flag) => flag.replace(/_/g, '-') === '--insecure-http-parser');
let warned = false;

/** Whether heads are read leniently: as asked for, else as `--insecure-http-parser` says. */
export function isInsecure(asked: boolean | undefined): boolean {
  if (asked !== undefined) return asked;
  if (insecure && !warned) {
    warned = true;
    process.emitWarning('Using insecure HTTP parsing');
  }
  return insecure;
}
