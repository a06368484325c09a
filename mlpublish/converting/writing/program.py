"""A graph of numbers as an ML Program, in float32, with coremltools' MIL builder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpublish.converting.graph.answer import Answer, Classified, Number
from mlpublish.converting.graph.node import Column, Node, walked
from mlpublish.converting.quiet import coremltools
from mlpublish.converting.source import INPUT, LABEL, PROBABILITIES
from mlpublish.converting.writing.operations import EMITTERS
from mlpublish.converting.writing.operations.logistics import of_logistics
from mlpublish.coreml.schema import Message

_PASSES = (
    "common::sanitize_input_output_names",
    "common::const_deduplication",
    "common::dead_code_elimination",
    "common::dedup_op_and_var_names",
)
"""Of coremltools' passes those that leave the arithmetic as it is written; others multiply by a rounded reciprocal where a
division stands, or add up constants."""

RESERVED = frozenset(
    """any bool program func tensor list dict tuple true false string state
    bf16 fp16 fp32 fp64 int8 int16 int32 int64 uint8 uint16 uint32 uint64""".split()  # noqa: SIM905
)
"""Words of the language MIL, which no input or output of a program can be called; classic models and pipelines can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One ML Program, on its own or to be a pipeline's stage.

    Args:
        spec: the model; its larger constants are at ``@model_path/weights/weight.bin``.
        weights: the folder that holds ``weight.bin``, which stands as long as this does.
    """

    spec: Message
    weights: Path | None
    _holder: object = field(repr=False, compare=False)


def build(
    answer: Answer,
    *,
    leaves: Sequence[Node],
    alone: bool,
    target: str,
    feature: str = INPUT,
    label: str = LABEL,
    probabilities: str = PROBABILITIES,
) -> Program:
    """Write numbers as a program.

    Args:
        answer: of a classification, scores and probabilities are one node, with a number for each class.
        leaves: what the graph begins with, one ``Array`` or ``Column`` nodes, in the order in which the inputs are declared;
            no name is ``RESERVED``.
        alone: whether it is the whole file, with rows (1, width) as inputs and outputs; a pipeline's stages hand on (width,).
        target: the deployment target, such as ``iOS16``.
        feature: the array input's name.
        label, probabilities: the outputs of a classification.

    Raises:
        ConversionError: a number of the model lies beyond float32's range.
    """
    classes = answer.classes if isinstance(answer, Classified) else ()
    names = [leaf.feature if isinstance(leaf, Column) else feature for leaf in leaves]
    built_label, scores = _free(label, names), _free("scores", names)
    with coremltools() as ct:
        built = ct.convert(
            _program(answer, dict(zip(names, leaves, strict=True)), alone, scores, getattr(ct.target, target)),
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline(list(_PASSES), "arithmetic as written"),
            classifier_config=ct.ClassifierConfig(list(classes), built_label, scores) if classes else None,
            skip_model_load=True,
        )
        spec = built.get_spec()
        if classes:
            ct.utils.rename_feature(spec, f"{built_label}_probs", probabilities, rename_inputs=False)
            ct.utils.rename_feature(spec, built_label, label, rename_inputs=False)
    return Program(spec=spec, weights=None if built.weights_dir is None else Path(built.weights_dir), _holder=built)


def _program(answer: Answer, leaves: Mapping[str, Node], alone: bool, scores: str, opset: object) -> object:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function
    from coremltools.converters.mil.mil import Program as Mil

    shapes = {name: (1, leaf.width) if alone else (leaf.width,) for name, leaf in leaves.items()}
    with Function({name: mb.placeholder(shape=shape) for name, shape in shapes.items()}, opset_version=opset) as function:
        begun = {
            id(leaf): function.inputs[name] if alone else mb.expand_dims(x=function.inputs[name], axes=[0])
            for name, leaf in leaves.items()
        }
        made = emitted(mb, answer.ends, begun)
        if isinstance(answer, Classified):
            outputs = [mb.identity(x=made[id(answer.scores)], name=scores)]
        else:
            outputs = [_handed_on(mb, number, made[id(number.node)], alone) for number in answer.numbers]
        function.set_outputs(outputs)
    program = Mil()
    program.add_function("main", function)
    return program


def _free(name: str, taken: Sequence[str]) -> str:
    """A name that no input begins with: coremltools calls the probabilities after the label."""
    while any(each.startswith(name) for each in taken):
        name += "_"
    return name


def emitted(mb: Any, ends: Sequence[Node], begun: Mapping[int, Any]) -> dict[int, Any]:
    """Each node that the ends are made of -> its variable (1, width), by the node's identity; each is written once."""
    made = dict(begun)
    for node in walked(*ends):
        if id(node) in made:
            continue
        if pattern := of_logistics(node):
            write, of = pattern
            made[id(node)] = write(mb, made[id(of)])
        else:
            made[id(node)] = EMITTERS[type(node)](mb, node, *(made[id(each)] for each in node.reads))
    return made


def _handed_on(mb: Any, number: Number, x: Any, alone: bool) -> Any:
    """An output under its name; a whole number, which only a file's end is, as int32."""
    given = x if alone else mb.squeeze(x=x, axes=[0])
    return mb.cast(x=given, dtype="int32", name=number.name) if number.whole else mb.identity(x=given, name=number.name)
