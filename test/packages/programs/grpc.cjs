// gRPC: @grpc/grpc-js, server and client, over HTTP/2 with TLS and without.
'use strict';

const { once } = require('node:events');
const grpc = require('@grpc/grpc-js');
const { bytes, hash } = require('./common.cjs');
const { cert, key } = require('./identity.cjs');

const asBytes = (message) => Buffer.from(message);
const asIs = (message) => message;

function method(name, requestStream, responseStream) {
  const serializers = { requestSerialize: asBytes, responseSerialize: asBytes };
  const deserializers = { requestDeserialize: asIs, responseDeserialize: asIs };
  return { path: `/test.Talk/${name}`, requestStream, responseStream, ...serializers, ...deserializers };
}

const TALK = {
  say: method('Say', false, false),
  count: method('Count', false, true),
  add: method('Add', true, false),
  chat: method('Chat', true, true),
  never: method('Never', false, false),
};

const Client = grpc.makeGenericClientConstructor(TALK, 'Talk');

/** What is compared of an error that came from the other end. */
const status = ({ code, details }) => [
  grpc.status[code],
  details.replace(/^(Deadline exceeded|No connection).*/s, '$1'),
];

function talking(notes) {
  return {
    say({ request, metadata }, done) {
      const text = request.toString('latin1');
      if (text === 'fail') return done({ code: grpc.status.NOT_FOUND, details: 'grüß: nothing there' });
      if (text === 'throw') throw new Error('thrown in a handler');
      const trailers = new grpc.Metadata();
      for (const value of metadata.get('x-echo')) trailers.add('x-echo', value);
      return done(null, request.length > 300 ? request : `you said ${text}`, trailers);
    },
    count(call) {
      for (let i = 0; i < Number(call.request); i++) call.write(`${i}`);
      call.end();
    },
    add(call, done) {
      let sum = 0;
      call.on('data', (number) => (sum += Number(number))).on('end', () => done(null, `${sum}`));
      call.on('error', () => {});
    },
    chat(call) {
      call.on('data', (text) => call.write(`${text}!`)).on('end', () => call.end());
      call.on('cancelled', () => notes.add('chat', 'cancelled'));
      call.on('error', () => {});
    },
    never(call) {
      notes.add('never', 'asked');
      call.on('cancelled', () => notes.add('never', 'cancelled'));
    },
  };
}

function listen(address, credentials, notes) {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 10_000_000 });
  server.addService(TALK, talking(notes));
  return new Promise((resolve, reject) => {
    server.bindAsync(`${address}:0`, credentials, (error, port) => (error ? reject(error) : resolve({ server, port })));
  });
}

/** Clients must be closed: their channels hold the process. */
async function using(target, credentials, use, options) {
  const client = new Client(target, credentials, { 'grpc.max_receive_message_length': 10_000_000, ...options });
  try {
    await use(client);
  } finally {
    client.close();
  }
}

/** One unary call; gives what came back, and in the trailers. */
const say = (client, message, metadata = new grpc.Metadata(), options = {}, name = 'say') =>
  new Promise((resolve, reject) => {
    let trailers = [];
    const call = client[name](message, metadata, options, (error, answer) => {
      if (error) reject(error);
      else
        call.once('status', () => resolve([answer.length > 300 ? hash(answer) : answer.toString('latin1'), trailers]));
    });
    call.once('status', (told) => (trailers = told.metadata.get('x-echo')));
  });

async function all(call) {
  const texts = [];
  call.on('data', (text) => texts.push(text.toString()));
  const [told] = await once(call, 'status');
  return [texts.length > 10 ? `${texts.length} ${hash(texts.join())}` : texts, status(told)];
}

const failure = async (promise) => status(await promise.then(() => ({ code: 0, details: 'it did not fail' }), asIs));

async function exchange(t, client) {
  t.note(await say(client, 'hello'));
  const metadata = new grpc.Metadata();
  metadata.add('x-echo', 'one');
  metadata.add('x-echo', 'two');
  t.note(await say(client, 'with metadata', metadata));
  t.note(await say(client, bytes(3_000_000)));
  t.note(await all(client.count('5')));
  t.note(await all(client.count('5000')));
  const sum = await new Promise((resolve, reject) => {
    const call = client.add((error, answer) => (error ? reject(error) : resolve(answer.toString())));
    for (let i = 1; i <= 1000; i++) call.write(`${i}`);
    call.end();
  });
  t.note(sum);
  const chat = client.chat();
  for (const text of ['one', 'two', 'three']) {
    chat.write(text);
    t.note((await once(chat, 'data')).toString());
  }
  chat.end();
  t.note(await all(chat));
  const many = Array.from({ length: 100 }, (_, i) => say(client, `number ${i}`));
  t.note((await Promise.all(many)).map(([text]) => text));
}

module.exports = {
  async serve(notes, address) {
    const clear = await listen(address, grpc.ServerCredentials.createInsecure(), notes);
    const pairs = [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }];
    const secure = await listen(address, grpc.ServerCredentials.createSsl(null, pairs), notes);
    notes.add('port', secure.port);
    return {
      port: clear.port,
      async close() {
        for (const { server } of [clear, secure]) await new Promise((resolve) => server.tryShutdown(resolve));
      },
    };
  },
  scenarios: {
    'without TLS': async (t) => {
      await using(`${t.address}:${t.port}`, grpc.credentials.createInsecure(), (client) => exchange(t, client));
    },
    'with TLS': async (t) => {
      const [port] = await t.saw('port', 1);
      const credentials = grpc.credentials.createSsl(Buffer.from(cert));
      const name = { 'grpc.ssl_target_name_override': 'localhost' };
      await using(`${t.address}:${port}`, credentials, (client) => exchange(t, client), name);
    },
    'errors of the server': async (t) => {
      await using(`${t.address}:${t.port}`, grpc.credentials.createInsecure(), async (client) => {
        t.note(await failure(say(client, 'fail')));
        t.note(await failure(say(client, 'throw')));
        t.note(await say(client, 'and it goes on'));
      });
    },
    'a deadline, and a call that is cancelled': async (t) => {
      await using(`${t.address}:${t.port}`, grpc.credentials.createInsecure(), async (client) => {
        t.note(await failure(say(client, 'x', new grpc.Metadata(), { deadline: Date.now() + 200 }, 'never')));
        t.note(await t.saw('never', 2));
        const chat = client.chat();
        chat.write('one');
        t.note((await once(chat, 'data')).toString());
        const told = new Promise((resolve) => chat.on('error', () => {}).on('status', resolve));
        chat.cancel();
        t.note(status(await told));
        t.note(await t.saw('chat', 1));
        t.note(await say(client, 'and it goes on'));
      });
    },
    'a connection that is kept alive by pings': async (t) => {
      const pings = { 'grpc.keepalive_time_ms': 50, 'grpc.keepalive_timeout_ms': 10_000 };
      const options = { ...pings, 'grpc.keepalive_permit_without_calls': 1 };
      const credentials = grpc.credentials.createInsecure();
      const use = async (client) => {
        t.note(await say(client, 'before'));
        await new Promise((resolve) => setTimeout(resolve, 400));
        t.note(await say(client, 'after'));
      };
      await using(`${t.address}:${t.port}`, credentials, use, options);
    },
    'nobody there': async (t) => {
      const credentials = grpc.credentials.createInsecure();
      await using(`${t.address}:2`, credentials, async (client) => {
        t.note(await failure(say(client, 'x', new grpc.Metadata(), { deadline: Date.now() + 10_000 })));
      });
    },
  },
};
