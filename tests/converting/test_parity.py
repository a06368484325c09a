"""The gate: a saved file that was edited after conversion is never let through; the model it came from is not asked."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mlpublish.artifacts import ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.converting.convert import convert
from mlpublish.converting.parity import EXACT, FLOAT16, gate, measure, tolerance_for
from mlpublish.converting.source import source_for
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ParityError, RecipeError
from mlpublish.formats.evidence import ParityReport, Tolerance


@dataclass(frozen=True)
class Case:
    """A converted file, and what the model it came from said to the samples; the model itself is not kept."""

    path: Path
    inputs: Mapping[str, np.ndarray]
    expected: Answers
    tolerance: Tolerance

    def judge(self) -> ParityReport:
        return gate(measure(self.path, samples=self.inputs, expected=self.expected, tolerance=self.tolerance))


@pytest.fixture(scope="module")
def converted(request, digits, tmp_path_factory):
    """The name of a model's fixture, and settings -> its Case, converted once."""
    made: dict[str, Case] = {}

    def case(name: str, samples: np.ndarray, **settings: str) -> Case:
        key = f"{name} {settings}"
        if key not in made:
            model = request.getfixturevalue(name)
            out = tmp_path_factory.mktemp("converted")
            file = convert(model, name=name, samples=samples, out=out, progress=False, **settings)
            source = source_for(model)
            made[key] = Case(file.path, source.inputs(samples), source.answers(samples), file.parity.tolerance)
            made[key].judge()  # untouched, it passes
        return made[key]

    return case


@pytest.fixture
def judged(converted, tmp_path, spoil):
    """Let a hand spoil a copy of the saved file, and put that before the gate."""

    def judge(name, hand, samples, **settings):
        case = converted(name, samples, **settings)
        path = tmp_path / case.path.name
        if case.path.is_dir():
            shutil.copytree(case.path, path)
        else:
            shutil.copy(case.path, path)
        hand(spoil(path))
        return replace(case, path=path).judge()

    return judge


def _louder(kind, parameter="weight", place=0):
    return lambda saved: saved.change(saved.tensors(kind, parameter)[place], lambda values: values * 1.05)


def _swap_labels(saved):
    """Two classes in each other's place: in the list of labels."""

    def change(spec):
        if spec.WhichOneof("Type") == "mlProgram":
            (last,) = [each for each in saved.operations(spec) if each.type == "classify"]
            labels = last.inputs["classes"].arguments[0].value.immediateValue.list.values
            first, second = (type(each).FromString(each.SerializeToString()) for each in labels[:2])
            labels[0].CopyFrom(second)
            labels[1].CopyFrom(first)
        else:
            labels = spec.pipelineClassifier.pipeline.models[-1].glmClassifier.int64ClassLabels.vector
            labels[:] = [labels[1], labels[0]]

    saved.edit(change)


def _swap_rows(swapped):
    """Two classes in each other's place: in the last layer."""

    def change(saved):
        for parameter in ("weight", "bias"):
            saved.change(saved.tensors("linear", parameter)[-1], swapped)

    return change


def _drop_scaler(saved):
    def change(spec):
        if spec.WhichOneof("Type") == "mlProgram":
            (dense,) = [each for each in saved.operations(spec) if each.type == "linear"]
            dense.inputs["x"].arguments[0].name = "input"
        else:
            models = spec.pipelineClassifier.pipeline.models
            del models[0]
            models[0].description.input[0].name = "input"

    saved.edit(change)


def _louder_glm(saved):
    def change(spec):
        values = spec.pipelineClassifier.pipeline.models[-1].glmClassifier.weights[0].value
        values[:] = [value * 1.05 for value in values]

    saved.edit(change)


def _louder_scaler(saved):
    def change(spec):
        values = spec.pipelineClassifier.pipeline.models[0].scaler.scaleValue
        values[:] = [value * 1.05 for value in values]

    saved.edit(change)


@pytest.mark.parametrize(
    "hand",
    [_louder("linear"), _louder("linear", "bias"), _louder("mul", "y"), _louder("add", "y"), _swap_labels, _drop_scaler],
    ids=["weights", "bias", "scale", "mean", "classes", "scaler"],
)
def test_a_spoiled_multinomial_model_is_stopped(judged, digits, hand):
    with pytest.raises(ParityError, match=r"differs by .* \(relative\), allowed 1.0e-04"):
        judged("multinomial", hand, digits.test)


@pytest.mark.parametrize(
    "hand", [_louder_glm, _louder_scaler, _swap_labels, _drop_scaler], ids=["weights", "scale", "classes", "scaler"]
)
def test_a_spoiled_binary_model_is_stopped(judged, digits, hand):
    with pytest.raises(ParityError, match=r"differs by .* \(relative\), allowed 1.0e-04"):
        judged("binary", hand, digits.test)


@pytest.mark.parametrize(("kind", "place"), [("conv", 0), ("conv", 1), ("linear", 0), ("linear", 1)])
@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_a_float32_network_is_stopped_for_any_tensor(judged, digits, kind, place, parameter):
    with pytest.raises(ParityError):
        judged("cnn", _louder(kind, parameter, place), digits.images, precision="float32")


def test_a_float32_network_is_stopped_for_swapped_classes(judged, digits, swapped):
    with pytest.raises(ParityError, match="labels agree on"):
        judged("cnn", _swap_rows(swapped), digits.images, precision="float32")


def test_a_float16_network_is_stopped_for_a_louder_last_layer(judged, digits):
    with pytest.raises(ParityError, match=r"allowed 2.0e-02"):
        judged("cnn", _louder("linear", place=-1), digits.images)


def test_a_float16_network_is_stopped_for_swapped_classes(judged, digits, swapped):
    with pytest.raises(ParityError, match=r"labels agree on .*, needed 99.00%"):
        judged("cnn", _swap_rows(swapped), digits.images)


@pytest.mark.parametrize(("kind", "parameter", "place", "factor"), [("linear", "bias", 0, 1.05), ("conv", "weight", 1, 1.01)])
def test_the_float16_bound_lets_a_louder_bias_and_one_percent_through(judged, digits, kind, parameter, place, factor):
    """A limit, not a merit; the README tells it. The file's digest is what guards it after conversion."""

    def hand(saved):
        saved.change(saved.tensors(kind, parameter)[place], lambda values: values.astype(np.float32) * factor)

    assert judged("cnn", hand, digits.images).max_rel_diff > 5e-4


def _report(rel=0.0, labels=None, tolerance=EXACT, twin=None):
    return ParityReport(
        samples=3,
        max_abs_diff=rel,
        max_rel_diff=rel,
        label_agreement=labels,
        tolerance=tolerance,
        executor="x",
        twin=twin,
    )


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (_report(rel=1.1e-4), r"saved file .* 1.1e-04 \(relative\), allowed 1.0e-04, over 3 samples"),
        (_report(rel=float("nan")), "nan"),
        (_report(rel=float("inf")), "inf"),
        (_report(labels=0.999), "99.90%, needed 100.00%"),
        (_report(labels=float("nan")), "nan%"),
        (_report(tolerance=FLOAT16, twin=_report(rel=2e-4)), r"float32 twin .* 2.0e-04 \(relative\), allowed 1.0e-04"),
        (_report(tolerance=FLOAT16, twin=_report(rel=float("nan"))), "float32 twin .* nan"),
    ],
    ids=["rel", "nan", "inf", "labels", "nan labels", "twin", "nan twin"],
)
def test_the_gate_stops_and_tells_the_numbers(report, told):
    with pytest.raises(ParityError, match=told) as stopped:
        gate(report)
    assert stopped.value.remedy


def test_the_gate_lets_through_what_is_within_and_hands_it_on():
    report = _report(rel=1e-2, labels=0.995, tolerance=FLOAT16, twin=_report(rel=9e-5, labels=1.0))
    assert gate(report) is report


def test_the_remedy_for_float16_is_float32():
    with pytest.raises(ParityError, match="precision='float32'"):
        gate(_report(rel=0.1, tolerance=FLOAT16, twin=_report()))


def test_a_nan_in_the_file_does_not_pass(judged, digits):
    def hand(saved):
        saved.change(saved.tensors("linear", "bias")[0], lambda values: values * np.float32("nan"))

    with pytest.raises(ParityError, match="nan"):
        judged("multinomial", hand, digits.test)


def test_tolerances_are_the_defaults_or_what_was_asked():
    assert tolerance_for("float16", None) == FLOAT16
    assert tolerance_for("float32", None) == EXACT
    assert tolerance_for("float16", 0.1) == Tolerance(rel=0.1, labels=0.99)
    assert tolerance_for("float32", Tolerance(rel=1, labels=0.5)) == Tolerance(rel=1, labels=0.5)


@pytest.mark.parametrize(
    "asked", [-1.0, float("nan"), float("inf"), Tolerance(rel=0.1, labels=1.1), Tolerance(rel=0.1, labels=float("nan"))]
)
def test_a_tolerance_that_is_none_is_refused(asked):
    with pytest.raises(RecipeError):
        tolerance_for("float32", asked)


def test_a_wrong_conversion_carries_its_report_with_the_plot_and_the_worst_sample(judged, digits):
    with pytest.raises(ParityError) as stopped:
        judged("multinomial", _louder("linear"), digits.test)
    report = stopped.value.report
    assert isinstance(report, ParityReport)
    assert not report.passed
    assert report.worst.output == "classProbability"
    assert f"most in {report.worst.told}." in stopped.value.problem
    told = report.worst.worst
    assert abs(told.got - told.want) == pytest.approx(report.max_abs_diff)
    assert f"sample {told.row}" in report._repr_html_()
    assert report._repr_html_().count("<circle") == 200
    assert pickle.loads(pickle.dumps(stopped.value)).report.points == report.points  # the work may be another process's


def test_swapped_labels_are_told_as_the_worst_where_no_number_differs_more(digits, converted):
    case = converted("multinomial", digits.test)
    wrong = dict(case.expected.outputs)
    wrong["classLabel"] = np.where(wrong["classLabel"] == 3, 5, wrong["classLabel"])
    report = measure(case.path, samples=case.inputs, expected=replace(case.expected, outputs=wrong), tolerance=EXACT)
    assert report.worst.told.endswith("the source model says 5, the saved file 3")


def test_points_stay_in_memory(judged, digits, converted, tmp_path):
    case = converted("multinomial", digits.test)
    report = case.judge()
    assert [each.output for each in report.points] == ["classLabel", "classProbability"]
    assert "points" not in report.to_dict()
    kept = ConvertedModel.read(next(case.path.parent.glob("*.converted.json")))
    assert kept.parity == report
    assert kept.parity.points == ()
    assert "circle" not in kept._repr_html_()
    made = bundle(replace(kept, parity=report), out=tmp_path)
    assert b"points" not in made.manifest.to_bytes()
    assert made.sha256 == bundle(kept, out=tmp_path / "again").sha256


def test_an_overflow_of_float16_is_told_with_the_variable_and_the_operation(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")

    class Large(torch.nn.Module):
        def forward(self, x):
            return torch.sin((x * 5000) / 5000)

    rows = np.asarray([[1, 2], [3, 4], [5, 60]], np.float32)
    with pytest.raises(ParityError, match=r"overflows float16 .*, which mul gives, in sample 2") as refused:
        convert(Large().eval(), name="large", samples=rows, precision="float16", out=tmp_path, progress=False)
    assert refused.value.report.not_finite is not None
