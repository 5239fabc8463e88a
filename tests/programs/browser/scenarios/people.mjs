// The list, and what is done with people.

import assert from "node:assert/strict";
import { PEOPLE } from "../visitor.mjs";

const GRACE = "grace.hopper@example.com";
const ADA = "ada.lovelace@example.com";

export async function an_administrator_comes_in_with_a_code_that_works_once({ ask, visitor }) {
  const ada = await visitor();
  const code = await ask("code", ADA);
  assert.equal(await ada.open(`${PEOPLE}?code=${code}`), 200);
  await ada.sees("People");
  assert.equal(new URL(ada.page.url()).search, "");
  assert.equal(await ada.count(), "64 people");
  const [cookie] = await ada.context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Lax", "/cloud-views"]);

  const thief = await visitor();
  assert.equal(await thief.open(`${PEOPLE}?code=${code}`), 401);
  await thief.sees("This link has been used");
  // One that nobody has used, of a minute ago.
  const late = await ask("late-code", ADA);
  assert.equal(await thief.open(`${PEOPLE}?code=${late}`), 401);
  assert.equal(await thief.open(PEOPLE), 401);
  await thief.sees("You are signed out");

  await ada.press("Sign out");
  await ada.sees("You are signed out");
  assert.deepEqual(await ada.context.cookies(), []);
  await ada.context.addCookies([cookie]);
  assert.equal(await ada.open(PEOPLE), 401);
}

export async function somebody_is_invited_found_changed_disabled_removed_and_restored({ ask, visitor }) {
  const ada = await visitor();
  const { page } = ada;
  await ada.signIn(ADA);
  await ada.follow("Invite somebody");
  await page.getByLabel("Email address").fill("barbara.liskov@example.com");
  await page.getByLabel("First name").fill("Barbara");
  await page.getByLabel("Last name").fill("Liskov");
  await ada.choose("editor");
  await page.getByRole("checkbox", { name: "Sales" }).check();
  await ada.press("Invite");
  await ada.isTold(/^Invited\./);
  await ada.sees("Barbara Liskov");
  assert.equal(await ask("role", "barbara.liskov@example.com"), "editor");

  await ada.open(`${PEOPLE}/invite`);
  await page.getByLabel("Email address").fill("barbara.liskov@example.com");
  assert.equal(await ada.press("Invite"), 409);
  await ada.isTold(/here already/);
  await ada.follow("Barbara Liskov");

  await ada.follow("People");
  await ada.search("liskov");
  assert.deepEqual(await ada.names(), ["Barbara Liskov"]);
  assert.equal(await ada.count(), "1 person found");
  await ada.follow("Barbara Liskov");

  await ada.choose("admin");
  await page.getByRole("checkbox", { name: "Sales" }).uncheck();
  await page.getByRole("checkbox", { name: "Support" }).check();
  await ada.press("Save");
  await ada.isTold(/^Saved/);
  assert.equal(await ask("role", "barbara.liskov@example.com"), "admin");
  assert.ok(await page.getByRole("checkbox", { name: "Support" }).isChecked());
  assert.ok(!(await page.getByRole("checkbox", { name: "Sales" }).isChecked()));

  await ada.press("Disable");
  await ada.isTold(/^Disabled/);
  await ada.follow("People");
  await ada.show("disabled");
  assert.deepEqual(await ada.names(), ["Barbara Liskov"]);
  await ada.follow("Barbara Liskov");
  await ada.press("Enable");
  await ada.isTold(/^Enabled/);

  await ada.press("Send a password mail");
  await ada.isTold(/is on its way/);

  await ada.follow("Remove …");
  await ada.sees("Remove Barbara Liskov?");
  await ada.follow("Cancel");
  await ada.follow("Remove …");
  await ada.press("Remove");
  await ada.isTold(/Barbara Liskov was removed/);
  await ada.press("Undo");
  await ada.isTold(/^Restored/);

  await ada.follow("Remove …");
  await ada.press("Remove");
  await ada.show("removed");
  assert.deepEqual(await ada.names(), ["Barbara Liskov"]);
  await ada.press("Restore Barbara Liskov");
  await ada.isTold(/^Restored/);
  assert.equal(await ask("role", "barbara.liskov@example.com"), "admin");
  await ada.open(`${PEOPLE}?show=removed`);
  await ada.sees("Nobody was removed lately");
  assert.deepEqual(ada.faults, []);
}

export async function the_list_is_searched_sorted_and_turned_over({ visitor }) {
  const ada = await visitor();
  await ada.signIn(ADA);
  assert.deepEqual((await ada.names()).slice(0, 3), ["Ada Lovelace", "Edsger Editor", "Grace Hopper"]);
  assert.equal((await ada.names()).length, 50);
  await ada.follow("Next");
  assert.equal((await ada.names()).length, 14);
  await ada.follow("Previous");

  const header = (name) => ada.page.getByRole("columnheader", { name });
  assert.equal(await header("Name").getAttribute("aria-sort"), "ascending");
  await ada.follow("Name");
  assert.equal(await header("Name").getAttribute("aria-sort"), "descending");
  assert.equal((await ada.names())[0], "Viewer 59");
  await ada.follow("Role");
  assert.deepEqual((await ada.names()).slice(0, 2).sort(), ["Ada Lovelace", "Otto Owner"]);
  for (const column of ["Email", "Added", "Last seen"]) {
    await ada.follow(column);
    assert.notEqual(await header(column).getAttribute("aria-sort"), "none", column);
  }

  await ada.search("VIEWER 1");
  assert.equal(await ada.count(), "10 people found");
  await ada.search("hopper@");
  assert.deepEqual(await ada.names(), ["Grace Hopper"]);
  await ada.search("<b>nobody</b> & \"co\"");
  await ada.sees("Nobody found");
  assert.equal(await ada.page.getByLabel("Search").inputValue(), "<b>nobody</b> & \"co\"");
  await ada.follow("Show everybody");
  assert.equal(await ada.count(), "64 people");
  // Beyond the end there is the last page.
  await ada.open(`${PEOPLE}?page=1000`);
  assert.equal((await ada.names()).length, 14);
}

export async function of_two_who_edit_one_person_the_second_is_told_and_loses_nothing({ ask, visitor }) {
  const [ada, otto] = [await visitor(), await visitor()];
  await ada.signIn(ADA);
  await otto.signIn("otto.owner@example.com");
  await ada.openMember(GRACE);
  await otto.openMember(GRACE);

  await ada.choose("editor");
  await ada.press("Save");
  await ada.isTold(/^Saved/);

  await otto.page.getByRole("checkbox", { name: "Sales" }).check();
  assert.equal(await otto.press("Save"), 409);
  await otto.isTold(/somebody else changed this person/);
  const meanwhile = await otto.page.locator(".conflict").innerText();
  assert.match(meanwhile, /Ada Lovelace changed Grace Hopper \(role\)/);
  assert.match(meanwhile, /Now: Editor/);
  assert.equal(await ask("role", GRACE), "editor");
  // What Otto has chosen is still there, and can be saved now that he knows.
  assert.ok(await otto.page.getByRole("checkbox", { name: "Sales" }).isChecked());
  assert.ok(await otto.role("admin").isChecked());
  await otto.choose("editor");
  await otto.press("Save");
  await otto.isTold(/^Saved/);

  // The buttons know as well.
  assert.equal(await ada.press("Disable"), 409);
  await ada.isTold(/somebody else changed this person/);
  await ada.press("Disable");
  await ada.isTold(/^Disabled/);
}

export async function the_activity_tells_who_did_what({ visitor }) {
  const ada = await visitor();
  await ada.signIn(ADA);
  await ada.openMember(GRACE);
  await ada.choose("editor");
  await ada.press("Save");
  await ada.follow("Activity");
  const rows = async () => (await ada.page.locator("tbody tr").allInnerTexts()).map((row) => row.replace(/\s+/g, " "));
  const [changed, came] = await rows();
  assert.match(changed, /UTC Ada Lovelace changed Grace Hopper role/);
  assert.match(came, /UTC Ada Lovelace signed in to these pages/);
  await ada.follow("Older");
  assert.match((await rows()).at(-1), /An operator created the organization/);
  await ada.follow("To the latest");
  await ada.follow("Grace Hopper");
  await ada.follow("What happened to this person");
  assert.equal((await rows()).length, 2);
  await ada.follow("Show all");
  assert.equal((await rows()).length, 50);
}
