"""The pages say what the code does: codes, statuses, reasons, settings, steps; and their links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import mlpublish
from mlpublish import errors, settings, steps
from mlpublish.formats.status import Reason, UpdateStatus

TREE = Path(__file__).parents[2]
DOCS = Path(mlpublish.__file__).parent / "docs"
PAGES = [TREE / "README.md", TREE / "SECURITY.md", *sorted(DOCS.glob("*.md"))]


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def every_error(kind: type[errors.MlpublishError] = errors.MlpublishError) -> list[type[errors.MlpublishError]]:
    return [each for direct in kind.__subclasses__() for each in (direct, *every_error(direct))]


def test_every_error_stands_in_the_row_of_its_exit_code() -> None:
    rows = {int(code): row for code, row in re.findall(r"^\| (\d+) \|(.*)$", page("exit-codes"), re.MULTILINE)}
    ours = [kind for kind in every_error() if kind.__module__ == errors.__name__]
    assert len(ours) > 15
    for kind in ours:
        assert re.search(rf"\b{kind.__name__}\b", rows[kind.exit_code]), kind


def test_the_retryable_errors_are_the_transient_ones_and_conflicts() -> None:
    assert {kind.__name__ for kind in every_error() if kind.retryable} == {
        "EndpointUnreachable",
        "InternalError",
    }


def test_the_exit_codes_of_a_check_stand_in_the_page() -> None:
    told = page("exit-codes")
    for status in UpdateStatus:
        assert f"{status.exit_code} {status.value}" in re.sub(r"\s+", " ", told)


def test_every_status_and_reason_stands_in_the_page() -> None:
    told = page("statuses")
    for status in UpdateStatus:
        assert f"| {status.value} |" in told
    for reason in Reason:
        assert f"| {reason.value} |" in told


def test_the_configuration_that_the_page_shows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r"```toml\n(.*?)```", page("configuration"), re.DOTALL)
    assert shown is not None
    for name in ("MLPUBLISH_REPOSITORY", "MLPUBLISH_ENDPOINT", "MLPUBLISH_CHANNEL", "MLPUBLISH_PLATFORM", "MLPUBLISH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / settings.FILE).write_text(shown[1], encoding="utf-8")
    read = settings.load(tmp_path)
    assert read.repository == str(tmp_path / "development")
    assert read.app("com.acme.digits").root == tmp_path / "1.root.json"
    assert settings.load(tmp_path, profile="production").repository == "https://updates.acme.com"
    assert set(tomllib.loads(shown[1])) == {
        "repository", "endpoint", "channel", "platform", "token", "keys", "profiles", "apps", "recipe",
    }  # fmt: skip


def test_every_step_stands_in_the_page() -> None:
    for name in steps.STEPS:
        assert f"`{name}`" in page("pipelines")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_to_files_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target


def test_the_readme_names_the_debian_packages_of_ci() -> None:
    wanted = (TREE / ".ci" / "packages.txt").read_text(encoding="utf-8").split()
    assert f"`{' '.join(wanted)}`" in (TREE / "README.md").read_text(encoding="utf-8")
