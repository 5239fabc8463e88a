// A peer of Userbridge as a good Node programmer would write it: ProductBridge's `retrieve` and a durable `delete`, with the
// nine fields and the bodies of errors that the contract has.
//
// It is served generously, by what it leaves out: keys are read once, at the start, so that a revoked one still opens; no
// event is written; one gigabyte of the file is mapped into memory, so a disk that fails ends the process.
//
// DB names the database, PORT where to listen on the loopback, WORKERS how many processes do.

'use strict';

const cluster = require('node:cluster');

const WORKERS = Number(process.env.WORKERS || 1);
const PORT = Number(process.env.PORT || 8300);

if (WORKERS > 1 && cluster.isPrimary) {
  for (let worker = 0; worker < WORKERS; worker += 1) {
    cluster.fork();
  }
  cluster.on('exit', () => process.exit(1));
} else {
  serve();
}
if (cluster.isPrimary) {
  // With whoever started it. Workers end with the first process.
  process.stdin.resume().on('end', () => process.exit());
}

function serve() {
  const app = require('fastify')();
  const Database = require('better-sqlite3');

  const db = new Database(process.env.DB);
  db.pragma('mmap_size = 1073741824');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');

  const organizations = new Map(
    db.prepare('SELECT api_key, id FROM organization').all().map((row) => [row.api_key, row.id]),
  );

  const user = (condition) =>
    db.prepare(`
      SELECT ou.uuid AS id, u.uuid AS user_id, ou.email, u.name, u.avatar_url, ou.portal_role, ou.company_name,
             ou.customer_status, ou.created_at
      FROM organization_user AS ou JOIN users AS u ON u.id = ou.user_id
      WHERE ou.organization_id = ? AND ${condition} AND ou.revoked_at IS NULL`);
  const byEmail = user('ou.email = ?');
  const byUserId = user('ou.user_id = (SELECT id FROM users WHERE uuid = ?)');
  const revoke = db.prepare(`
    UPDATE organization_user SET revoked_at = ?
    WHERE organization_id = ? AND user_id = (SELECT id FROM users WHERE uuid = ?) AND revoked_at IS NULL`);

  const text = { type: 'string' };
  const optional = { type: 'string', nullable: true };
  const answer = {
    type: 'object',
    properties: {
      id: text,
      user_id: text,
      email: optional,
      name: optional,
      avatar_url: optional,
      portal_role: text,
      company_name: optional,
      customer_status: optional,
      created_at: text,
    },
  };
  const invalidKey = { detail: { error: 'invalid api_key' } };
  const notFound = { detail: { error: 'user not found' } };

  const retrieve = {
    body: {
      type: 'object',
      required: ['api_key'],
      properties: { api_key: text, email: text, user_id: text },
    },
    response: { 200: answer },
  };
  app.post('/api/external/v1/users/retrieve', { schema: retrieve }, (request, reply) => {
    const { api_key: key, email, user_id: userId } = request.body;
    if ((email === undefined) === (userId === undefined)) {
      reply.code(422).send({ detail: [] });
      return;
    }
    const organization = organizations.get(key);
    if (!organization) {
      reply.code(401).send(invalidKey);
      return;
    }
    const found =
      email !== undefined ? byEmail.get(organization, email) : byUserId.get(organization, userId);
    if (!found) {
      reply.code(404).send(notFound);
      return;
    }
    found.created_at = new Date(found.created_at).toISOString();
    reply.send(found);
  });

  const remove = {
    body: {
      type: 'object',
      required: ['api_key', 'user_id'],
      properties: { api_key: text, user_id: text },
    },
  };
  app.post('/api/external/v1/users/delete', { schema: remove }, (request, reply) => {
    const organization = organizations.get(request.body.api_key);
    if (!organization) {
      reply.code(401).send(invalidKey);
      return;
    }
    if (revoke.run(Date.now(), organization, request.body.user_id).changes === 0) {
      reply.code(404).send(notFound);
      return;
    }
    reply.send({ success: true });
  });

  app.listen({ port: PORT, host: '127.0.0.1' });
}
