"""A query's result as files: whole under their names, or not there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from altered import accounts
from click.testing import CliRunner

from bulknb.cli import main
from bulknb.errors import BulkError, InputError
from bulknb.sandbox import Fault, Sandbox

SOQL = "SELECT Id, Name, NumberOfEmployees FROM Account"


def test_a_folder_of_parquet_files_holds_the_result_by_pages(org, sandbox, tmp_path):
    names = accounts(sandbox, 30)

    query = org.query(SOQL, page_rows=10)
    files = query.to_parquet(tmp_path / "out")

    assert [file.name for file in files] == [f"part-{n:05}.parquet" for n in range(3)]
    assert pd.read_parquet(tmp_path / "out")["Name"].tolist() == names
    with pytest.raises(InputError, match="another folder"):
        query.to_parquet(tmp_path / "out")


def test_one_parquet_file_holds_the_typed_result(org, sandbox, tmp_path):
    names = accounts(sandbox, 30)

    [file] = org.query(SOQL, page_rows=10).to_parquet(tmp_path / "new" / "out.parquet")

    frame = pd.read_parquet(file)
    assert frame["Name"].tolist() == names
    assert frame["NumberOfEmployees"].dtype == "int64"


def test_one_csv_file_holds_the_texts(org, sandbox, tmp_path):
    names = accounts(sandbox, 30)

    file = org.query(SOQL, page_rows=10, types=False).to_csv(tmp_path / "out.csv")

    frame = pd.read_csv(file, dtype=str)
    assert frame["Name"].tolist() == names
    assert set(frame["NumberOfEmployees"]) == {"8"}


@pytest.mark.parametrize("name", ["out", "out.parquet", "out.csv"])
def test_no_file_ever_holds_a_part_of_the_result(org, sandbox, tmp_path, name):
    folder = tmp_path / "results"
    folder.mkdir()
    accounts(sandbox, 120)
    sandbox.faults.add(*[Fault("trunc_ok", path="/results", nth=7 + n) for n in range(20)])
    query = org.query(SOQL, page_rows=10)

    with pytest.raises(BulkError):
        query.to_csv(folder / name) if name == "out.csv" else query.to_parquet(folder / name)

    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("more", [[], ["--slices", "CreatedDate"], ["--pk-chunking"]])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out"])
def test_the_command_writes_a_file(tmp_path, name, more):
    with Sandbox(seed=7, speed=1_000).start() as sandbox:
        names = accounts(sandbox, 30)

        done = run(sandbox, SOQL, "-o", str(tmp_path / name), *more)

    assert done.exit_code == 0, done.output
    assert "30 rows are in" in done.output
    frame = read(tmp_path / name)
    assert sorted(frame["Name"]) == names


def test_the_command_says_what_is_wrong_and_writes_nothing(tmp_path):
    with Sandbox(seed=7, speed=1_000).start() as sandbox:
        done = run(sandbox, "SELECT COUNT() FROM Account", "-o", str(tmp_path / "out.csv"))

    assert done.exit_code == 1
    assert "COUNT()" in done.output
    assert list(tmp_path.iterdir()) == []


def run(sandbox: Sandbox, *words: str):
    environment = {"BULKNB_INSTANCE_URL": sandbox.url, "BULKNB_ACCESS_TOKEN": sandbox.token}
    return CliRunner().invoke(main, ["query", *words], env=environment)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
