// Run by `npm install`: makes the native addon ready where there is one, and never fails the installation. Everything in
// memory works without the addon.
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync } = require('node:fs');
const { delimiter, dirname, join, resolve } = require('node:path');

const root = resolve(__dirname, '..');

function loads() {
  try {
    require('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

/** The prefix of Node's own headers, when they are installed beside it: then nothing has to be downloaded. */
function headers() {
  const prefix = resolve(dirname(process.execPath), '..');
  const version = join(prefix, 'include', 'node', 'node_version.h');
  if (!existsSync(version)) return null;
  const [major] = process.versions.node.split('.');
  return new RegExp(`#define NODE_MAJOR_VERSION ${major}\\b`).test(readFileSync(version, 'utf8')) ? prefix : null;
}

/** node-gyp: the one that npm brings, one that is installed, or one on the PATH. */
function nodeGyp() {
  const candidates = [process.env.npm_config_node_gyp];
  try {
    candidates.push(require.resolve('node-gyp/bin/node-gyp.js', { paths: [root] }));
  } catch {
    // Not installed; npm's own will do.
  }
  const script = candidates.find((file) => file && existsSync(file));
  if (script) return [process.execPath, script];
  const onPath = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'node-gyp')));
  return onPath ? ['node-gyp'] : null;
}

/** Runs a compiler; returns what it had to say when it failed, null when all went well. */
function run(command, ...args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? null : error ? error.message : `${stdout}\n${stderr}`.trim();
}

function withNodeGyp() {
  const gyp = nodeGyp();
  if (gyp === null) return 'node-gyp was not found';
  const prefix = headers();
  const [command, ...script] = gyp;
  return run(command, ...script, 'rebuild', ...(prefix ? [`--nodedir=${prefix}`] : []));
}

/** The addon is a few C files without dependencies: where python3 is missing, the compiler alone does it. */
function withCompiler() {
  const prefix = headers();
  if (prefix === null) return "node's headers were not found";
  const target = JSON.parse(readFileSync(join(root, 'binding.gyp'), 'utf8')).targets[0];
  const { sources, defines, cflags } = target.conditions[0][1];
  mkdirSync(join(root, 'build', 'Release'), { recursive: true });
  const flags = [...cflags, '-shared', '-fPIC', ...defines.map((define) => `-D${define}`)];
  const include = `-I${join(prefix, 'include', 'node')}`;
  return run(process.env.CC || 'cc', ...flags, include, ...sources, '-o', join('build', 'Release', 'tapwire.node'));
}

function install() {
  if (process.env.TAPWIRE_SKIP_NATIVE === '1') return 'tapwire: TAPWIRE_SKIP_NATIVE=1, the native addon was not built.';
  if (process.platform !== 'linux') {
    return `tapwire: TUN, TAP and packet sockets need Linux; on ${process.platform} everything runs in memory.`;
  }
  if (loads()) return null;
  const troubles = [];
  for (const build of [withNodeGyp, withCompiler]) {
    const trouble = build();
    if (trouble === null && loads()) return null;
    troubles.push(trouble ?? 'the addon was built but does not load');
  }
  const lastWords = (text) =>
    text
      .split('\n')
      .filter((line) => /error|not found|ENOENT/i.test(line))
      .pop() ?? text.split('\n').pop();
  return (
    'tapwire: the native addon could not be built, so TUN, TAP and packet devices cannot be opened; everything in memory ' +
    `works. node-gyp said: ${lastWords(troubles[0])}; the compiler alone: ${lastWords(troubles[1])}. ` +
    'With gcc, make and python3 installed (Debian: `apt install build-essential python3`), `npm rebuild tapwire` tries again.'
  );
}

module.exports = { headers };

if (require.main === module) {
  const message = install();
  if (message !== null) console.log(message);
}
