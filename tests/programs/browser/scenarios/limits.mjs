// What somebody can't do, or not any more.

import assert from "node:assert/strict";
import { PEOPLE } from "../visitor.mjs";

const ADA = "ada.lovelace@example.com";
const GRACE = "grace.hopper@example.com";
const EVE = "eve.elsewhere@example.com";

export async function a_session_reaches_no_other_organization({ ask, visitor }) {
  const eve = await visitor();
  await eve.signIn(EVE);
  assert.equal(await eve.count(), "1 person");
  const grace = await ask("id", GRACE);
  for (const path of [grace, `${grace}/remove`]) {
    assert.equal(await eve.open(`${PEOPLE}/${path}`), 404);
    await eve.sees("Nothing is here");
  }

  // The cookie of another organization, stolen while Ada has a form open, does not send it.
  const ada = await visitor();
  await ada.signIn(ADA);
  await ada.openMember(GRACE);
  await ada.context.addCookies(await eve.context.cookies());
  await ada.choose("viewer");
  assert.equal(await ada.press("Save"), 403);
  await ada.sees("This form is out of date");
  assert.equal(await ask("role", GRACE), "admin");
}

export async function a_session_ends_with_the_role({ ask, visitor }) {
  const grace = await visitor();
  await grace.signIn(GRACE);
  await grace.follow("Invite somebody");
  await grace.page.getByLabel("Email address").fill("late@example.com");
  await ask("make-viewer", GRACE);
  assert.equal(await grace.press("Invite"), 401);
  await grace.sees("You are signed out");
  assert.equal(await grace.open(PEOPLE), 401);
  assert.deepEqual(await grace.context.cookies(), []);
}

export async function a_session_that_nobody_uses_for_half_an_hour_is_over({ ask, visitor }) {
  const ada = await visitor();
  await ada.signIn(ADA);
  await ada.follow("Invite somebody");
  await ada.page.getByLabel("Email address").fill("late@example.com");
  await ask("half-an-hour");
  assert.equal(await ada.press("Invite"), 401);
  await ada.sees("You are signed out");
  assert.match(await ada.page.locator("main").innerText(), /Your session has ended\. Go back to your application/);
  assert.deepEqual(await ada.context.cookies(), []);

  await ada.signIn(ADA);
  await ada.search("late@example.com");
  await ada.sees("Nobody found");
}

export async function while_the_directory_is_away_nothing_is_changed_and_she_is_told({ ask, visitor }) {
  const ada = await visitor({ javaScriptEnabled: true });
  await ada.signIn(ADA);
  await ada.openMember(GRACE);
  await ada.choose("editor");
  await ask("move-file-away");
  assert.equal(await ada.press("Save"), 503);
  await ada.sees("The directory can\u2019t be reached");
  assert.match(await ada.page.locator("main").innerText(), /Nothing was changed\. Wait a moment and try again/);
  await ada.isAccessible("the directory is away");

  await ask("move-file-back");
  assert.equal(await ask("role", GRACE), "admin");
  // Her session has outlived it.
  await ada.openMember(GRACE);
  await ada.choose("editor");
  await ada.press("Save");
  await ada.isTold(/^Saved/);
  assert.equal(await ask("role", GRACE), "editor");
}

export async function an_admin_is_not_offered_an_owner_and_is_refused_one({ ask, visitor }) {
  const grace = await visitor();
  await grace.signIn(GRACE);
  await grace.openMember(ADA);
  for (const button of ["Save", "Disable", "Send a password mail"]) {
    assert.equal(await grace.page.getByRole("button", { name: button }).count(), 0, button);
  }
  assert.match(await grace.page.locator("main").innerText(), /Only an owner can change an owner/);
  await grace.open(`${PEOPLE}/invite`);
  assert.equal(await grace.role("owner").count(), 0);

  // Somebody becomes an owner while Grace has the form open.
  const ada = await visitor();
  await ada.signIn(ADA);
  await grace.openMember("edsger.editor@example.com");
  await ada.openMember("edsger.editor@example.com");
  await ada.choose("owner");
  await ada.press("Save");
  assert.ok([403, 409].includes(await grace.press("Save")));
  assert.equal(await ask("role", "edsger.editor@example.com"), "owner");
  assert.match(await grace.page.locator("main").innerText(), /Only an owner can change an owner/);
}

export async function the_last_owner_stays({ ask, visitor }) {
  const eve = await visitor();
  await eve.signIn(EVE);
  await eve.openMember(EVE);
  await eve.choose("admin");
  assert.equal(await eve.press("Save"), 409);
  await eve.isTold(/last owner/);
  assert.equal(await eve.press("Disable"), 409);
  await eve.isTold(/last owner/);
  await eve.follow("Remove …");
  assert.equal(await eve.press("Remove"), 409);
  await eve.isTold(/last owner/);
  assert.equal(await ask("role", EVE), "owner");
}
