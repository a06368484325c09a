"""docs/inspecting.md shows what inspect really prints of the model that it names."""

from __future__ import annotations

import platform
import re

import pytest

import mlpublish
from mlpublish.reporting.text import as_text
from tests.inspecting.photos import photos

VARYING = ("sha256", "made by", "file ")  # digests, versions


def rows(text: str) -> dict[str, str]:
    return dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines() if line)


def test_the_model_of_the_page_is_told_as_the_page_says(blocks, tmp_path):
    pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    console = blocks("inspecting", "console")
    told = rows(as_text(mlpublish.inspect(photos(tmp_path))))
    shown = rows("\n".join(console[0].splitlines()[1:]))
    assert list(told) == list(shown)
    for name, value in shown.items():
        if not name.startswith(VARYING):
            assert told[name] == value, name


def test_the_cut_weights_of_the_page_are_told_as_the_page_says(blocks, tmp_path):
    pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    path = photos(tmp_path)
    (path / "Data/com.apple.CoreML/weights/weight.bin").open("r+b").truncate(30000)
    (model,) = mlpublish.inspect(path).models
    shown = [line for line in blocks("inspecting", "console")[1].splitlines() if line.startswith("finding")]
    assert [line.split("  ")[-1].strip() for line in shown] == list(model.findings)


@pytest.mark.skipif(platform.system() == "Darwin", reason="here it runs")
def test_off_macos_compare_on_mac_says_what_the_page_says(blocks):
    with pytest.raises(mlpublish.MlpublishError) as told:
        mlpublish.compare_on_mac("digits-3.zip")
    assert f"Error: {told.value}" in blocks("inspecting", "console")[2].replace("this is Linux", f"this is {platform.system()}")
