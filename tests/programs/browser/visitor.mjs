// What somebody does in a browser, and what they see.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.USERBRIDGE_TEST_NPM}/`);

export const PEOPLE = "/cloud-views/user-management-portal/users";

export class Visitor {
  constructor(context, page, ask) {
    Object.assign(this, { context, page, ask });
    this.faults = [];
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("dialog", (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  }

  /** Comes in as the administrator with this address. */
  async signIn(address) {
    await this.open(`${PEOPLE}?code=${await this.ask("code", address)}`);
    assert.equal(new URL(this.page.url()).search, "", "the code is gone from the address");
    await this.sees("People");
  }

  /** Opens a path, and returns its status. */
  async open(path) {
    return (await this.page.goto(path)).status();
  }

  async openMember(address) {
    await this.open(`${PEOPLE}/${await this.ask("id", address)}`);
  }

  /** Follows a link, and waits for its page. */
  async follow(name) {
    await this.leave(() => this.page.getByRole("link", { name, exact: true }).first().click());
  }

  /** Presses a button, waits for the page that comes of it, and returns its status. */
  async press(name) {
    return this.leave(() => this.page.getByRole("button", { name }).first().click());
  }

  async leave(action) {
    const [response] = await Promise.all([
      this.page.waitForResponse((response) => response.request().isNavigationRequest() && response.status() !== 303),
      this.page.waitForEvent("domcontentloaded"),
      action(),
    ]);
    return response.status();
  }

  /** That a heading of the page is this. */
  async sees(heading) {
    await this.page.getByRole("heading", { name: heading }).first().waitFor();
  }

  /** What the page says of what was done. */
  async told() {
    return (await this.page.locator(".notice").first().innerText()).trim();
  }

  async isTold(text) {
    assert.match(await this.told(), text);
  }

  /** The button of a role, as forms send it. */
  role(value) {
    return this.page.locator(`input[name="role"][value="${value}"]`);
  }

  async choose(role) {
    await this.role(role).check();
  }

  /** The names in the list, from its top. */
  async names() {
    return this.page.locator("tbody th a").allInnerTexts();
  }

  async count() {
    return (await this.page.locator(".count").innerText()).trim();
  }

  async search(text) {
    await this.page.getByLabel("Search").fill(text);
    await this.press("Apply");
  }

  async show(what) {
    await this.page.getByLabel("Show").selectOption(what);
    await this.press("Apply");
  }

  /** That axe-core finds nothing, in both modes, and that nothing is wider than the window. Needs scripts. */
  async isAccessible(where) {
    for (const colorScheme of ["light", "dark"]) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // In the world of the driver, because the page lets no script in.
      await this.page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
      const found = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      const violations = found.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]);
      assert.deepEqual(violations, [], `${where}, ${colorScheme}`);
    }
    await this.fits(where);
  }

  async fits(where) {
    const [content, window] = await this.page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    assert.ok(content <= window, `${where}: ${content} pixels in ${window}`);
  }
}
