// The vendor's `@nebulr-group/bridge-auth-core`, which calls `/v1/account`: all that it does with users.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const folder = `${process.env.USERBRIDGE_TEST_NPM}/node_modules/@nebulr-group/bridge-auth-core/`;
const { BridgeManagement, HttpError } = await import(new URL("dist/index.js", pathToFileURL(folder)));

const { USERBRIDGE_URL, USERBRIDGE_API_KEY, USERBRIDGE_READ_KEY, USERBRIDGE_TENANT_ID } = process.env;
const management = (apiKey) => new BridgeManagement({ baseUrl: USERBRIDGE_URL, apiKey });
const { users } = management(USERBRIDGE_API_KEY);
const tenant = USERBRIDGE_TENANT_ID;

async function fails(call, statusCode, code) {
  const error = await call.then(
    () => assert.fail(`${code} expected`),
    (error) => error,
  );
  assert.ok(error instanceof HttpError, String(error));
  assert.ok(error.message.length > 0 && !error.message.includes("[object"), error.message);
  const body = Object.values(error).find((value) => value?.statusCode);
  assert.deepEqual([body.statusCode, body.nblocksCode], [statusCode, code]);
}

assert.deepEqual(await users.list(tenant), []);
const owner = await users.invite(tenant, { username: "owner@example.com", role: "OWNER", phoneNumber: "+1" });
const jane = await users.invite(tenant, { username: "jane@example.com", firstName: "Jane", muteNotifications: true });
assert.deepEqual([jane.role, jane.fullName, jane.onboarded], ["VIEWER", "Jane", false]);
assert.deepEqual(await users.get(tenant, jane.id), jane);
assert.deepEqual(await users.list(tenant), [owner, jane]);
const changed = await users.update(tenant, jane.id, { teams: ["design"], lastName: "Smith", phoneNumber: "+1" });
assert.deepEqual(changed, { ...jane, teams: ["design"], lastName: "Smith", fullName: "Jane Smith" });

await fails(users.invite(tenant, { username: "jane@example.com" }), 409, "NBLOCKS_CONFLICT");
await fails(users.invite(tenant, {}), 400, undefined);
await fails(users.get(tenant, "1"), 404, "NBLOCKS_USER_NOT_FOUND");
await fails(users.list("nowhere"), 404, "NBLOCKS_NOT_FOUND_TENANT_EXCEPTION");
await fails(users.remove(tenant, owner.id), 400, "NBLOCKS_OWNER_ROLE_MUST_EXIST");
await fails(management(USERBRIDGE_READ_KEY).users.remove(tenant, jane.id), 403, "NBLOCKS_FORBIDDEN_EXCEPTION");
await fails(management("pb_unknown").users.list(tenant), 401, "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION");

await users.remove(tenant, jane.id);
assert.deepEqual(await users.list(tenant), [owner]);
console.log("done");
