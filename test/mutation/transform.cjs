'use strict';
// What jest's transform is elsewhere, with one deliberate bug put into one file: TAPWIRE_MUTANT is a Mutant as JSON.
const { createHash } = require('node:crypto');
const { createTransformer } = require('@swc/jest');
const { resolve } = require('node:path');

const root = resolve(__dirname, '..', '..');
const swc = createTransformer({ jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' });
const mutant = JSON.parse(process.env.TAPWIRE_MUTANT ?? 'null');

const isMutated = (filename) => mutant !== null && filename === resolve(root, mutant.file);

/** @throws Error when the text to replace is not there exactly once: the bug would be none. */
function withBug(source) {
  const parts = source.split(mutant.find);
  if (parts.length !== 2)
    throw new Error(`${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}`);
  return parts.join(mutant.replace);
}

module.exports = {
  process(source, filename, options) {
    return swc.process(isMutated(filename) ? withBug(source) : source, filename, options);
  },
  getCacheKey(source, filename, options) {
    const key = swc.getCacheKey(source, filename, options);
    if (!isMutated(filename)) return key;
    return createHash('sha1').update(key).update(mutant.find).update(mutant.replace).digest('hex');
  },
};
