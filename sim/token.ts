import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ScenarioPlan } from './plan';

const PREFIX = 'tw1.';

/** A run as one word, to paste after `npm run sim -- --replay`. It carries the whole plan, not only the seed. */
export function toToken(plan: ScenarioPlan): string {
  return PREFIX + deflateRawSync(JSON.stringify(plan), { level: 9 }).toString('base64url');
}

/** @throws RangeError when the text is no token. */
export function fromToken(token: string): ScenarioPlan {
  if (!token.startsWith(PREFIX)) throw new RangeError(`a token begins with ${PREFIX}`);
  try {
    const text = inflateRawSync(Buffer.from(token.slice(PREFIX.length), 'base64url'), { maxOutputLength: 1 << 20 });
    return JSON.parse(text.toString()) as ScenarioPlan;
  } catch {
    throw new RangeError('the token is damaged or was cut off');
  }
}
