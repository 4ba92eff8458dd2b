"""The tables of the store: those that every org has, and those for the records of an object."""

from collections.abc import Iterator

from bulknb.sandbox.schema import Field, ObjectType

TABLES = """
CREATE TABLE IF NOT EXISTS sequence (prefix TEXT PRIMARY KEY, last INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS stamp (  -- system fields of records that were saved together
  id INTEGER PRIMARY KEY,
  OwnerId TEXT, CreatedDate TEXT, CreatedById TEXT, LastModifiedDate TEXT, SystemModstamp TEXT
);
CREATE INDEX IF NOT EXISTS stamp_fields ON stamp (
  OwnerId, CreatedDate, CreatedById, LastModifiedDate, SystemModstamp
);

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

CREATE TABLE IF NOT EXISTS upload (  -- in parts, until it is cut into batches
  job TEXT REFERENCES job, first INTEGER, content TEXT NOT NULL,
  PRIMARY KEY (job, first)
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

CREATE TABLE IF NOT EXISTS outcome (  -- of a run of rows: JSON lists of ids, created, errors
  batch TEXT, first INTEGER, columns TEXT NOT NULL,
  PRIMARY KEY (batch, first)
);

CREATE TABLE IF NOT EXISTS result (  -- rows of a query, written out: a run of them, end to end
  owner TEXT, first INTEGER, count INTEGER NOT NULL, lengths BLOB NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (owner, first)
);
"""

# What the table `stamp` holds for many records at once.
STAMPED = ("OwnerId", "CreatedDate", "CreatedById", "LastModifiedDate", "SystemModstamp")
# The column that leads there; no field has a name with a blank.
STAMP = '"stamp id"'


def sql(*words: str) -> str:
    """Return one statement; names in it come from `quote`, values go in as parameters."""
    return " ".join(words)


def quote(name: str) -> str:
    """Return a name of a declared object or field as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def records(kind: ObjectType) -> str:
    """Return the name under which an object's records are read, with all their fields."""
    return quote(f"{kind.name} records")


def stored(kind: ObjectType) -> str:
    """Return the name of the table that an object's records are written to."""
    return quote(f"{kind.name} stored")


def definitions(kind: ObjectType) -> Iterator[str]:
    """Yield the statements that make room for the records of an object."""
    columns = ", ".join(
        f"{quote(field.name)} {field.kind.sql}" + " PRIMARY KEY" * (field.name == "Id")
        for field in kind.all_fields
        if field.name not in STAMPED
    )
    # Without a row number of its own, a table is ordered by Id, that is, by creation.
    yield sql(
        "CREATE TABLE IF NOT EXISTS", stored(kind), "(", columns, ",", STAMP, ") WITHOUT ROWID"
    )
    fields = ", ".join(_source(field) for field in kind.all_fields)
    yield sql("CREATE VIEW IF NOT EXISTS", records(kind), "AS SELECT", fields, "FROM", stored(kind))
    for field in kind.all_fields:
        if field.unique or (field.indexed and field.name != "Id"):
            name = quote(f"{kind.name} by {field.name}")
            column = quote(field.name)
            yield sql("CREATE INDEX IF NOT EXISTS", name, "ON", stored(kind), "(", column, ")")


def _source(field: Field) -> str:
    """Return where a field comes from.

    Not a join: SQLite could not look into a view of two tables when it joins the view itself.
    """
    name = quote(field.name)
    if field.name not in STAMPED:
        return name
    return sql("(SELECT", name, "FROM stamp WHERE id =", STAMP, ") AS", name)
