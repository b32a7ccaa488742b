// Runs one program of programs/ and prints what it saw, as JSON, so that the same program on Node's own sockets and on a
// stack of ours can be compared word for word.
//   node harness.cjs NAME both             server and client in this process
//   node harness.cjs NAME serve ADDRESS    the server alone: tells its port, then what it is asked for, by IPC
//   node harness.cjs NAME ask ADDRESS PORT the client alone: asks its parent what the server saw
//
// A program exports
//   serve(notes, address)   starts a server; gives { port, close() }
//   scenarios               named async functions; each gets a Talk
//   together                true: the program starts its own servers, and cannot be parted
'use strict';

const { AsyncResource, createHook } = require('node:async_hooks');
const http = require('node:http');
const { join } = require('node:path');
const { brief, ofError } = require('./programs/common.cjs');

const SECONDS_PER_SCENARIO = 60;

/** Handles of libuv, and what makes a socket of the kernel of one. */
const HANDLES = new Set(['TCPWRAP', 'TCPSERVERWRAP', 'UDPWRAP']);
const USES = ['open', 'bind', 'bind6', 'connect', 'connect6', 'listen', 'send', 'send6'];

/** How often this process made or used sockets of the kernel; on a stack of ours it must not. */
let kernelSockets = 0;
const watched = new Set();
createHook({
  init(_id, type, _trigger, resource) {
    if (type === 'TCPCONNECTWRAP') kernelSockets++;
    // Sockets of ours tell async hooks the same names, but as resources made in JavaScript.
    if (HANDLES.has(type) && !(resource instanceof AsyncResource)) watch(Object.getPrototypeOf(resource));
  },
}).enable();

function watch(prototype) {
  if (watched.has(prototype)) return;
  watched.add(prototype);
  for (const use of USES) {
    const own = prototype[use];
    if (typeof own !== 'function') continue;
    prototype[use] = function (...args) {
      kernelSockets++;
      return Reflect.apply(own, this, args);
    };
  }
}

/** Addresses, ports and threads differ from run to run, and from wire to wire. */
const impersonal = (text) =>
  text
    .replace(/(::ffff:)?\b(127\.0\.0\.1|10\.(77|78)\.0\.\d+)\b/g, 'ADDRESS')
    .replace(/\b[0-9A-F]{16}:error:/g, 'error:')
    .replace(/(ADDRESS|localhost):(\d{4,5})\b/g, '$1:PORT');

/** What the server saw, by name; who asks for more than there is waits. */
class Notes {
  constructor() {
    this.lists = new Map();
    this.waiting = [];
  }

  list(name) {
    if (!this.lists.has(name)) this.lists.set(name, []);
    return this.lists.get(name);
  }

  add(name, value) {
    this.list(name).push(value instanceof Error ? ofError(value) : value);
    for (const look of this.waiting.splice(0)) look();
  }

  /** @returns the first `count` things noted under `name`, once there are as many */
  saw(name, count) {
    return new Promise((resolve) => {
      const look = () => {
        if (this.list(name).length >= count) resolve(this.list(name).slice(0, count));
        else this.waiting.push(look);
      };
      look();
    });
  }
}

/** What a scenario works with. */
class Talk {
  constructor(address, port, saw) {
    this.address = address;
    this.port = port;
    this.url = `http://${address}:${port}`;
    /** Nobody listens there. */
    this.closedUrl = `http://${address}:2`;
    /** What the server noted under a name, once it is so much. */
    this.saw = saw;
    this.notes = [];
  }

  /** Adds to what is compared. */
  note(value) {
    this.notes.push(value instanceof Error ? ofError(value) : value);
  }

  /** Notes the error that a promise ends with; that there is none is an error. */
  async fails(promise) {
    let result;
    try {
      result = await promise;
    } catch (error) {
      this.note(error);
      return error;
    }
    throw new Error(`it did not fail: ${String(result)}`);
  }

  /** One request by Node's client; gives what came back, whole. */
  ask(path, { body, parts, ...options } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request(`${this.url}${path}`, { agent: false, ...options }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { date: _date, ...headers } = response.headers;
          const { statusCode: status, statusMessage, httpVersion, trailers } = response;
          resolve({ status, statusMessage, httpVersion, headers, trailers, body: Buffer.concat(chunks) });
        });
      });
      request.on('error', reject);
      for (const part of parts ?? []) request.write(part);
      request.end(body);
    });
  }

  /** Asks and notes the answer; a long body by its size and hash. */
  async told(path, options) {
    const answer = await this.ask(path, options);
    this.note({ ...answer, body: brief(answer.body) });
    return answer;
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: no end after ${SECONDS_PER_SCENARIO} s`)),
      SECONDS_PER_SCENARIO * 1000,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function runScenarios(program, address, port, saw) {
  const transcript = {};
  for (const [name, scenario] of Object.entries(program.scenarios)) {
    const talk = new Talk(address, port, saw);
    try {
      await within(scenario(talk), name);
      transcript[name] = talk.notes;
    } catch (error) {
      transcript[name] = { failed: `${error.stack}`, after: talk.notes };
    }
  }
  return transcript;
}

function print(transcript) {
  const text = impersonal(JSON.stringify(transcript));
  process.stdout.write(`${JSON.stringify({ transcript: JSON.parse(text), kernelSockets })}\n`);
}

async function both(program) {
  const notes = new Notes();
  const address = '127.0.0.1';
  const server = await program.serve?.(notes, address);
  const transcript = await runScenarios(program, address, server?.port ?? 0, (...what) => notes.saw(...what));
  await within(Promise.resolve(server?.close()), 'close');
  print(transcript);
}

async function serve(program, address) {
  const notes = new Notes();
  const server = await program.serve(notes, address);
  process.on('message', async ({ saw, close }) => {
    if (saw) process.send({ saw: await notes.saw(...saw) });
    if (close) {
      await server.close();
      process.disconnect();
      print({});
    }
  });
  process.send({ port: server.port });
}

async function ask(program, address, port) {
  const answers = [];
  process.on('message', ({ saw }) => answers.shift()(saw));
  const saw = (...what) =>
    new Promise((resolve) => {
      answers.push(resolve);
      process.send({ saw: what });
    });
  const transcript = await runScenarios(program, address, Number(port), saw);
  print(transcript);
  process.disconnect();
}

const [, , name, role, ...rest] = process.argv;
const roles = { both, serve, ask };
process.on('unhandledRejection', (error) => {
  console.error(error);
  process.exit(1);
});
roles[role](require(join(__dirname, 'programs', `${name}.cjs`)), ...rest);
