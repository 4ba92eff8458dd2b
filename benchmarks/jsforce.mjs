// jsforce's part of load_vs_peers.py: records in memory -> an Id or an error for each.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [url, file, modules] = process.argv.slice(2);
const main = pathToFileURL(`${modules}/jsforce/index.js`).href;
const jsforce = (await import(main)).default;
const conn = new jsforce.Connection({ instanceUrl: url, accessToken: "token", version: "62.0" });
const records = JSON.parse(readFileSync(file));
const ROWS_PER_JOB = 400_000; // it does not split by itself

async function load() {
  const found = new Map();
  for (let at = 0; at < records.length; at += ROWS_PER_JOB) {
    const results = await conn.bulk2.loadAndWaitForResults({
      object: "Row__c", operation: "insert", input: records.slice(at, at + ROWS_PER_JOB),
      pollInterval: 1, pollTimeout: 600_000,
    });
    for (const set of [results.successfulResults, results.failedResults]) {
      for (const row of set) found.set(row.Key__c, row.sf__Id);
    }
  }
  return records.map((record) => found.get(record.Key__c));
}

await load();
global.gc?.();
const before = process.memoryUsage().rss;
const cpu = process.cpuUsage();
const clock = performance.now();
const ids = await load();
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  cpu: (used.user + used.system) / 1e6,
  clock: (performance.now() - clock) / 1e3,
  peak: Math.max(0, process.resourceUsage().maxRSS * 1024 - before) / 2 ** 20,
  right: Math.abs(ids.filter(Boolean).length - 0.99 * records.length) <= 20,
}));
