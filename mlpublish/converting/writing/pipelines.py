"""Stages as one model: a pipeline around them, which shows the file's inputs and outputs and nothing from between."""

from __future__ import annotations

from collections.abc import Sequence

from mlpublish.converting.graph.answer import Answer, Classified, Predicted
from mlpublish.converting.source import LABEL, PROBABILITIES
from mlpublish.converting.writing import heads
from mlpublish.converting.writing.features import Value, declare, new_model
from mlpublish.coreml.schema import Message


def shown(answer: Answer) -> tuple[str, ...]:
    """The file's outputs, by name."""
    if isinstance(answer, Predicted):
        return tuple(each.name for each in answer.numbers)
    return (LABEL,) if answer.probabilities is None else (LABEL, PROBABILITIES)


def is_whole(stage: Message, inputs: Sequence[Value], answer: Answer) -> bool:
    """Whether a stage shows what the file shall, so that no pipeline is needed around it."""
    reads, writes = stage.description.input, stage.description.output
    names = [each.name for each in reads] == [each.name for each in inputs]
    return names and [each.name for each in writes] == list(shown(answer))


def pipeline(stages: Sequence[Message], inputs: Sequence[Value], answer: Answer) -> Message:
    """A model that runs the stages one after the other."""
    whole = new_model()
    whole.specificationVersion = max(stage.specificationVersion for stage in stages)
    outputs = {str(each.name): each for stage in stages for each in stage.description.output}
    for each in inputs:
        declare(whole.description.input, each)
    for name in shown(answer):
        whole.description.output.add().CopyFrom(outputs[name])
    if isinstance(answer, Classified):
        holder = whole.pipelineClassifier.pipeline
        whole.description.predictedFeatureName = LABEL
        whole.description.predictedProbabilitiesName = PROBABILITIES if answer.probabilities is not None else ""
    elif heads.only_number(answer) is not None and stages[-1].WhichOneof("Type").endswith("Regressor"):
        holder = whole.pipelineRegressor.pipeline  # its last model is a regression; after another it is a plain pipeline
        whole.description.predictedFeatureName = answer.numbers[0].name
    else:
        holder = whole.pipeline
    holder.models.extend(stages)
    return whole
