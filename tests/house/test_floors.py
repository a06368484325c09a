"""The house stands: imports go down, rooms of the street never meet, doors know no adapter, and nothing goes in circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mlpublish

HOUSE = Path(mlpublish.__file__).parent

# From the ground up; a part may import what stands on a line below its own. Parts of one line never import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("version",),
    ("shown",),
    ("errors",),
    ("addresses",),
    ("connections",),
    ("line",),
    ("tracking",),
    ("plugins",),
    ("formats",),
    ("artifacts",),
    ("reports",),
    ("settings",),
    ("storage",),
    ("payloads",),
    ("trust", "coreml"),
    ("reporting",),
    ("repository",),
    ("converting", "bundling", "signing", "publishing", "checking", "registry", "inspecting"),  # the street
    ("recipe",),
    ("conformance", "benchmarks"),
    ("steps",),  # from here on: doors
    ("server",),
    ("mlflow_plugin",),
    ("mlflow", "cli"),
    ("__main__",),
)
LEVEL = {part: level for level, parts in enumerate(FLOORS) for part in parts}
STREET = next(parts for parts in FLOORS if "converting" in parts)
DOORS = ("steps", "server", "mlflow_plugin", "mlflow", "cli", "__main__")
ADAPTER = re.compile(r"(from|with|to|in)_[a-z0-9]+")
# A door that starts the server, or reads what it keeps, says itself what it keeps it in.
KNOWN_ADAPTERS = {
    "mlpublish.server": {"mlpublish.storage.in_folder", "mlpublish.storage.in_sql"},
    "mlpublish.mlflow_plugin": {"mlpublish.storage.in_folder"},  # what a watcher remembers
}

FILES = {
    ".".join(("mlpublish", *file.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in sorted(HOUSE.rglob("*.py"))
}


def imports(module: str) -> Iterator[str]:
    """The modules of the house that a module imports, at its top or inside its functions."""
    yield from (name for name in imported(module) if name.partition(".")[0] == "mlpublish")


def imported(module: str) -> Iterator[str]:
    """All modules that a module imports."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            whole = f"{node.module}"
            names = [full if (full := f"{whole}.{alias.name}") in FILES else whole for alias in node.names]
        yield from names


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


EDGES = [(module, other) for module in FILES if module != "mlpublish" for other in imports(module)]


def test_every_part_of_the_house_has_its_floor() -> None:
    assert {part(module) for module in FILES} - {""} == set(LEVEL)


def test_imports_go_down() -> None:
    up = [
        f"{module} imports {other}"
        for module, other in EDGES
        if part(other) and part(module) != part(other) and LEVEL[part(other)] >= LEVEL[part(module)]
    ]
    assert up == []


def test_the_rooms_of_the_street_never_meet() -> None:
    met = [edge for edge in EDGES if part(edge[0]) in STREET and part(edge[1]) in STREET and part(edge[0]) != part(edge[1])]
    assert met == []


def test_below_the_doors_the_front_page_is_read_for_the_version_alone() -> None:
    for module, other in EDGES:
        if other == "mlpublish" and part(module) not in DOORS:
            assert set(re.findall(r"\bmlpublish\.(\w+)", code_of(module))) <= {"__version__"} | set(LEVEL), module


def code_of(module: str) -> str:
    return "\n".join(line for line in FILES[module].read_text().splitlines() if not line.startswith(("from ", "import ")))


def test_doors_import_no_adapter() -> None:
    known = [
        f"{module} imports {other}"
        for module, other in EDGES
        if part(module) in DOORS
        and ADAPTER.fullmatch(other.rpartition(".")[2])
        and other not in KNOWN_ADAPTERS.get(".".join(module.split(".")[:2]), ())
    ]
    assert known == []


def test_there_is_no_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for module, other in EDGES:
        if other != "mlpublish":
            graph[module].add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", FILES)
def test_a_module_says_in_its_first_line_what_it_is(module: str) -> None:
    assert ast.get_docstring(ast.parse(FILES[module].read_text())), module


def test_there_is_no_drawer_for_everything() -> None:
    assert not [module for module in FILES if module.rpartition(".")[2] in ("utils", "util", "helpers", "common", "misc")]


# Inside of converting: a graph knows no library and no file, its readers no writer, its writers no library.
GRAPH, READERS, WRITERS = (f"mlpublish.converting.{name}." for name in ("graph", "of_sklearn", "writing"))
BOOSTERS = ("mlpublish.converting.of_boosters.",)
LIBRARIES = ("sklearn.", "xgboost.", "lightgbm.")
UNKNOWN = {
    (GRAPH,): ("mlpublish.", *LIBRARIES, "coremltools."),
    (READERS, *BOOSTERS): (WRITERS, "coremltools."),
    (WRITERS,): (READERS, *BOOSTERS, "mlpublish.converting.from_", *LIBRARIES),
}


@pytest.mark.parametrize("rooms", UNKNOWN, ids=["graph", "readers", "writers"])
def test_between_a_model_and_its_file_stands_the_graph_alone(rooms: tuple[str, ...]) -> None:
    inside = [module for module in FILES if f"{module}.".startswith(rooms)]
    met = [
        f"{module} imports {other}"
        for module in inside
        for other in imported(module)
        if f"{other}.".startswith(UNKNOWN[rooms]) and not f"{other}.".startswith(rooms)
    ]
    assert inside
    assert met == []
