// jsforce's part of query_vs_peers.py: a query -> records with typed values.

import { pathToFileURL } from "node:url";

const [url, modules, soql, kinds] = process.argv.slice(2);
const jsforce = (await import(pathToFileURL(`${modules}/jsforce/index.js`).href)).default;
const conn = new jsforce.Connection({ instanceUrl: url, accessToken: "token", version: "62.0" });

const typed = { Float64: Number, Int64: Number, boolean: (text) => text === "true" };
const types = Object.entries(JSON.parse(kinds)).map(([name, kind]) => [name, typed[kind]]);
types.push(["Day__c", (text) => new Date(text)], ["Moment__c", (text) => new Date(text)]);
const convert = types.filter(([, read]) => read);

async function query() {
  const records = await (await conn.bulk2.query(soql, { pollInterval: 1 })).toArray();
  for (const record of records) {
    for (const [name, read] of convert) record[name] = record[name] ? read(record[name]) : null;
  }
  return records;
}

const before = process.memoryUsage().rss;
const cpu = process.cpuUsage();
const clock = performance.now();
const records = await query();
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  wall: (performance.now() - clock) / 1e3,
  cpu: (used.user + used.system) / 1e6,
  peak: Math.max(0, process.resourceUsage().maxRSS * 1024 - before) / 2 ** 20,
  size: 0,
  rows: records.length,
}));
