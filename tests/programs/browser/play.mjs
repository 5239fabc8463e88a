// Plays one scenario in Chromium: node play.mjs NAME. A line on the output is a question to the test that started this,
// and its answer a line of the input.

import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { Visitor } from "./visitor.mjs";

const { chromium } = createRequire(`${process.env.USERBRIDGE_TEST_NPM}/`)("playwright-core");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the world outside the browser, such as for the `code` of an address. */
async function ask(what, whom = "") {
  process.stdout.write(`${JSON.stringify({ what, whom })}\n`);
  const { value } = await answers.next();
  return JSON.parse(value);
}

const scenarios = {};
for (const file of readdirSync(new URL("scenarios/", import.meta.url))) {
  Object.assign(scenarios, await import(`./scenarios/${file}`));
}

const browser = await chromium.launch({
  executablePath: process.env.USERBRIDGE_TEST_CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

/** Somebody with a browser profile of their own. Without scripts unless the options say otherwise. */
async function visitor(options = {}) {
  const context = await browser.newContext({
    baseURL: process.env.USERBRIDGE_URL,
    javaScriptEnabled: false,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(30_000);
  return new Visitor(context, await context.newPage(), ask);
}

try {
  await scenarios[process.argv[2]]({ ask, visitor });
} finally {
  await browser.close();
  process.stdin.destroy();
}
