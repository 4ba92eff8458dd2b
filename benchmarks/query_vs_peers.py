"""A query's result as a typed frame: bulknb against other clients, side by side.

    python benchmarks/query_vs_peers.py                      100,000 rows, 5 rounds
    python benchmarks/query_vs_peers.py --rows 1000000
    python benchmarks/query_vs_peers.py --parquet            memory from 1 to 10 million rows

Each contestant runs in processes of its own, warmed up, against one stub whose answers are computed
before; rounds are interleaved. Medians are printed, with the least and the most, and how many times
bulknb's they are. `make bench` installs the peers into `.venv-interop`; who is not installed, or
fails, is left out with a line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from query_contestants import CONTESTANTS, DTYPES
from query_stub import SOQL

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-interop"
OURS = ("bulknb", "bulknb-in-turn", "arrow-alone")
#: These run once; salesforce-bulk not with a million rows: it would need minutes.
SLOW = ("jsforce", "aio-sf", "salesforce-bulk")
MILLION = 1_000_000


@contextmanager
def stub(rows: int) -> Iterator[str]:
    """Run the stub and give its URL."""
    command = [sys.executable, str(HERE / "query_stub.py"), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(name: str, url: str, peers: Path) -> dict[str, object]:
    """Run a contestant and return what it measured."""
    # The contestants' own bulknb is the one beside this file.
    home = peers / "aio-sf" if name == "aio-sf" else peers
    own = [HERE.parent] if name.startswith(OURS) else home.glob("lib/python*/site-packages")
    command = [sys.executable, str(HERE / "query_contestants.py"), name, url]
    if name == "jsforce":
        node, modules = str(peers / "bin/node"), str(peers / "node/node_modules")
        if not Path(node).exists():
            return {"missing": "node"}
        command = [node, str(HERE / "jsforce_query.mjs"), url, modules, SOQL, json.dumps(DTYPES)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, own))},
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "Error" in line]
        return {"missing": (said or ["it failed"])[-1].strip()}
    return json.loads(done.stdout.splitlines()[-1])


def compare(rows: int, rounds: int, peers: Path) -> None:
    """Print a line for each contestant."""
    names = [name for name in (*CONTESTANTS, "jsforce") if name != "bulknb-to-parquet"]
    names = [name for name in names if rows < MILLION or name != "salesforce-bulk"]
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    with stub(rows) as url:
        for number in range(rounds):
            for name in [name for name in runs if number == 0 or name not in SLOW]:
                measured = run(name, url, peers)
                if "missing" in measured:
                    print(f"{name}: left out, {measured['missing']}")
                    del runs[name]
                else:
                    runs[name].append(measured)
    print(f"{rows:,} rows x 10 columns to a typed frame, {rounds} rounds")
    head = f"{'wall s':>8} {'(least-most)':>14}{'times':>7}{'CPU s':>8}{'times':>7}{'peak MB':>9}"
    print(f"{'':28}{head}")
    ours, our_cpu = _median(runs["bulknb"], "wall"), _median(runs["bulknb"], "cpu")
    for name, measured in runs.items():
        walls = [one["wall"] for one in measured]
        wall, cpu = statistics.median(walls), _median(measured, "cpu")
        right = measured[0].get("sum", runs["bulknb"][0]["sum"]) == runs["bulknb"][0]["sum"]
        wrong = "" if right and measured[0].get("rows", rows) == rows else "  gives another result"
        print(
            f"{name:28}{wall:8.2f} {f'({min(walls):.2f}-{max(walls):.2f})':>14}{wall / ours:7.1f}"
            f"{cpu:8.2f}{cpu / our_cpu:7.1f}{_median(measured, 'peak'):9,.0f}{wrong}"
        )
    size = _median(runs["bulknb"], "size")
    print(f"bulknb's peak is {_median(runs['bulknb'], 'peak') / size:.2f} times its frame")


def parquet(rounds: int, peers: Path) -> None:
    """Print the peak memory of `Query.to_parquet` for growing results."""
    for rows in (MILLION, 3 * MILLION, 10 * MILLION):
        with stub(rows) as url:
            measured = [run("bulknb-to-parquet", url, peers) for _ in range(rounds)]
        print(
            f"to_parquet {rows:>10,} rows {_median(measured, 'wall'):7.1f} s"
            f" {_median(measured, 'cpu'):7.1f} s CPU {_median(measured, 'peak'):6,.0f} MB peak"
        )


def _median(runs: list[dict[str, object]], what: str) -> float:
    return statistics.median(float(one[what]) for one in runs)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--peers", type=Path, default=PEERS, help="their environment")
    options = parser.parse_args()
    if options.parquet:
        parquet(options.rounds, options.peers)
    else:
        compare(options.rows, options.rounds, options.peers)


if __name__ == "__main__":
    main()
