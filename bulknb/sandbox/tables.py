"""The tables of the store that every org has; each object has one more for its records."""

TABLES = """
CREATE TABLE IF NOT EXISTS sequence (prefix TEXT PRIMARY KEY, last INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS job (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,               -- Classic, V2Ingest or V2Query
  place INTEGER NOT NULL,           -- where it stands in lists, which have no order of their own
  operation TEXT NOT NULL,
  object TEXT NOT NULL,
  external_id TEXT,
  assignment_rule TEXT,
  concurrency TEXT NOT NULL DEFAULT 'Parallel',
  content_type TEXT NOT NULL DEFAULT 'CSV',
  delimiter TEXT NOT NULL DEFAULT 'COMMA',
  line_ending TEXT NOT NULL DEFAULT 'LF',
  api_version TEXT NOT NULL,
  query TEXT,
  state TEXT NOT NULL,
  error TEXT,
  created_by TEXT NOT NULL,
  created REAL NOT NULL,            -- seconds since the epoch, as all moments here
  modified REAL NOT NULL,
  pk_chunking TEXT,                 -- the header that asked for it
  spec TEXT,                        -- how its batches become records, if they are not yet
  uploads INTEGER NOT NULL DEFAULT 0,
  header TEXT,                      -- the first line of what was uploaded, as it was
  next_at REAL                      -- when the engine has to look at it again
);
CREATE INDEX IF NOT EXISTS job_place ON job (place);
CREATE INDEX IF NOT EXISTS job_created ON job (created);
CREATE INDEX IF NOT EXISTS job_next ON job (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS upload (  -- until it is cut into batches
  job TEXT PRIMARY KEY REFERENCES job, content TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS batch (
  id TEXT PRIMARY KEY,
  job TEXT NOT NULL REFERENCES job,
  state TEXT NOT NULL,
  message TEXT,
  created REAL NOT NULL,
  modified REAL NOT NULL,
  started REAL,
  processed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  total_ms INTEGER NOT NULL DEFAULT 0,
  api_ms INTEGER NOT NULL DEFAULT 0,
  apex_ms INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER,                 -- to lock its parents; null while a transaction is at work
  next_at REAL
);
CREATE INDEX IF NOT EXISTS batch_job ON batch (job);
CREATE INDEX IF NOT EXISTS batch_next ON batch (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS batch_queued ON batch (id) WHERE state = 'Queued';
CREATE INDEX IF NOT EXISTS batch_running ON batch (id) WHERE state = 'InProgress';

-- A table of its own, or every change of a batch would write its content anew.
CREATE TABLE IF NOT EXISTS content (
  batch TEXT PRIMARY KEY REFERENCES batch, packed BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS allocation (  -- batches that count against the day, jobs deleted or not
  at REAL NOT NULL, batches INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS allocation_at ON allocation (at);

CREATE TABLE IF NOT EXISTS outcome (  -- of a run of rows: JSON lists of id, created, error
  batch TEXT, first INTEGER, outcomes TEXT NOT NULL,
  PRIMARY KEY (batch, first)
);

CREATE TABLE IF NOT EXISTS result (  -- rows of a query, written out: a run of them, as JSON
  owner TEXT, first INTEGER, count INTEGER NOT NULL, packed BLOB NOT NULL,
  PRIMARY KEY (owner, first)
);
"""
