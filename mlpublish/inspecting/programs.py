"""What an ML Program holds: operations, constants, compressed weights; of weight files only the records are read."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlpublish.coreml.schema import Message, schema
from mlpublish.inspecting.contents import Compressed, Contents, Numbers, Stage
from mlpublish.inspecting.files import ModelFiles

_RECORD = struct.Struct("<IIQQ")  # MIL blob storage: sentinel, type, length in bytes, offset of the data
_SENTINEL = 0xDEADBEEF
_FLOATS = ("FLOAT16", "FLOAT32", "FLOAT64", "BFLOAT16")
_BITS = {
    **{"BOOL": 8, "FLOAT64": 64, "FLOAT32": 32, "FLOAT16": 16, "BFLOAT16": 16, "FLOAT8E4M3FN": 8, "FLOAT8E5M2": 8},
    **{f"{sign}INT{bits}": bits for sign in ("", "U") for bits in (1, 2, 3, 4, 6, 8, 16, 32, 64)},
}
_MOST_ELEMENTS = 1 << 62
_MOST_PROBLEMS = 5  # of one kind; a cut file has as many as it had tensors

_Place = tuple[str, int]  # a weight file and where the record begins in it


@dataclass(frozen=True, slots=True)
class _Stored:
    """A constant as it is stored: its type, how many elements, its record if it lies in a weight file."""

    dtype: str
    elements: int
    rank: int
    place: _Place | None

    @property
    def length(self) -> int:
        return math.ceil(self.elements * _BITS.get(self.dtype, 0) / 8)


@dataclass
class _Found:
    """What is being gathered."""

    parameters: int = 0
    stored: int = 0
    by_dtype: Counter[str] = field(default_factory=Counter)
    tensors: Counter[str] = field(default_factory=Counter)
    unpacked: Counter[str] = field(default_factory=Counter)
    packed: Counter[str] = field(default_factory=Counter)
    places: dict[_Place, _Stored] = field(default_factory=dict)
    seen: set[tuple[object, ...]] = field(default_factory=set)


def contents_of(program: Message, files: ModelFiles) -> Contents:
    """Describe a program.

    Args:
        program: a ``Program`` message.
        files: the model's, for the records of its weights.
    """
    found, stages, problems = _Found(), [], []
    for name in sorted(program.functions):
        function = program.functions[name]
        block = function.block_specializations.get(function.opset)
        if block is None:
            problems.append(f"The function {name} has no block for its operation set {function.opset!r}.")
            continue
        operations = list(_operations(block))
        stages.append(_stage(name, str(function.opset), operations))
        _gather(operations, found)
    return Contents(stages=tuple(stages), numbers=_numbers(found), problems=(*problems, *_broken_records(found, files)))


def _operations(block: Message) -> Iterator[Message]:
    """Every operation, those of nested blocks too, however deep."""
    waiting = [iter(block.operations)]
    while waiting:
        operation = next(waiting[-1], None)
        if operation is None:
            waiting.pop()
            continue
        yield operation
        waiting += [iter(inner.operations) for inner in operation.blocks]


def _stage(name: str, opset: str, operations: list[Message]) -> Stage:
    counts = Counter(str(each.type) for each in operations)
    constants = counts.pop("const", 0)
    return Stage(
        kind=f"mlProgram ({opset})",
        name=name,
        facts={"operations": sum(counts.values()), "constants": constants},
        counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
    )


def _gather(operations: list[Message], found: _Found) -> None:
    constants = {each.outputs[0].name: each for each in operations if each.type == "const" and each.outputs}
    packing = [each for each in operations if each.type.startswith("constexpr_")]
    made = {output.name for each in packing for output in each.outputs}
    fed = {name for each in packing for name in _named(each)}
    for each in packing:
        _count_packed(each, constants, found, is_last=not any(output.name in fed for output in each.outputs))
    for name, each in constants.items():
        if name not in fed and name not in made and "val" in each.attributes:
            _count_dense(each.attributes["val"], found)


def _named(operation: Message) -> Iterator[str]:
    for argument in operation.inputs.values():
        yield from (binding.name for binding in argument.arguments if binding.WhichOneof("binding") == "name")


def _count_packed(operation: Message, constants: Mapping[str, Message], found: _Found, *, is_last: bool) -> None:
    """An operation that unpacks weights; of several behind each other the last one's result is what the model uses."""
    held = [value for name, value in operation.attributes.items() if name != "name"]
    held += [
        binding.value for argument in operation.inputs.values() for binding in argument.arguments
        if binding.WhichOneof("binding") == "value"
    ]  # fmt: skip
    held += [constants[name].attributes["val"] for name in _named(operation) if name in constants]
    tensors = [tensor for value in held if (tensor := _stored(value)) is not None]
    key = (operation.type, *(tensor.place for tensor in tensors if tensor.place is not None))
    if len(key) > 1 and key in found.seen:
        return
    found.seen.add(key)
    length = sum(tensor.length for tensor in tensors if _is_new(tensor, found))
    found.stored += length
    found.packed[operation.type] += length
    found.tensors[operation.type] += 1
    result = _typed(operation.outputs[0].type) if operation.outputs else None
    if is_last and result is not None:
        found.parameters += result.elements
        found.unpacked[operation.type] += result.elements


def _count_dense(value: Message, found: _Found) -> None:
    tensor = _stored(value)
    if tensor is None or not _is_new(tensor, found):
        return
    if tensor.dtype in _FLOATS and tensor.rank:
        found.parameters += tensor.elements
        found.stored += tensor.length


def _is_new(tensor: _Stored, found: _Found) -> bool:
    """Whether it is counted for the first time: functions share records."""
    if tensor.place is not None and tensor.place in found.places:
        return False
    if tensor.place is not None:
        found.places[tensor.place] = tensor
    found.by_dtype[tensor.dtype.lower()] += tensor.length
    return True


def _stored(value: Message) -> _Stored | None:
    tensor = _typed(value.type)
    if tensor is None or tensor.dtype == "STRING" or value.WhichOneof("value") != "blobFileValue":
        return tensor if tensor is not None and tensor.dtype != "STRING" else None
    place = (str(value.blobFileValue.fileName), int(value.blobFileValue.offset))
    return _Stored(tensor.dtype, tensor.elements, tensor.rank, place)


def _typed(kind: Message) -> _Stored | None:
    if kind.WhichOneof("type") != "tensorType":
        return None
    names = schema("MIL").DataType
    number = kind.tensorType.dataType
    dtype = names.Name(number) if number in names.values() else f"type {number}"
    sizes = [each.constant.size for each in kind.tensorType.dimensions]
    return _Stored(dtype, _elements(sizes), len(sizes), None)


def _elements(sizes: list[int]) -> int:
    """Their product, as far as any tensor can have it: a number of a thousand digits could not even be told."""
    product = 1
    for size in sizes:
        product = min(product * size, _MOST_ELEMENTS)
    return product


def _numbers(found: _Found) -> Numbers:
    return Numbers(
        parameters=found.parameters,
        stored=found.stored,
        by_dtype=dict(sorted(found.by_dtype.items(), key=lambda item: (-item[1], item[0]))),
        compressed=tuple(
            Compressed(kind=kind, tensors=count, parameters=found.unpacked[kind], stored=found.packed[kind])
            for kind, count in sorted(found.tensors.items())
        ),
    )


def _broken_records(found: _Found, files: ModelFiles) -> list[str]:
    """Where a weight file does not hold what the program says that it does."""
    problems: Counter[str] = Counter()
    kept: list[str] = []
    for (name, offset), tensor in sorted(found.places.items()):
        told = _broken_record(name, offset, tensor.length, files)
        if told is not None:
            problems[name] += 1
            if problems[name] <= _MOST_PROBLEMS:
                kept.append(told)
    return kept + [
        f"{name}: {count - _MOST_PROBLEMS} more tensors are broken."
        for name, count in problems.items()
        if count > _MOST_PROBLEMS
    ]


def _broken_record(name: str, offset: int, wanted: int, files: ModelFiles) -> str | None:
    head, _, rest = name.partition("/")
    inside = _beside_specification(files, rest)
    length = None if inside is None else files.length(inside)
    if head != "@model_path" or inside is None or length is None:
        return f"The weight file {name!r} is not in the package."
    if offset % 64 or offset + 64 > length:
        return f"{inside}: there is no record at {offset}; the file has {length} bytes."
    sentinel, _, stored, start = _RECORD.unpack(files.read_at(inside, offset, _RECORD.size))
    if sentinel != _SENTINEL:
        return f"{inside}: there is no record at {offset}."
    if start + stored > length:
        return f"{inside}: the tensor at {offset} reaches to {start + stored}; the file has {length} bytes."
    return None if stored == wanted else f"{inside}: the tensor at {offset} has {stored} bytes, the program says {wanted}."


def _beside_specification(files: ModelFiles, rest: str) -> str | None:
    """``@model_path`` is the folder of the specification."""
    specifications = [entry.path for entry in files.entries if entry.path.suffix == ".mlmodel"]
    return str(specifications[0].parent / rest) if specifications and rest else None
