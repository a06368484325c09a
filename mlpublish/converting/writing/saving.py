"""Stages on disk: a ``.mlmodel``, or a ``.mlpackage`` where an ML Program is among them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.converting.quiet import coremltools
from mlpublish.converting.writing.line import Built
from mlpublish.coreml.schema import Message

_BLOBS = "@model_path/weights/"
_FILE = "weight.bin"


def save(spec: Message, folder: Path, name: str, *, weights: Sequence[Path | None], in_pipeline: bool = False) -> Path:
    """Write a model.

    Args:
        weights: of each stage, the folder that holds its ``weight.bin``; empty for a model without ML Programs.
        in_pipeline: whether the weights of several stages lie side by side.
    """
    if not weights:
        path = folder / f"{name}.mlmodel"
        path.write_bytes(spec.SerializeToString(deterministic=True))
        return path
    path = folder / f"{name}.mlpackage"
    with coremltools() as ct, TemporaryDirectory() as made:
        for number, held in enumerate(weights):
            if held is not None and (held / _FILE).exists():
                shutil.copyfile(held / _FILE, Path(made, f"{number}-{_FILE}" if in_pipeline else _FILE))
        ct.models.MLModel(spec, weights_dir=made, skip_model_load=True).save(str(path))
    return path


def in_own_file(stage: Built, number: int) -> Message:
    """A stage whose weights lie in a file of its own among those of others, as coremltools names it."""
    if stage.spec.WhichOneof("Type") == "mlProgram":
        _rename(stage.spec.mlProgram, f"{_BLOBS}{number}-{_FILE}")
    return stage.spec


def _rename(message: Message, name: str) -> None:
    for block in _blocks(message):
        for operation in block.operations:
            for value in operation.attributes.values():
                if value.WhichOneof("value") == "blobFileValue":
                    value.blobFileValue.fileName = name


def _blocks(program: Message) -> list[Message]:
    """All blocks of a program, those in operations too."""
    waiting = [block for function in program.functions.values() for block in function.block_specializations.values()]
    found = []
    while waiting:
        block = waiting.pop()
        found.append(block)
        waiting.extend(inner for operation in block.operations for inner in operation.blocks)
    return found
