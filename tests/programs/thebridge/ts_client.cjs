// The vendor's `@nebulr-group/nblocks-ts-client`: all that it does with users, and its error classes.
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const { NblocksClient, NotFoundError, ForbiddenError, UnauthenticatedError, ClientError } = createRequire(
  `${process.env.USERBRIDGE_TEST_NPM}/`,
)("@nebulr-group/nblocks-ts-client");

const { USERBRIDGE_API_KEY, USERBRIDGE_READ_KEY, USERBRIDGE_TENANT_ID } = process.env;
const client = (apiKey) => new NblocksClient({ appId: "app", apiKey });
const tenant = client(USERBRIDGE_API_KEY).tenant(USERBRIDGE_TENANT_ID);

async function fails(call, Class, httpStatus, errorCode) {
  const error = await call.then(
    () => assert.fail(`${errorCode} expected`),
    (error) => error,
  );
  assert.ok(error instanceof Class && error instanceof ClientError, String(error));
  assert.deepEqual([error.httpStatus, error.errorCode], [httpStatus, errorCode]);
  assert.ok(error.message);
}

async function main() {
  const { users } = tenant;
  assert.deepEqual(await users.list(), []);
  const owner = await users.create({ username: "owner@example.com", role: "OWNER" });
  const jane = await users.create({
    username: "jane.smith@example.com",
    role: "ADMIN",
    firstName: "Jane",
    lastName: "Smith",
    muteNotifications: true,
  });
  assert.equal(jane.fullName, "Jane Smith");
  assert.ok(Date.now() - Date.parse(jane.createdAt) < 60_000);
  assert.deepEqual(await tenant.user(jane.id).get(), jane);
  assert.deepEqual(await users.list(), [owner, jane]);

  const changed = await tenant.user(jane.id).update({ role: "EDITOR", enabled: false, teams: ["engineering"] });
  assert.deepEqual(changed, { ...jane, role: "EDITOR", enabled: false, teams: ["engineering"] });
  const onboarded = await tenant.user(jane.id).update({ firstName: "J.", onboarded: true, consentsToPrivacyPolicy: true });
  assert.deepEqual(onboarded, { ...changed, firstName: "J.", fullName: "J. Smith", onboarded: true });
  assert.deepEqual(
    (await tenant.user(jane.id).listAssociations()).map(({ tenantId, role }) => [tenantId, role]),
    [[USERBRIDGE_TENANT_ID, "EDITOR"]],
  );
  await tenant.user(jane.id).resetPassword();

  await fails(users.create({ username: "jane.smith@example.com" }), ClientError, 409, "NBLOCKS_CONFLICT");
  await fails(users.create({ username: "nonsense" }), ClientError, 400, "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION");
  await fails(users.create({}), ClientError, 400, "Bad Request");
  await fails(tenant.user(jane.id).update({ role: "BAD" }), ClientError, 400, "NBLOCKS_INVALID_ROLE");
  await fails(tenant.user(owner.id).delete(), ClientError, 400, "NBLOCKS_OWNER_ROLE_MUST_EXIST");
  await fails(tenant.user("1").get(), NotFoundError, 404, "NBLOCKS_USER_NOT_FOUND");
  await fails(tenant.user(jane.id).sendSms({ text: "x" }), NotFoundError, 404, "Not Found");
  const elsewhere = client(USERBRIDGE_API_KEY).tenant("nowhere");
  await fails(elsewhere.users.list(), NotFoundError, 404, "NBLOCKS_NOT_FOUND_TENANT_EXCEPTION");
  const reader = client(USERBRIDGE_READ_KEY).tenant(USERBRIDGE_TENANT_ID);
  assert.equal((await reader.users.list()).length, 2);
  await fails(reader.user(jane.id).delete(), ForbiddenError, 403, "NBLOCKS_FORBIDDEN_EXCEPTION");
  const stranger = client("pb_unknown").tenant(USERBRIDGE_TENANT_ID);
  await fails(stranger.users.list(), UnauthenticatedError, 401, "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION");

  await tenant.user(jane.id).delete();
  assert.deepEqual(await users.list(), [owner]);
  await fails(tenant.user(jane.id).get(), NotFoundError, 404, "NBLOCKS_USER_NOT_FOUND");
  console.log("done");
}

main();
