"""Nothing heavy is loaded before a verb needs it: looking at the house, or at a command's help, costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "xgboost", "lightgbm", "joblib",
    "numpy", "tuf", "securesystemslib", "cryptography", "requests", "urllib3", "aiohttp", "sqlalchemy", "hypothesis",
)  # fmt: skip
SCRIPT = """
import sys
try:
    {statement}
except SystemExit as end:
    assert not end.code, end.code
print(*sorted(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def loaded_by(statement: str, *arguments: str) -> set[str]:
    script = SCRIPT.format(statement=statement, heavy=HEAVY)
    ran = subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True)
    return set(ran.stderr.split())


def test_importing_the_house_loads_nothing_heavy() -> None:
    assert loaded_by("import mlpublish") == set()


def test_its_names_are_listed_without_loading_anything_heavy() -> None:
    assert loaded_by("import mlpublish; dir(mlpublish); mlpublish.__version__; mlpublish.App; mlpublish.UpdateStatus") == set()


LIGHT_ENOUGH = {"tuf", "securesystemslib", "cryptography"}  # together about a tenth of a second
COMMANDS = [
    "",
    "convert",
    "bundle",
    "sign",
    "verify",
    "inspect",
    "compare-on-mac",
    "publish",
    "release",
    "check",
    "conformance",
    "channel",
    "channel set",
    "serve",
    "repo",
    "repo rotate",
    "review",
    "review sign",
    "keys",
    "plan",
    "watch",
    "demo",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    assert loaded_by("from mlpublish.cli.main import main; main()", *command.split(), "--help") - LIGHT_ENOUGH == set()


VERBS = {
    "verify": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy"),
    "check": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy"),
    "sign": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy"),
    "publish": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy"),
    "inspect": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy", "tuf"),
    "compare_on_mac": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy", "tuf"),
    "bundle": ("torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy", "tuf"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_loads_only_what_its_own_work_needs(verb: str) -> None:
    assert loaded_by(f"import mlpublish; mlpublish.{verb}") & set(VERBS[verb]) == set()


def test_the_street_from_bundle_to_device_runs_without_any_framework(tmp_path: Path) -> None:
    """Not only the import: the work itself, from a bundle that carries a file to the device that has it."""
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    street = (
        "import mlpublish as m; from pathlib import Path; from mlpublish.repository.development import Development; "
        "folder = Path(sys.argv[1]); dev = Development.make(folder / 'dev').folder; "
        "made = m.bundle(files=[folder / 'labels.txt'], name='labels', out=folder); "
        "app = m.App(id='com.acme.a', version='1.0'); "
        "signed = m.sign(made, repository=dev, app=app, out=folder / 'signed'); "
        "m.verify(signed.folder, root=Development(dev).first_root(app.id)); m.publish(signed, to=dev); "
        "m.channel.set(app.id, to=dev, app_version='1.0', release=1); "
        "assert m.check(app, at=dev, device=folder / 'phone').installed == 1"
    )
    heavy = {"torch", "coremltools", "mlflow", "sklearn", "scipy", "pandas", "aiohttp", "sqlalchemy"}
    assert loaded_by(street, str(tmp_path)) & heavy == set()
