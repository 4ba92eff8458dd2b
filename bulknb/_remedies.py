"""Row error codes: whether the same row may pass if it is sent again, and what to do.

Sources: SOAP API Developer Guide, "StatusCode"; Bulk API Developer Guide, "General Guidelines for
Data Loads" (locks).
"""

from __future__ import annotations

import pandas as pd

__all__ = ["by_reason", "is_transient", "remedy"]

#: Code -> what to do; the row itself is not at fault.
_TRANSIENT = {
    "UNABLE_TO_LOCK_ROW": "See load.locks(), then retry in the order of the parent: order_by=...",
    "API_CURRENTLY_DISABLED": "Retry later",
    "QUERY_TIMEOUT": "Retry with smaller chunks",
    "REQUEST_LIMIT_EXCEEDED": "Retry when the day's API calls are renewed",
    "REQUEST_RUNNING_TOO_LONG": "Retry with smaller chunks",
    "SERVER_UNAVAILABLE": "Retry later",
    "UNKNOWN_EXCEPTION": "Retry once; if it stays, ask Salesforce with the number in the message",
}
#: Code -> what to do; sent again as it is, the row fails again.
_PERMANENT = {
    "BAD_CUSTOM_ENTITY_PARENT_DOMAIN": "Move parent and child into the same domain",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "A trigger or flow failed: the message names it",
    "CIRCULAR_DEPENDENCY": "A record points to itself over others: break the circle",
    "DELETE_FAILED": "Delete or detach the records that depend on it first",
    "DUPLICATE_COMM_NICKNAME": "Give each user a nickname of its own",
    "DUPLICATE_EXTERNAL_ID": "Several records have this external id: make it unique in the org",
    "DUPLICATE_USERNAME": "Usernames are unique over all orgs: choose another",
    "DUPLICATE_VALUE": "The org has this value, or the frame has it twice: upsert, or drop it",
    "DUPLICATES_DETECTED": "A duplicate rule matched: merge, or let the rule allow it",
    "ENTITY_IS_DELETED": "The record is in the recycle bin: restore it, or drop the row",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "A validation rule of the org refused it: correct the row",
    "FIELD_FILTER_VALIDATION_EXCEPTION": "The parent does not match the lookup's filter",
    "FIELD_INTEGRITY_EXCEPTION": "The value does not fit the other fields: correct the row",
    "INACTIVE_OWNER_OR_USER": "Name an active user as the owner",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "Ask for access to the parent record",
    "INSUFFICIENT_ACCESS_OR_READONLY": "Ask for access to the record or the field",
    "INVALID_CROSS_REFERENCE_KEY": "The Id that it points to is not there, or of another object",
    "INVALID_EMAIL_ADDRESS": "Correct the e-mail address",
    "INVALID_FIELD": "The value does not fit the field, or no parent has this external id",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "The field cannot be written: drop the column",
    "INVALID_ID_FIELD": "Correct the Id",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "Use a value of the picklist, or add it there",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "The value is of another type than the field",
    "MALFORMED_ID": "Ids have 15 or 18 characters of the right object: correct it",
    "MISSING_ARGUMENT": "Fill in the key of the record",
    "NOT_FOUND": "The record is not there: drop the row, or upsert",
    "NUMBER_OUTSIDE_VALID_RANGE": "The number has too many digits for the field",
    "REQUIRED_FIELD_MISSING": "Fill in the fields that are named",
    "STORAGE_LIMIT_EXCEEDED": "The org is full: free data storage, then retry",
    "STRING_TOO_LONG": "Shorten the text to the length of the field",
}
_UNKNOWN = "Read the message; correct the rows, then retry(corrected)"


def is_transient(codes: pd.Series, messages: pd.Series) -> pd.Series:
    """Return for each failed row whether it may pass if it is sent again as it is.

    A lock that a trigger waited for in vain is told in the message of the trigger's own error.
    """
    known = "|".join(_TRANSIENT)
    told: pd.Series = codes.isin(list(_TRANSIENT)) | messages.str.contains(known).fillna(False)
    return told.astype(bool)


def remedy(code: object) -> str:
    """Return what to do about a row error."""
    return _TRANSIENT.get(str(code)) or _PERMANENT.get(str(code)) or _UNKNOWN


def by_reason(failed: pd.DataFrame) -> pd.DataFrame:
    """Return failed rows by reason, the most frequent first, as ``Load.errors`` says."""
    transient = is_transient(failed["error_code"], failed["error_message"])
    failed = failed.assign(example_row=failed.index, transient=transient)
    reasons = (
        failed.groupby(["error_code", "error_fields"], dropna=False, sort=False)
        .agg(
            rows=("outcome", "size"),
            example_row=("example_row", "first"),
            example_message=("error_message", "first"),
            transient=("transient", "all"),
        )
        .sort_values("rows", ascending=False, kind="stable")
        .reset_index()
    )
    return reasons.assign(remedy=reasons["error_code"].map(remedy))
