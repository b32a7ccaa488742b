// The measured acceptance of `tapwire serve`, on the built command: see test/interop/serve/acceptance.ts.
'use strict';

const { existsSync } = require('node:fs');
const { join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
if (!existsSync(join(root, 'dist', 'tools', 'tapwire.js'))) {
  console.error('dist/ is missing: `npm run build` first');
  process.exit(2);
}
require(join(root, 'test', 'typescript.cjs'));
require(join(root, 'test', 'interop', 'serve', 'acceptance.ts'));
