// A console in a browser that calls the directory in gRPC-Web, with Connect: node page.mjs. The console is served as two
// origins, http://localhost and http://127.0.0.1, on USERBRIDGE_CONSOLE_PORT; what a page of each gets is printed as JSON.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";

const { USERBRIDGE_TEST_NPM, USERBRIDGE_TEST_CHROMIUM, USERBRIDGE_CONSOLE_PORT, USERBRIDGE_DESCRIPTORS } = process.env;
const { USERBRIDGE_GRPC_URL, USERBRIDGE_URL, USERBRIDGE_API_KEY } = process.env;
const { chromium } = createRequire(`${USERBRIDGE_TEST_NPM}/`)("playwright-core");

const protobuf = "/npm/@bufbuild/protobuf/dist/esm";
const connect = "/npm/@connectrpc/connect/dist/esm";
const imports = {
  "@bufbuild/protobuf": `${protobuf}/index.js`,
  "@bufbuild/protobuf/codegenv2": `${protobuf}/codegenv2/index.js`,
  "@bufbuild/protobuf/wire": `${protobuf}/wire/index.js`,
  "@bufbuild/protobuf/wkt": `${protobuf}/wkt/index.js`,
  "@connectrpc/connect": `${connect}/index.js`,
  "@connectrpc/connect/protocol": `${connect}/protocol/index.js`,
  "@connectrpc/connect/protocol-connect": `${connect}/protocol-connect/index.js`,
  "@connectrpc/connect/protocol-grpc-web": `${connect}/protocol-grpc-web/index.js`,
  "@connectrpc/connect-web": "/npm/@connectrpc/connect-web/dist/esm/index.js",
};

const page = `<!doctype html>
<title>A console</title>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
  import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
  import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
  import { Code, ConnectError, createClient } from "@connectrpc/connect";
  import { createGrpcWebTransport } from "@connectrpc/connect-web";

  const descriptors = new Uint8Array(await (await fetch("/descriptors.bin")).arrayBuffer());
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
  const service = registry.getService("userbridge.users.v1.UserService");

  window.retrieve = async (baseUrl, key, email) => {
    const client = createClient(service, createGrpcWebTransport({ baseUrl }));
    const headers = { authorization: "Bearer " + key };
    try {
      const answer = await client.retrieve({ by: { case: "email", value: email } }, { headers });
      return toJson(service.method.retrieve.output, answer);
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      return { code: Code[code], message: rawMessage };
    }
  };
  window.read = async (url) => {
    try {
      return (await (await fetch(url)).json()).openapi;
    } catch (error) {
      return error.name;
    }
  };
</script>`;

const server = createServer((request, response) => {
  const path = normalize(new URL(request.url, "http://console").pathname);
  try {
    if (path === "/") {
      response.setHeader("content-type", "text/html").end(page);
    } else if (path === "/descriptors.bin") {
      response.end(readFileSync(USERBRIDGE_DESCRIPTORS));
    } else if (path.startsWith("/npm/")) {
      const file = readFileSync(join(USERBRIDGE_TEST_NPM, "node_modules", path.slice("/npm/".length)));
      response.setHeader("content-type", "text/javascript").end(file);
    } else {
      response.writeHead(404).end();
    }
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => server.listen(Number(USERBRIDGE_CONSOLE_PORT), "127.0.0.1", ready));

const browser = await chromium.launch({
  executablePath: USERBRIDGE_TEST_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const found = {};
try {
  for (const host of ["localhost", "127.0.0.1"]) {
    const page = await browser.newPage();
    await page.goto(`http://${host}:${USERBRIDGE_CONSOLE_PORT}/`);
    await page.waitForFunction(() => window.retrieve !== undefined);
    const retrieve = (email) =>
      page.evaluate((all) => window.retrieve(...all), [USERBRIDGE_GRPC_URL, USERBRIDGE_API_KEY, email]);
    found[host] = {
      user: await retrieve("sally@acme.example.com"),
      nobody: await retrieve("nobody@acme.example.com"),
      document: await page.evaluate((url) => window.read(url), `${USERBRIDGE_URL}/openapi.json`),
    };
  }
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(found));
