"""mlpublish/docs/coreml-classic.md names every kind of the schema and every setting of the kinds that are evaluated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mlpublish
from mlpublish.coreml.classic import programs
from mlpublish.coreml.classic.run import FAMILIES, PIPELINES
from mlpublish.coreml.schema import schema

PAGE = (Path(mlpublish.__file__).parent / "docs" / "coreml-classic.md").read_text(encoding="utf-8")
TYPES = {each.name: each.message_type for each in schema("Model").Model.DESCRIPTOR.oneofs_by_name["Type"].fields}
ROWS = {kind: row for row in re.findall(r"^\| `.*$", PAGE, re.MULTILINE) for kind in re.findall(r"`(\w+)`", row.split("|")[1])}
NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")


def test_the_table_has_the_kinds_that_are_evaluated():
    assert set(ROWS) == {kind for family in FAMILIES for kind in family.KINDS} | {programs.KIND, *PIPELINES}


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in ROWS])
def test_every_other_kind_is_told_to_be_refused(kind):
    refused = PAGE[PAGE.index("So are these kinds") : PAGE.index("## Where")]
    assert f"`{kind}`" in refused


def settings_of(message):
    """The values of its enumerations and the choices of its oneofs, with those of messages inside; labels are no setting."""
    names = {each.name for one in message.oneofs for each in one.fields if "Label" not in each.name}
    kinds = {each.enum_type for each in message.fields if each.enum_type} | set(message.enum_types)
    names |= {value.name for kind in kinds for value in kind.values}
    for each in message.fields:
        if each.message_type and each.message_type.file == message.file and not each.containing_oneof:
            names |= settings_of(each.message_type)
    return names


@pytest.mark.parametrize("kind", [kind for kind in ROWS if kind not in (*NETWORKS, *PIPELINES, programs.KIND)])
def test_a_row_names_every_setting_of_its_kind(kind):
    told = set(re.findall(r"`(\w+)`", ROWS[kind]))
    if kind in ("treeEnsembleRegressor", "supportVectorRegressor"):
        told |= set(re.findall(r"`(\w+)`", ROWS[kind.replace("Regressor", "Classifier")]))
    assert settings_of(TYPES[kind]) <= told
