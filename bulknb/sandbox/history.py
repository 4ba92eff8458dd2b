"""A week of jobs in the life of the demonstration org.

The jobs are not made up: the engine runs them, at moments that lie in the past, so that their
times, counters and results hang together. What they loaded of flights is deleted again.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from bulknb.sandbox import csvtext
from bulknb.sandbox.org import Org

HOUR = 3600

_VERSION = "62.0"
_USERS = (
    ("integration@example.com", "Integration", "User"),
    ("dana.reyes@example.com", "Dana", "Reyes"),
    ("kim.olsen@example.com", "Kim", "Olsen"),
)


@dataclass(frozen=True)
class Past:
    """A job of the past.

    Attributes
    ----------
    hours : float
        How long before now it was created.
    user : int
        Which of the users created it.
    rows : int
        How many rows were uploaded.
    extra_column : str
        A column that the object lacks: the job fails.
    query : str
        What a query job asked.
    closed : bool
        Whether the user ever closed the job.
    abort_after : float
        Seconds after its creation that the job was aborted; 0 for never.
    classic : bool
        Whether this was a job of Bulk API 1.0, which old scripts still use.
    """

    hours: float
    user: int
    operation: str
    object: str
    rows: int = 0
    _: KW_ONLY
    extra_column: str = ""
    query: str = ""
    closed: bool = True
    abort_after: float = 0.0
    classic: bool = False


PAST = (
    Past(166.0, 0, "upsert", "Account", 900),
    Past(165.8, 0, "upsert", "Contact", 2_400),
    Past(164.0, 1, "query", "Account", query="SELECT Id, Name, Industry FROM Account"),
    Past(151.5, 1, "insert", "Lead", 1_300),
    Past(144.2, 0, "upsert", "Flight__c", 1_800),
    Past(142.0, 0, "upsert", "Account", 950),
    Past(141.7, 0, "upsert", "Contact", 2_500),
    Past(129.3, 2, "insert", "Lead", 400, extra_column="LeadScore__c"),
    Past(128.9, 2, "insert", "Lead", 400),
    Past(122.0, 1, "insert", "Asset", 700, classic=True),
    Past(120.2, 0, "upsert", "Flight__c", 2_000),
    Past(105.0, 1, "update", "Account", 600),
    Past(103.5, 2, "insert", "Opportunity", 4_000, abort_after=5.5),
    Past(102.9, 2, "insert", "Opportunity", 1_500),
    Past(96.2, 0, "upsert", "Flight__c", 2_200),
    Past(80.4, 1, "query", "Contact", query="SELECT Id, LastName, Account.Name FROM Contact"),
    Past(72.6, 2, "insert", "Case", 250, closed=False),
    Past(54.0, 1, "delete", "Lead", 350),
    Past(46.1, 0, "upsert", "Contact", 2_600),
    Past(30.0, 0, "hardDelete", "Flight__c", 6_000),
    Past(22.0, 1, "query", "Asset", query="SELECT Id, Name FROM Asset", classic=True),
    Past(9.5, 1, "query", "Opportunity", query="SELECT Id, Name, Amount FROM Opportunity"),
)


def _words(*words: str) -> Callable[[int], str]:
    return lambda row: words[row % len(words)]


# What each object's rows are made of. Some are wrong on purpose, and some contacts come without
# their account having been loaded.
_COLUMNS: dict[str, dict[str, Callable[[int], str]]] = {
    "Account": {
        "ExternalId__c": lambda row: f"ACC-{row:05}",
        "Name": lambda row: f"Account {row}",
        "Industry": _words("Agriculture", "Banking", "Energy", "Other"),
        "AnnualRevenue": lambda row: str(10_000 + row * 731 % 900_000),
    },
    "Contact": {
        "ExternalId__c": lambda row: f"CON-{row:05}",
        "FirstName": _words("Ada", "Grace", "Alan", "Edsger", "Barbara"),
        "LastName": lambda row: f"Contact {row}" if row % 150 else "",
        "Email": lambda row: f"contact{row}@example.com" if row % 40 else "unknown",
        "Account.ExternalId__c": lambda row: f"ACC-{row * 7 % 960:05}",
    },
    "Lead": {
        "FirstName": _words("Ada", "Grace", "Alan", "Edsger", "Barbara"),
        "LastName": lambda row: f"Lead {row}" if row % 60 else "",
        "Company": lambda row: f"Company {row % 90}",
    },
    "Opportunity": {
        "Name": lambda row: f"Opportunity {row}",
        "StageName": _words("Prospecting", "Qualification", "Closed Won"),
        "CloseDate": lambda row: f"2026-{1 + row % 12:02}-15" if row % 80 else "soon",
        "Amount": lambda row: str(row * 97 % 50_000),
    },
    "Case": {
        "Subject": lambda row: f"Case {row}",
        "Priority": _words("High", "Medium", "Low"),
    },
    "Asset": {
        "Name": lambda row: f"Asset {row}",
        "SerialNumber": lambda row: f"SN{row:08}",
        "PurchaseDate": lambda row: f"2025-{1 + row % 12:02}-01",
    },
    "Flight__c": {
        "Key__c": lambda row: f"TEST-{row:05}",
        "Date__c": lambda row: f"2012-12-{1 + row % 31:02}",
        "FlightNumber__c": lambda row: str(1 + row % 2_000),
        "DepDelay__c": lambda row: str(row * 37 % 487 - 5),
        "Distance__c": lambda row: str(100 + row * 13 % 2_400),
    },
}
_EXTERNAL_IDS = {"Account": "ExternalId__c", "Contact": "ExternalId__c", "Flight__c": "Key__c"}


def create_history(org: Org) -> None:
    """Let the org have lived through the week before now; needs the demonstration objects."""
    users = [org.create_user(*user) for user in _USERS]
    now = org.clock.time()
    for past in PAST:
        at = now - past.hours * HOUR
        org.engine.run_until(at)
        if past.classic:
            _run_classic(org, past, users[past.user], at)
        else:
            _run(org, past, users[past.user], at)
    org.engine.run_until(now)


def _run(org: Org, past: Past, user: str, at: float) -> None:
    job = org.new_job(
        "V2Query" if past.query else "V2Ingest",
        _VERSION,
        user=user,
        at=at,
        operation=past.operation,
        object=past.object,
        external_id=_EXTERNAL_IDS[past.object] if past.operation == "upsert" else None,
        query=past.query or None,
        state="Open",
    )
    if not past.query:
        org.store.save_upload(job["id"], _csv(org, past))
    if past.closed:
        org.engine.enqueue_job(job["id"], at + 1)
    if past.abort_after:
        org.engine.run_until(at + past.abort_after)
        org.engine.abort(org.store.get_job(job["id"]), at + past.abort_after)


def _run_classic(org: Org, past: Past, user: str, at: float) -> None:
    job = org.new_job(
        "Classic",
        _VERSION,
        user=user,
        at=at,
        operation=past.operation,
        object=past.object,
        state="Open",
    )
    org.engine.add_batch(job["id"], past.query or _csv(org, past), at + 1)
    org.store.update("job", job["id"], state="Closed", modified=at + 2)


def _csv(org: Org, past: Past) -> str:
    """Return the file that was uploaded."""
    columns = dict(_COLUMNS[past.object])
    if past.extra_column:
        columns[past.extra_column] = str
    if past.operation in {"update", "delete", "hardDelete"}:
        kind = org.objects[past.object.lower()]
        keys = [record["Id"] for record in org.store.records(kind)[: past.rows]]
        columns = {"Id": keys.__getitem__}
        if past.operation == "update":
            columns["Industry"] = _COLUMNS[past.object]["Industry"]
        rows = range(len(keys))
    else:
        rows = range(past.rows)
    lines = [csvtext.quoted(cell(row) for cell in columns.values()) for row in rows]
    return csvtext.document(",".join(columns), lines)
