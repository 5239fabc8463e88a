// What pages look like, to whom, and on what.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { PEOPLE } from "../visitor.mjs";

const ADA = "ada.lovelace@example.com";
const GRACE = "grace.hopper@example.com";
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, javaScriptEnabled: true };

/** The pages of a visitor who has signed in, and what each is called. */
async function everyPage(visitor, ask, look) {
  const grace = await ask("id", GRACE);
  const paths = {
    "the list": PEOPLE,
    "nobody found": `${PEOPLE}?text=nobody-at-all`,
    "those who were removed": `${PEOPLE}?show=removed`,
    "a person": `${PEOPLE}/${grace}`,
    "oneself": `${PEOPLE}/${await ask("id", ADA)}`,
    "what was done": `${PEOPLE}/${grace}?notice=saved`,
    "what was refused": `${PEOPLE}/${grace}?notice=last-owner`,
    "the question before somebody is removed": `${PEOPLE}/${grace}/remove`,
    "the invitation": `${PEOPLE}/invite`,
    "the activity": "/cloud-views/user-management-portal/activity",
    "nothing": "/cloud-views/nothing",
    "the port itself": "/",
    "the reference": "/docs",
    "a link for a password": `/set-password?token=${await ask("password-link", GRACE)}`,
    "a link that is over": "/set-password?token=ubp_unknown",
  };
  for (const [name, path] of Object.entries(paths)) {
    await visitor.open(path);
    await look(name);
  }
}

/** People differ, so that the pictures show something. */
async function makeDifferent(visitor) {
  for (const [address, team] of [[GRACE, "Sales"], ["edsger.editor@example.com", "Support"], [ADA, "Sales"]]) {
    await visitor.openMember(address);
    await visitor.page.getByRole("checkbox", { name: team }).check();
    await visitor.press("Save");
  }
  await visitor.openMember("otto.owner@example.com");
  await visitor.press("Disable");
}

/** Somebody is removed, so that there is somebody to restore. */
async function remove(visitor, ask, address) {
  await visitor.open(`${PEOPLE}/${await ask("id", address)}/remove`);
  await visitor.press("Remove");
}

export async function every_page_is_accessible_in_light_and_dark({ ask, visitor }) {
  const ada = await visitor({ javaScriptEnabled: true });
  await ada.signIn(ADA);
  await remove(ada, ask, "viewer.59@example.com");
  await ada.isAccessible("somebody was removed");
  await everyPage(ada, ask, (name) => ada.isAccessible(name));
  assert.deepEqual(ada.faults, []);

  // By keyboard alone: the first stop skips what is the same everywhere.
  await ada.open(PEOPLE);
  await ada.page.keyboard.press("Tab");
  assert.equal(await ada.page.evaluate(() => document.activeElement.textContent), "Skip to content");

  await makeDifferent(ada);
  await ada.page.emulateMedia({ colorScheme: "light" });
  await picture(ada, "portal-people.png", PEOPLE);
  await ada.page.emulateMedia({ colorScheme: "dark" });
  await picture(ada, "portal-person.png", `${PEOPLE}/${await ask("id", GRACE)}`);
}

/** A picture for the documentation, where they are asked for. */
async function picture(visitor, name, path) {
  if (!process.env.USERBRIDGE_TEST_PICTURES) return;
  await visitor.open(path);
  const file = fileURLToPath(new URL(`../../../../docs/images/${name}`, import.meta.url));
  await visitor.page.screenshot({ path: file });
}

export async function all_fits_on_a_phone({ ask, visitor }) {
  const ada = await visitor(PHONE);
  await ada.signIn(ADA);
  await ask("make-evil");
  await remove(ada, ask, "viewer.59@example.com");
  await everyPage(ada, ask, (name) => ada.isAccessible(name));
  await ada.open(PEOPLE);
  // A row is a card, in which each value is below the one before it.
  const [role, state] = await Promise.all(
    ["Role", "State"].map((label) => ada.page.locator(`tbody tr td[data-label="${label}"]`).first().boundingBox()),
  );
  assert.ok(state.y > role.y, "values are one below the other");
}

export async function names_are_text_whatever_is_in_them({ ask, visitor }) {
  await ask("make-evil");
  const ada = await visitor({ javaScriptEnabled: true });
  await ada.signIn(ADA);
  for (const number of [0, 1, 2]) {
    await ada.openMember(`evil.${number}@example.com`);
    await ada.fits(`the page of name ${number}`);
    const name = await ada.page.locator("h1 bdi").textContent();
    await ada.choose("editor");
    await ada.press("Save");
    await ada.isTold(/^Saved/);
    await ada.follow("Remove …");
    await ada.fits(`the question about name ${number}`);
    await ada.press("Remove");
    assert.equal(await ada.page.locator(".notice bdi").textContent(), name);
    await ada.fits(`the list without name ${number}`);
    await ada.press("Undo");
  }
  await ada.open("/cloud-views/user-management-portal/activity");
  await ada.fits("the activity");
  assert.equal(await ada.page.locator("script, main img").count(), 0);
  await ada.open(`${PEOPLE}/invite`);
  assert.equal(await ada.page.locator("fieldset b").count(), 0, "a team is text as well");
  await ada.open(`${PEOPLE}?text=${encodeURIComponent("\"><script>alert(1)</script>")}`);
  assert.equal(await ada.page.locator("script").count(), 0);
  assert.deepEqual(ada.faults, []);
}
