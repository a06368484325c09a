"""What torch would run when it loads a ``.pt2`` archive is found before torch sees it."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpublish.converting.pt2 import code_in

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module that takes any number of rows, as torch.export writes it."""
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).eval()
    file = tmp_path_factory.mktemp("pt2") / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (torch.rand(2, 4),), dynamic_shapes=({0: torch.export.Dim("rows")},))
        torch.export.save(program, str(file))
    return file


@pytest.fixture
def edited(exported: Path, tmp_path: Path) -> Callable[[Callable[[Any], object]], Path]:
    """The archive after an edit of its description."""

    def made(edit: Callable[[Any], object]) -> Path:
        file = tmp_path / "edited.pt2"
        with zipfile.ZipFile(exported) as old, zipfile.ZipFile(file, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name.endswith("models/model.json"):
                    document = json.loads(content)
                    edit(document)
                    content = json.dumps(document).encode()
                new.writestr(name, content)
        return file

    return made


def expressions(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [value] if isinstance(value, dict) and "expr_str" in value else []
    return found + [each for part in inner for each in expressions(part)]


def test_what_torch_wrote_is_harmless(exported: Path, edited: Callable[..., Path]) -> None:
    assert code_in(exported) is None
    assert code_in(edited(lambda document: None)) is None


def test_guards_are_code(edited: Callable[..., Path]) -> None:
    assert "code" in str(code_in(edited(lambda document: document.update(guards_code=["__import__('os').getpid() == 0"]))))


@pytest.mark.parametrize(
    "text",
    ["__import__('os').getpid()", "Symbol('s0').__class__", "Symbol('s0', x=print())", "eval('1')", "s0; 1", "lambda: 0"],
)
def test_an_expression_of_anything_but_symbols_and_numbers_is_code(edited: Callable[..., Path], text: str) -> None:
    assert "code" in str(code_in(edited(lambda document: expressions(document)[0].update(expr_str=text))))


def test_two_files_of_one_name_are_refused(exported: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.pt2"
    file.write_bytes(exported.read_bytes())
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")
    assert "two files" in str(code_in(file))


def test_what_is_no_archive_cannot_be_looked_through(tmp_path: Path) -> None:
    (tmp_path / "x.pt2").write_bytes(b"PK")
    assert code_in(tmp_path / "x.pt2") == code_in(tmp_path / "none") == "cannot be looked through"
