// What jsforce does to a sandbox; each function is one check.

import { rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const WAIT = { pollInterval: 300, pollTimeout: 60_000 };

const checks = {
  async bulk1(conn, { operation, rows, key }) {
    const options = key ? { extIdField: key } : {};
    return conn.bulk.load("Account", operation, options, rows);
  },

  async bulk1Query(conn, { soql }) {
    return (await conn.bulk.query(soql)).toArray();
  },

  async bulk1Abort(conn, { rows }) {
    const job = conn.bulk.createJob("Account", "insert");
    const batch = job.createBatch();
    batch.execute(rows);
    await new Promise((resolve, reject) => batch.on("queue", resolve).on("error", reject));
    await job.abort();
    const { state } = await job.check();
    return { state, batches: (await job.list()).length };
  },

  async bulk2(conn, { operation, rows, key }) {
    const options = key ? { externalIdFieldName: key } : {};
    return conn.bulk2.loadAndWaitForResults({
      object: "Account", operation, input: rows, ...options, ...WAIT,
    });
  },

  async bulk2Abort(conn, { rows }) {
    const job = conn.bulk2.createJob({ object: "Account", operation: "insert" });
    await job.open();
    await job.uploadData(rows);
    await job.abort();
    const { state } = await job.check();
    const unprocessed = await job.getUnprocessedRecords();
    await job.delete();
    const after = await error(() => job.check());
    return { state, unprocessed, after };
  },

  async bulk2Query(conn, { soql, scanAll }) {
    return (await conn.bulk2.query(soql, { scanAll, ...WAIT })).toArray();
  },

  async bulk2QueryAbort(conn, { soql }) {
    const { id } = await conn.request({
      method: "POST", url: `/services/data/v${conn.version}/jobs/query`,
      body: JSON.stringify({ operation: "query", query: soql }),
      headers: { "Content-Type": "application/json" },
    });
    const job = conn.bulk2.job("query", { id });
    await job.abort();
    const { state } = await job.check();
    await job.delete();
    return { state };
  },

  async bulk2Refused(conn, { soql }) {
    return error(() => conn.bulk2.query(soql, WAIT));
  },

  async crud(conn, { name }) {
    const accounts = conn.sobject("Account");
    const created = await accounts.create({ Name: name, Industry: "Energy" });
    const read = await accounts.retrieve(created.id);
    const updated = await accounts.update({ Id: created.id, Industry: null });
    const upserted = await accounts.upsert({ ExternalId__c: name, Name: name }, "ExternalId__c");
    const found = await accounts.find({ Name: name }, "Id, Name, Industry");
    const deleted = await accounts.destroy(created.id);
    const after = await error(() => accounts.retrieve(created.id));
    return { created, read, updated, upserted, found, deleted, after };
  },

  async collections(conn, { names }) {
    const accounts = conn.sobject("Account");
    const created = await accounts.create([...names.map((Name) => ({ Name })), { Industry: "Energy" }]);
    const ids = created.filter((row) => row.success).map((row) => row.id);
    const updated = await accounts.update(ids.map((Id) => ({ Id, Industry: "Energy" })));
    const read = await accounts.retrieve(ids);
    const deleted = await accounts.destroy(ids);
    return { created, updated, read, deleted };
  },

  async describe(conn) {
    const { sobjects } = await conn.describeGlobal();
    const { fields } = await conn.describe("Account");
    return { objects: sobjects.map(({ name }) => name), fields: fields.map(({ name }) => name) };
  },

  async identity(conn) {
    const { username, user_id: id } = await conn.identity();
    return { username, id, limits: (await conn.request("/limits")).DailyApiRequests, usage: conn.limitInfo };
  },

  async signIn(conn, { grants }) {
    const { default: jsforce } = await import(process.env.NODE_MODULES + "/jsforce/index.js");
    const loginUrl = process.env.INSTANCE_URL;
    const users = [];
    for (const grant of grants) {
      const other = new jsforce.Connection({
        oauth2: { loginUrl, clientId: "app", clientSecret: "secret" },
      });
      await other.authorize(grant);
      users.push({ url: other.instanceUrl, ...(await other.identity()) }.url);
    }
    return users;
  },

  async refreshed(conn, { refreshToken }) {
    const { default: jsforce } = await import(process.env.NODE_MODULES + "/jsforce/index.js");
    const instanceUrl = process.env.INSTANCE_URL;
    const other = new jsforce.Connection({
      oauth2: { loginUrl: instanceUrl, clientId: "app" },
      instanceUrl, accessToken: "00D000000000001!gone", refreshToken,
    });
    const found = await other.query("SELECT Id FROM User");
    const rows = await (await other.bulk2.query("SELECT Id FROM User", WAIT)).toArray();
    other.accessToken = "00D000000000001!gone again";
    const again = await (await other.bulk.query("SELECT Id FROM User")).toArray();
    return [found.totalSize, rows.length, again.length];
  },
};

async function error(call) {
  try {
    await call();
  } catch ({ name, errorCode, message }) {
    return { name, errorCode, message };
  }
  return null;
}

// The lines name a package, and packages are looked for from the file that names them.
async function signedIn() {
  const path = `${process.env.NODE_MODULES}/../sign-in-${process.pid}.mjs`;
  await writeFile(path, `${process.env.SIGN_IN}export default conn;\n`);
  try {
    return (await import(pathToFileURL(path))).default;
  } finally {
    await rm(path);
  }
}

const [name, options] = process.argv.slice(2);
const conn = await signedIn();
conn.bulk.pollInterval = WAIT.pollInterval;
conn.bulk.pollTimeout = WAIT.pollTimeout;
console.log(JSON.stringify(await checks[name](conn, JSON.parse(options))));
