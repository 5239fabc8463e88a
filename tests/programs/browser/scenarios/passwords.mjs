// The page of a mailed link.

import assert from "node:assert/strict";

const GRACE = "grace.hopper@example.com";

export async function a_password_is_set_by_a_mailed_link({ ask, visitor }) {
  const grace = await visitor();
  const { page } = grace;
  const path = `/set-password?token=${await ask("password-link", GRACE)}`;
  const fill = async (password, repeated = password) => {
    await page.getByLabel("New password").fill(password);
    await page.getByLabel("The same again").fill(repeated);
    return grace.press("Set password");
  };
  assert.equal(await grace.open(path), 200);
  await grace.sees("Set your password");
  assert.equal(await fill("short"), 422);
  await grace.isTold(/8 to 256 characters/);
  assert.equal(await fill("password1"), 422);
  await grace.isTold(/tried first/);
  assert.equal(await fill("correct horse battery", "correct horse"), 422);
  await grace.isTold(/not the same/);
  assert.equal(await fill("ein ganz langer Satz \u{1f40e}"), 200);
  await grace.sees("Your password is set");
  assert.equal(await grace.open(path), 410);
  await grace.sees("This link does not work any more");

  // In French, for somebody who reads it.
  await ask("make-french", GRACE);
  await grace.open(`/set-password?token=${await ask("password-link", GRACE)}`);
  await grace.sees("Choisissez votre mot de passe");
  assert.equal(await page.locator("html").getAttribute("lang"), "fr");
}
