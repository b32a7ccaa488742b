'use strict';
// Lets Node load the TypeScript sources as they are: node -r ./test/typescript.cjs file.ts
// What was compiled is kept in the folder of temporary files: tests start hundreds of processes, each with all of the sources.
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const Module = require('node:module');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const cache = join(tmpdir(), `tapwire-compiled-${process.getuid?.() ?? 0}`);
const OPTIONS = { module: { type: 'commonjs' }, jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } };
/** Made by another compiler, or asked for otherwise, it is something else. */
const { version } = require('@swc/core/package.json');
const kind = JSON.stringify([version, OPTIONS]);

function keep(file, code) {
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    // Whole or not at all: others may read it at this moment.
    writeFileSync(`${file}.${process.pid}`, code);
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // A place where nothing can be written is one where everybody compiles for himself.
  }
}

function compile(filename) {
  const source = readFileSync(filename, 'utf8');
  const hash = createHash('sha1').update(kind).update(filename).update('\0').update(source).digest('hex');
  const kept = join(cache, `${hash}.js`);
  try {
    return readFileSync(kept, 'utf8');
  } catch {
    const { code } = require('@swc/core').transformSync(source, { filename, ...OPTIONS });
    keep(kept, code);
    return code;
  }
}

Module._extensions['.ts'] = (module, filename) => module._compile(compile(filename), filename);
