"""docs/sandbox.md: its examples run, and what it lists is what there is."""

import re
from pathlib import Path

import pytest

from bulknb.cli import sandbox as command
from bulknb.sandbox import clients
from bulknb.sandbox.faults import JOB_KINDS, REQUEST_KINDS
from bulknb.sandbox.locks import ATTEMPTS
from bulknb.sandbox.physics import LOCK_SECONDS
from bulknb.sandbox.rest import VERSIONS
from bulknb.sandbox.standard import STANDARD_OBJECTS

GUIDE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")


def test_its_examples_run_one_after_the_other():
    names = {"__name__": "guide"}
    for example in re.findall(r"```python\n(.+?)```", GUIDE, flags=re.DOTALL):
        exec(compile(example, "docs/sandbox.md", "exec"), names)
    assert names["load"].frame["outcome"].tolist() == ["failed"]


@pytest.mark.parametrize("client", clients.LINES)
def test_it_gives_the_lines_that_the_sandbox_prints(client):
    assert f"\n{clients.lines(client, 'URL', 'TOKEN')}```" in GUIDE


def test_it_names_each_fault_and_each_option():
    faults = GUIDE[GUIDE.index("- Before the org has seen") :]
    assert tuple(re.findall(r"`(\w+)`", faults)) == REQUEST_KINDS + JOB_KINDS
    options = re.findall(r"^\| `(--\w+)` \|", GUIDE, flags=re.MULTILINE)
    assert options == [option.opts[0] for option in command.params]


def test_its_numbers_are_those_of_the_code():
    assert f"**Versions** {VERSIONS[0]}.0 to {VERSIONS[-1]}.0" in GUIDE
    assert (ATTEMPTS, LOCK_SECONDS) == (10, 1.0)
    *others, last = sorted(kind.name for kind in STANDARD_OBJECTS)
    text = f"An org starts with {', '.join(others)} and {last}."
    assert text in " ".join(GUIDE.split())
