"""Every public name exists and says what it is; every error carries its way out and has its place in the tree."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlpublish
from mlpublish import errors
from mlpublish.errors import MlpublishError

HOUSE = Path(mlpublish.__file__).parent


@pytest.mark.parametrize("name", mlpublish.__all__)
def test_a_public_name_exists_and_has_a_docstring(name: str) -> None:
    value = getattr(mlpublish, name)
    assert inspect.getdoc(value)
    assert name in dir(mlpublish)


def test_the_public_names_are_sorted_and_each_has_its_home() -> None:
    assert list(mlpublish.__all__) == sorted(mlpublish.__all__, key=lambda name: (not name[0].isupper(), name))
    assert set(mlpublish.__all__) == set(mlpublish._HOMES)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mlpublish.nonsense


@pytest.mark.parametrize("name", [name for name in mlpublish.__all__ if name.islower() and name not in ("channel", "review")])
def test_a_verb_describes_every_argument_it_takes(name: str) -> None:
    verb = getattr(mlpublish, name)
    told = inspect.getdoc(verb) or ""
    missing = [each for each in inspect.signature(verb).parameters if f"{each}:" not in told and f"{each}, " not in told]
    assert missing == []
    assert "Returns:" in told
    assert "Raises:" in told


def below(kind: type[MlpublishError]) -> Iterator[type[MlpublishError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from below(inner)


def test_the_tree_of_errors_has_its_exit_codes_and_one_code_each() -> None:
    exits = {kind.__name__: kind.exit_code for kind in below(MlpublishError)}
    assert {name: code for name, code in exits.items() if code != 1} == {
        "RecipeError": 2,
        "UnknownScheme": 2,
        "NotFound": 6,
        "VerificationError": 3,
        "ThresholdNotMet": 3,
        "Expired": 3,
        "RolledBack": 3,
        "DigestMismatch": 3,
        "EndpointUnreachable": 7,
        "AlreadyPublished": 5,
        "Conflict": 5,
    }
    assert {name for name in exits if not hasattr(errors, name)} == set(), "errors are kept in one tree"
    codes = [kind("", remedy="").code for kind in below(MlpublishError)]
    assert len(set(codes)) == len(codes)
    assert errors.EndpointUnreachable("", remedy="").code == "endpoint_unreachable"
    assert [errors.EndpointRefused("", remedy="", status=status).exit_code for status in (400, 401, 403, 404)] == [1, 4, 4, 6]


def test_an_error_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="remedy"):
        MlpublishError("It is so.")  # type: ignore[call-arg]


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Every place in the house where an error of ours is made."""
    names = {kind.__name__ for kind in below(MlpublishError)}
    for file in sorted(HOUSE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield f"{file.relative_to(HOUSE)}:{node.lineno}", node


def test_every_remedy_is_a_sentence() -> None:
    wrong = []
    for place, call in raised():
        remedy = next((keyword.value for keyword in call.keywords if keyword.arg == "remedy"), None)
        text = remedy.value if isinstance(remedy, ast.Constant) else None
        if isinstance(text, str) and not (
            text[:1].isupper() and (text.rstrip().endswith((".", ")", "?")) or "pip install" in text)
        ):
            wrong.append((place, text))
    assert wrong == []


def test_there_are_many_errors_and_each_names_its_remedy() -> None:
    calls = list(raised())
    assert len(calls) > 100
    without = [place for place, call in calls if not any(keyword.arg in ("remedy", None) for keyword in call.keywords)]
    assert without == []
