// Supertest, which starts the servers that it asks, around Express and around plain listeners.
'use strict';

const express = require('express');
const request = require('supertest');
const { bytes, hash } = require('./common.cjs');

function application() {
  const app = express();
  app.use(express.json());
  app.get('/user', (_req, res) => res.status(200).json({ name: 'john' }));
  app.post('/user', (req, res) => res.status(201).set('Location', '/user/1').json(req.body));
  app.get('/login', (_req, res) => res.cookie('session', 'abc').redirect('/me'));
  app.get('/me', (req, res) => res.send(req.headers.cookie ?? 'nobody'));
  app.get('/bytes', (_req, res) => res.type('bin').send(bytes(200_000)));
  app.post('/file', express.raw({ type: () => true, limit: '1mb' }), (req, res) =>
    res.send(String(req.body.length > 5000)),
  );
  app.get('/broken', (req) => req.socket.destroy());
  return app;
}

module.exports = {
  together: true,
  scenarios: {
    'expectations that hold': async (t) => {
      const app = application();
      const get = await request(app)
        .get('/user')
        .expect('Content-Type', /json/)
        .expect('Content-Length', '15')
        .expect(200);
      t.note([get.status, get.body, get.type, get.charset]);
      const post = await request(app).post('/user').send({ a: 1 }).expect(201).expect('Location', '/user/1');
      t.note(post.body);
      const binary = await request(app).get('/bytes').buffer(true).expect(200);
      t.note([binary.body.length, hash(binary.body)]);
      const file = await request(app)
        .post('/file')
        .attach('file', bytes(5000), 'file.bin')
        .field('name', 'value')
        .expect(200);
      t.note(file.text);
    },
    'expectations that do not': async (t) => {
      const app = application();
      await t.fails(request(app).get('/user').expect(404));
      await t.fails(request(app).get('/user').expect('Content-Type', /html/));
      await t.fails(request(app).get('/user').expect({ name: 'jane' }));
      await t.fails(request(app).get('/broken'));
    },
    'an agent keeps cookies': async (t) => {
      const agent = request.agent(application());
      const { text, redirects } = await agent.get('/login').redirects(1);
      t.note([text, redirects.length]);
      t.note((await agent.get('/me')).text);
    },
    'a server that listens already': async (t) => {
      const server = application().listen(0, '127.0.0.1');
      t.note((await request(server).get('/user')).body);
      t.note((await request(server).head('/user')).headers['content-length']);
      await new Promise((resolve) => server.close(resolve));
      t.note(server.listening);
    },
    'many at once': async (t) => {
      const app = application();
      const all = await Promise.all(Array.from({ length: 30 }, () => request(app).get('/user')));
      t.note(all.filter(({ body }) => body.name === 'john').length);
    },
  },
};
