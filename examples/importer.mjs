// A small importer in JavaScript (Node 18 or newer): logs in, fetches the export if it has changed, and writes it to a file.
//
//     WATCHTOWER_PASSWORD=... node examples/importer.mjs https://watchtower.example.com admin users.json
//
// users.json.etag holds the ETag of users.json. After 503, 429 or a broken transfer it retries after Retry-After seconds.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 120_000;
const TIMEOUT_MS = 300_000;
const [, , base, username, file] = process.argv;
const url = base.replace(/\/$/, "");

/** Requests a target until the service can answer; returns status, headers and text. */
async function ask(target, options = {}) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    let pause = 1;
    try {
      const answer = await fetch(url + target, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      // Rejects if the connection ends before Content-Length bytes.
      const text = await answer.text();
      if (![429, 502, 503, 504].includes(answer.status) || Date.now() > deadline) {
        return { status: answer.status, headers: answer.headers, text };
      }
      pause = Number(answer.headers.get("Retry-After")) || pause;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(pause * 1000);
  }
}

/** Logs in; returns the session's cookie. */
async function logIn(password) {
  const answer = await ask("/api/login/", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password }),
  });
  if (answer.status !== 200) throw new Error(`login refused: ${answer.status} ${answer.text.slice(0, 200)}`);
  return answer.headers.get("Set-Cookie").split(";")[0];
}

/** Replaces a file as a whole. Only its owner may read it: it holds personal data. */
function write(path, text) {
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, text, { mode: 0o600, flag: "wx" });
  renameSync(`${path}.new`, path);
}

async function main() {
  const tagFile = `${file}.etag`;
  const headers = { Cookie: await logIn(process.env.WATCHTOWER_PASSWORD) };
  if (existsSync(file) && existsSync(tagFile)) headers["If-None-Match"] = readFileSync(tagFile, "utf8");
  const answer = await ask("/api/admin/export-users/", { headers });
  if (answer.status === 304) return "nothing has changed";
  if (answer.status !== 200) throw new Error(`export refused: ${answer.status} ${answer.text.slice(0, 200)}`);
  const { count, users } = JSON.parse(answer.text);
  if (count !== users.length) throw new Error("the export says another number of users than it holds");
  write(file, answer.text);
  write(tagFile, answer.headers.get("ETag") ?? "");
  return `${count} users`;
}

try {
  console.log(await main());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
