"""Who may import whom: downward only, as CONTRIBUTING.md draws it."""

import ast
import graphlib
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A unit (a file or folder of bulknb) imports from its own layer and below.
LAYERS = [
    set(units.split())
    for units in (
        "_card _findings _html _jobinfo _machine _pace _selection _xml errors soql",
        "_answer _auth _chunks _csv _cuts _encode _gate _heard _marks _oauth _ordered _origin "
        "_pages _source _typed _wire",
        "_jobs",
        "_frames",
        "_history _ledger _memory _snapshots _states",
        "_background _cells _check _explain _files _job_card _lists _load _load_card "
        "_locks _outcomes _preflight _query _query_card _query_plan _query_slices "
        "_query_types _reconcile _remedies _retry _rows _seen _sending _stuck _trend "
        "_watch _work",
        "_about _compare _events _imports _listing _past _resume",
        "_org",
        "_connect _live_jobs",
        "__init__",
        "plots widgets",
        "_doctor dask report",
        "cli",
        "__main__",
    )
]
#: Methods that are short for a function above them, which takes what they are methods of.
SHORTCUTS = {
    ("Job.explain", "_past"),
    ("Jobs.board", "widgets"),
    ("Jobs.plot", "plots"),
    ("Jobs.report", "report"),
    ("Load.explain", "_past"),
    ("Load.report", "report"),
    ("Org.board", "widgets"),
    ("Trend.plot", "plots"),
}
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
UNITS = {*LEVEL, "sandbox"}


class Import(NamedTuple):
    scope: str  # the enclosing classes and functions, dotted; "" at module level
    target: str  # the imported module or name, dotted


def scoped_nodes(node: ast.AST, scope: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the scope it stands in; what only type checkers read is left out."""
    yield ".".join(scope), node
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        scope = (*scope, node.name)
    for_type_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in node.orelse if for_type_checkers else ast.iter_child_nodes(node):
        yield from scoped_nodes(child, scope)


def imports(path: PurePosixPath, source: str) -> Iterator[Import]:
    package = ".".join(path.parent.parts)
    for scope, node in scoped_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(scope, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                yield Import(scope, f"{module}.{alias.name}")


def unit_of(dotted: str) -> str | None:
    """Which unit of bulknb `dotted` is in; None for other people's modules."""
    first, _, rest = dotted.partition(".")
    if first != "bulknb":
        return None
    name = rest.partition(".")[0]
    return name if name in UNITS else "__init__"  # bulknb.Job is a name of bulknb/__init__.py


def allowed(importer: str, scope: str, target: str) -> bool:
    """Whether the unit `importer` may, inside `scope`, import the unit `target`."""
    function = scope.rpartition(".")[2]
    if importer == "sandbox":
        return target == "sandbox" or (scope == "Sandbox.connect" and target == "__init__")
    if importer == "__init__" and function == "__getattr__":
        return True  # what loads when first touched
    if target == "widgets" and function == "_ipython_display_":
        return True  # Jupyter asks a Job or Load for its panel
    if (scope, target) in SHORTCUTS:
        return True
    if target == "sandbox":
        return importer == "cli"
    return LEVEL[target] <= LEVEL[importer]


def violations(path: PurePosixPath, source: str) -> list[str]:
    """The imports of a file, `path` relative to the repository, that its layer forbids."""
    importer = path.parts[1].removesuffix(".py")
    found = []
    for scope, target in imports(path, source):
        unit = unit_of(target)
        if unit is not None and not allowed(importer, scope, unit):
            found.append(f"{path} may not import {target}")
        if target.partition(".")[0] == "requests" and importer != "_wire":
            found.append(f"{path} may not import requests: only _wire.py does")
    return found


def modules() -> dict[PurePosixPath, str]:
    """Source by path, relative to the repository."""
    return {
        PurePosixPath(file.relative_to(ROOT).as_posix()): file.read_text(encoding="utf-8")
        for file in sorted((ROOT / "bulknb").rglob("*.py"))
    }


def test_every_module_keeps_to_its_layer():
    found = [
        violation for path, source in modules().items() for violation in violations(path, source)
    ]
    assert found == []


def test_every_module_has_a_layer():
    assert {path.parts[1].removesuffix(".py") for path in modules()} <= UNITS


def test_units_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for path, source in modules().items():
        importer = path.parts[1].removesuffix(".py")
        targets = {unit_of(target) for scope, target in imports(path, source) if not scope}
        graph.setdefault(importer, set()).update(targets - {importer, None})
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bulknb/_wire.py", "from . import _org"),
        ("bulknb/_wire.py", "import bulknb"),
        ("bulknb/_wire.py", "from bulknb import Org"),
        ("bulknb/_jobs/base.py", "from .. import plots"),
        ("bulknb/_jobs/base.py", "def show(self):\n    from ..widgets import JobPanel"),
        ("bulknb/_jobs/base.py", "if True:\n    from bulknb._load import Load"),
        ("bulknb/_jobs/__init__.py", "from .._org import Org"),
        ("bulknb/_load.py", "import requests.adapters"),
        ("bulknb/_load.py", "from requests import Session"),
        ("bulknb/_org.py", "from . import sandbox"),
        ("bulknb/__init__.py", "from . import plots"),
        ("bulknb/sandbox/app.py", "from bulknb import errors"),
        ("bulknb/sandbox/app.py", "def connect():\n    import bulknb"),
    ],
)
def test_an_import_against_the_layers_is_found(path, source):
    assert len(violations(PurePosixPath(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bulknb/_wire.py", "import requests\nfrom ._auth import Secret"),
        ("bulknb/_wire.py", "if TYPE_CHECKING:\n    from ._org import Org"),
        ("bulknb/_jobs/base.py", "from .._wire import Wire\nfrom .classic import ClassicJob"),
        (
            "bulknb/_jobs/base.py",
            "class Job:\n    def _ipython_display_(self):\n        from .. import widgets",
        ),
        ("bulknb/__init__.py", "def __getattr__(name):\n    from . import sandbox"),
        ("bulknb/cli/demo.py", "import bulknb\nfrom .. import plots, sandbox"),
        ("bulknb/sandbox/app.py", "import flask\nfrom .store import Store"),
        (
            "bulknb/sandbox/__init__.py",
            "class Sandbox:\n    def connect(self):\n        import bulknb",
        ),
    ],
)
def test_an_import_within_the_layers_is_free(path, source):
    assert violations(PurePosixPath(path), source) == []
