"""Threads and memory that are used again."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading

import pyarrow as pa
import pytest

from bulknb._machine import ahead, beside

POOL = """
import pyarrow as pa
from bulknb._machine import later
later(int).result()
print(pa.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize("chosen", ["system", None])
def test_arrow_takes_memory_from_jemalloc_unless_the_user_has_chosen(chosen):
    environment = {name: os.environ[name] for name in os.environ if "MEMORY_POOL" not in name}
    if chosen:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    before = [
        sys.executable,
        "-c",
        "import pyarrow as pa; print(pa.default_memory_pool().backend_name)",
    ]
    run = functools.partial(subprocess.check_output, env=environment, text=True)
    default = run(before).strip()
    known = "jemalloc" in pa.supported_memory_backends()

    found = run([sys.executable, "-c", POOL]).strip()

    assert found == ("jemalloc" if known and default == "mimalloc" else default)
    assert chosen in (None, found)


def test_what_runs_beside_runs_in_its_order():
    seen: list[int] = []
    wait = threading.Event()
    first = beside(lambda: (wait.wait(10), seen.append(0)))
    others = [beside(functools.partial(seen.append, number)) for number in range(1, 5)]
    wait.set()

    for future in (first, *others):
        future.result()

    assert seen == [0, 1, 2, 3, 4]


def test_work_ahead_comes_in_its_order_and_its_errors_where_they_are():
    done = ahead(functools.partial(divmod, 6, number) for number in (3, 2, 0))

    assert [next(done), next(done)] == [(2, 0), (3, 0)]
    with pytest.raises(ZeroDivisionError):
        next(done)
