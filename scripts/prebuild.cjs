// Run before `npm pack` and `npm publish`: compiles the native addon for this machine's platform into prebuilds/, which the
// tarball carries, so that whoever installs it needs no compiler. Node-API keeps it valid for every version of Node.
'use strict';

const { spawnSync } = require('node:child_process');
const { join, resolve } = require('node:path');
const { headers } = require('./install.cjs');

const root = resolve(__dirname, '..');

if (process.platform === 'linux') {
  const prefix = headers();
  const env = prefix === null ? process.env : { ...process.env, npm_config_nodedir: prefix };
  const prebuildify = join(root, 'node_modules', '.bin', 'prebuildify');
  const { status, error, stdout, stderr } = spawnSync(prebuildify, ['--napi', '--strip', '--tag-libc'], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) {
    console.error(error ? `prebuild: ${error.message}` : `${stdout}\n${stderr}`.trim());
    process.exitCode = 1;
  }
} else {
  console.log(`prebuild: the native addon is for Linux; the tarball made on ${process.platform} has none`);
}
