// Drives the server with the TypeScript SDK 1.x, as most clients are made of it; prints what it saw as JSON.
//   node typescript_client.mjs MODULES stdio COMMAND [ARGUMENT...]
//   node typescript_client.mjs MODULES http URL TOKEN
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, transport, target, ...rest] = process.argv.slice(2);
const load = (file) =>
  import(pathToFileURL(join(modules, "@modelcontextprotocol/sdk/dist/esm/client", file)).href);
const { Client } = await load("index.js");
const { StdioClientTransport } = await load("stdio.js");
const { StreamableHTTPClientTransport } = await load("streamableHttp.js");

const connection =
  transport === "stdio"
    ? new StdioClientTransport({ command: target, args: rest, env: process.env, stderr: "ignore" })
    : new StreamableHTTPClientTransport(new URL(target), {
        requestInit: { headers: { Authorization: `Bearer ${rest[0]}` } },
      });
const client = new Client({ name: "typescript-test", version: "1" });
await client.connect(connection);
const { tools } = await client.listTools();
const progress = [];
const call = (name, given) =>
  client.callTool({ name, arguments: given }, undefined, { onprogress: (p) => progress.push(p.message) });
const made = await call("generate_image", { prompt: "A red fox", size: "1024x640", quality: "low" });
const refused = await call("generate_image", { prompt: "A red fox", sise: "auto" });
await client.close();

const texts = (result) => result.content.filter((b) => b.type === "text").map((b) => b.text);
const report = {
  tools: tools.map((tool) => tool.name),
  images: made.content.filter((b) => b.type === "image").map((b) => b.data),
  text: texts(made).join("\n"),
  structured: made.structuredContent,
  error: texts(refused).join("\n"),
  progress,
};
process.stdout.write(JSON.stringify(report));
