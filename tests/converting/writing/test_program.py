"""A program as a whole: its inputs and outputs, labels, every target, stages of a pipeline, any graph of nodes."""

from __future__ import annotations

import gc
import math
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.converting.convert import TARGETS
from mlpublish.converting.graph import algebra, columnwise, machines
from mlpublish.converting.graph import node as node_module
from mlpublish.converting.graph.algebra import (
    Chosen,
    Combined,
    Distances,
    Linear,
    Nearest,
    Normalised,
    Reduced,
    Reduction,
    Sign,
    Softmax,
    Sum,
    of_two,
)
from mlpublish.converting.graph.answer import Classified, Number, Predicted
from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Lookup, Name, Scaled
from mlpublish.converting.graph.machines import Coupled, Kernel, KernelName, SupportVectors, Trees, Votes
from mlpublish.converting.graph.node import Array, Column, Join, Node, Pick, joined
from mlpublish.converting.writing.operations import EMITTERS
from mlpublish.converting.writing.program import RESERVED, build
from mlpublish.coreml.evaluate import load
from mlpublish.coreml.package import read
from tests.converting.graphs import values
from tests.converting.writing.programs import BACKENDS, asked, difference, differences, saved


def operations(path: Path) -> list[str]:
    (block,) = read(path).mlProgram.functions["main"].block_specializations.values()
    return [operation.type for operation in block.operations]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("classes", [("b", "a", "c"), (7, -3, 5_000_000_000)], ids=["texts", "numbers"])
def test_a_classification_tells_a_label_and_its_probabilities(tmp_path, classes, backend):
    random = np.random.default_rng(0)
    node = Softmax(of=Linear(of=Array(size=4), weights=random.normal(size=(3, 4)), offset=np.zeros(3)))
    path = saved(tmp_path, Classified(classes=classes, scores=node, probabilities=node))
    rows = random.normal(size=(6, 4)).astype(np.float32)
    got, wanted = asked(path, rows, backend=backend), values(node, rows)
    assert got["classLabel"].tolist() == [classes[place] for place in wanted.argmax(axis=1)]
    assert difference(got["classProbability"], wanted) < 1e-6
    assert load(path).classes == classes


def test_of_equally_probable_classes_the_first_is_the_label(tmp_path):
    node = of_two(Function(of=Array(size=1), name=Name.EXPIT))
    got = asked(saved(tmp_path, Classified(classes=("no", "yes"), scores=node, probabilities=node)), np.array([[0.0], [1e-3]]))
    assert got["classLabel"].tolist() == ["no", "yes"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target(tmp_path, target):
    """What later systems define anew: gather, topk, clip, reshape, loops."""
    x = Array(size=3)
    places = Reduced(of=x, by=Reduction.PLACE_OF_LARGEST)
    pairs = Clipped(of=Function(of=x, name=Name.EXPIT), low=1e-7, high=1 - 1e-7)
    nodes = {
        "picked": Pick(of=x, places=(2, 0)),
        "looked_up": Lookup(of=places, keys=(0.0, 2.0), table=np.eye(2), unknown=np.zeros(2)),
        "nearest": Nearest(of=Distances(of=x, points=np.eye(3)), count=2, targets=np.arange(3.0)[:, None], inverse=True),
        "coupled": Coupled(of=pairs, classes=3),
        "votes": Votes(of=x, classes=3),
        "rounded": Function(of=x, name=Name.ROUND),
        "norm": Normalised(of=x, norm="l2"),
        "softplus": Function(of=x, name=Name.SOFTPLUS),
    }
    rows = np.random.default_rng(2).normal(size=(5, 3))
    assert max(differences(tmp_path, nodes, rows, target=target).values()) < 1e-5
    assert (
        read(tmp_path / "model.mlpackage").specificationVersion
        == {"iOS15": 6, "iOS16": 7, "iOS17": 8, "iOS18": 9, "iOS26": 10}[target]
    )


def test_columns_are_inputs_in_their_order_under_any_name_also_those_that_nothing_reads(tmp_path):
    names = ("add_0", "mul_0", "linear_0", "_1", "unread", "softmax_0", "scores", "classLabel_probs", "identity_0")
    columns = tuple(Column(name=f"the {name}", feature=name) for name in names)
    random = np.random.default_rng(1)
    node = Softmax(
        of=Linear(of=joined((columns[2], *columns[:2], columns[3])), weights=random.normal(size=(2, 4)), offset=np.ones(2))
    )
    path = saved(tmp_path, Classified(classes=(0, 1), scores=node, probabilities=node), leaves=columns)
    rows = {name: random.normal(size=5).astype(np.float32) for name in names}
    wanted = values(node, {f"the {name}": column for name, column in rows.items()})
    assert difference(asked(path, rows)["classProbability"], wanted) < 1e-6
    interface = load(path).description.interface
    assert [(each.name, each.shape, each.dtype) for each in interface.inputs] == [(name, (1, 1), "float32") for name in names]


def test_the_words_of_mil_are_no_names():
    """coremltools renames them: the day it does not, they need no care."""
    from coremltools.converters.mil.mil.passes.defs.preprocess import NameSanitizer

    assert {name for name in RESERVED if NameSanitizer().sanitize_name(name) == name} == set()


def test_numbers_are_outputs_under_their_names_whole_ones_as_whole_numbers(tmp_path):
    x = Array(size=3)
    place = Reduced(of=x, by=Reduction.PLACE_OF_LARGEST)
    answer = Predicted(
        numbers=(Number(name="prediction", node=place, whole=True), Number(name="score", node=x), Number(name="again", node=x))
    )
    got = asked(saved(tmp_path, answer), np.eye(3))
    assert got["prediction"].dtype == np.int32
    assert got["prediction"].tolist() == [[0], [1], [2]]
    assert got["score"].tolist() == got["again"].tolist() == np.eye(3).tolist()


def test_a_stage_reads_and_hands_on_plain_arrays(tmp_path):
    x = Array(size=3)
    answer = Predicted(numbers=(Number(name="scaled", node=Scaled(of=x, shift=np.ones(3), scale=np.full(3, 2.0))),))
    path = saved(tmp_path, answer, alone=False)
    interface = load(path).description.interface
    assert [(each.name, each.shape, each.dtype) for each in (*interface.inputs, *interface.outputs)] == [
        ("input", (3,), "float32"),
        ("scaled", (3,), "float32"),
    ]
    assert asked(path, np.eye(3))["scaled"].tolist() == (2 * (np.eye(3) + 1)).tolist()


def test_a_stage_has_the_names_it_is_given():
    node = Softmax(of=Array(size=2))
    answer = Classified(classes=("a", "b"), scores=node, probabilities=node)
    program = build(
        answer, leaves=(node.of,), alone=False, target="iOS16", feature="between", label="told", probabilities="shares"
    )
    described = program.spec.description
    assert [each.name for each in described.input] == ["between"]
    assert [each.name for each in described.output] == ["told", "shares"]
    assert (described.predictedFeatureName, described.predictedProbabilitiesName) == ("told", "shares")


def test_the_weights_stand_as_long_as_the_program(tmp_path):
    node = Linear(of=Array(size=40), weights=np.ones((30, 40)), offset=np.zeros(30))
    program = build(Predicted(numbers=(Number(name="p", node=node),)), leaves=(node.of,), alone=True, target="iOS16")
    gc.collect()
    assert program.weights is not None
    assert (program.weights / "weight.bin").stat().st_size >= 30 * 40 * 4


def test_a_node_that_two_read_is_written_once_and_a_division_stays_one(tmp_path):
    scaled = Scaled(of=Array(size=2), shift=np.zeros(2), scale=np.array([2.0, 3.0]))
    exp = Function(of=scaled, name=Name.EXP)
    node = Sum(
        parts=(exp, Combined(left=exp, sign=Sign.OVER, right=exp), Function(of=exp, name=Name.LOG2)), weights=(1.0, 1.0, 1.0)
    )
    found = Counter(operations(saved(tmp_path, Predicted(numbers=(Number(name="p", node=node),)))))
    assert (found["exp"], found["real_div"]) == (1, 2)


def test_every_kind_of_numeric_node_has_an_emitter():
    classes = [each for module in (algebra, columnwise, machines, node_module) for each in vars(module).values()]
    kinds = {each for each in classes if isinstance(each, type) and issubclass(each, Node)}
    abstract, begin, classic = {Node, columnwise.OfOne}, {Array, Column}, {Trees, columnwise.Filled}
    assert kinds - abstract - begin - classic == set(EMITTERS)


def test_thousands_of_points_are_written_once(tmp_path):
    random = np.random.default_rng(0)
    points = random.normal(size=(3000, 40))
    node = Nearest(of=Distances(of=Array(size=40), points=points), count=5, targets=random.normal(size=(3000, 1)))
    assert differences(tmp_path, {"nearest": node}, points[:2] + 0.1)["nearest"] < 1e-6
    weights = tmp_path / "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    assert weights.stat().st_size < 1.05 * 4 * 3000 * 41


_NAMES = [Name.ABSOLUTE, Name.EXPIT, Name.TANH, Name.SQUARE, Name.RELU, Name.SOFTPLUS, Name.SIN, Name.ARCTAN, Name.NEGATIVE]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Array, list[Node]]:
    """An array and nodes on nodes, of continuous functions."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    nodes: list[Node] = [Array(size=draw(st.integers(1, 5)))]
    for _ in range(draw(st.integers(1, 6))):
        of = draw(st.sampled_from(nodes))
        width = of.width
        nodes.append(
            draw(
                st.sampled_from(
                    [
                        Function(of=of, name=draw(st.sampled_from(_NAMES))),
                        Linear(of=of, weights=random.normal(size=(width + 1, width)), offset=random.normal(size=width + 1)),
                        Scaled(of=of, shift=random.normal(size=width), scale=random.normal(size=width)),
                        Clipped(of=of, low=-1.0, high=draw(st.sampled_from([0.5, math.inf]))),
                        Softmax(of=of),
                        Reduced(of=of, by=draw(st.sampled_from([Reduction.SUM, Reduction.MEAN, Reduction.LARGEST]))),
                        Pick(of=of, places=tuple(draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=3)))),
                        Join(parts=(of, draw(st.sampled_from(nodes)))),
                        Combined(left=of, sign=Sign.TIMES, right=Reduced(of=of, by=Reduction.MEAN)),
                        Distances(of=of, points=random.normal(size=(3, width))),
                        Imputed(of=of, values=np.zeros(width)),
                        IsMissing(of=of),
                        SupportVectors(
                            of=of,
                            kernel=Kernel(name=KernelName.RBF, gamma=0.5),
                            vectors=random.normal(size=(4, width)),
                            counts=(2, 2),
                            coefficients=random.normal(size=(1, 4)),
                            rho=np.ones(1),
                        ),
                    ]
                )
            )
        )
    return nodes[0], nodes[1:]  # type: ignore[return-value]


@given(graphs(), st.sampled_from(BACKENDS))
@settings(max_examples=12, deadline=None)
def test_any_graph_says_what_it_says_in_doubles(graph, backend):
    x, nodes = graph
    rows = np.vstack([np.random.default_rng(0).normal(size=(3, x.width)), np.zeros((1, x.width))])
    with TemporaryDirectory() as folder:
        gaps = differences(Path(folder), {str(place): node for place, node in enumerate(nodes)}, rows, backend=backend)
    assert max(gaps.values()) < 2e-5


def test_of_equal_numbers_the_first_is_chosen_behind_any_arithmetic(tmp_path):
    x = Array(size=4)
    nodes = {"chosen": Chosen(of=Scaled(of=x, shift=np.ones(4), scale=np.full(4, 0.1)))}
    assert differences(tmp_path, nodes, np.array([[0.0, 0, 0, 0], [1, 2, 2, 1], [-1, -3, -1, -1]]))["chosen"] == 0
