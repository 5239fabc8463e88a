// What one person does in the browser, between what happens to her elsewhere: tests/suite/portal/story.rs.

import assert from "node:assert/strict";
import { PEOPLE } from "../visitor.mjs";

const GRACE = "grace.hopper@example.com";
const EDSGER = "edsger.dijkstra@example.com";

export async function one_person_walks_through_everything({ ask, visitor }) {
  const grace = await visitor();
  const { page } = grace;

  await grace.open(await ask("welcome", GRACE));
  await grace.sees("Set your password");
  const password = await ask("password", GRACE);
  await page.getByLabel("New password").fill(password);
  await page.getByLabel("The same again").fill(password);
  assert.equal(await grace.press("Set password"), 200);
  await grace.sees("Your password is set");

  await grace.signIn(GRACE);
  assert.deepEqual(await grace.names(), ["Grace Hopper"]);
  await grace.follow("Invite somebody");
  await page.getByLabel("Email address").fill(EDSGER);
  await page.getByLabel("First name").fill("Edsger");
  await page.getByLabel("Last name").fill("Dijkstra");
  await grace.choose("editor");
  await grace.press("Invite");
  await grace.isTold(/^Invited\./);
  assert.match(await ask("welcome", EDSGER), /^\/set-password\?token=/);
  await grace.choose("owner");
  await grace.press("Save");
  await grace.isTold(/^Saved/);

  await ask("renaming", GRACE);
  await grace.follow("People");
  assert.deepEqual(await grace.names(), ["Edsger Dijkstra", "Grace Brewster Hopper"]);

  await ask("end-user", GRACE);
  await ask("disabling", GRACE);
  assert.equal(await grace.open(PEOPLE), 401);
  await grace.sees("You are signed out");
  assert.deepEqual(grace.faults, []);
}
