// A small importer in JavaScript (Node 18 or newer, nothing else): logs in, fetches what is new, and keeps it in a file.
//
//     WATCHTOWER_PASSWORD=... node examples/importer.mjs https://watchtower.example.com admin users.json
//
// users.json.etag says which answer users.json is. 503 and 429 are asked again after Retry-After, a broken transfer too.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 120_000;
const TIMEOUT_MS = 300_000;
const [, , base, username, file] = process.argv;
const url = base.replace(/\/$/, "");

/** Status, headers and text; asks again while the service says that it can't answer now. */
async function ask(target, options = {}) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    let pause = 1;
    try {
      const answer = await fetch(url + target, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      // Rejects if the connection ends before the length that was promised.
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

/** The session's cookie. */
async function logIn(password) {
  const answer = await ask("/api/login/", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password }),
  });
  if (answer.status !== 200) throw new Error(`login refused: ${answer.status} ${answer.text.slice(0, 200)}`);
  return answer.headers.get("Set-Cookie").split(";")[0];
}

/** Whole, or not at all; personal data, for the owner alone. */
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
