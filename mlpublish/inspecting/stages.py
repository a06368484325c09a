"""What a specification holds, whatever its type: a pipeline's stages, trees, vectors, a network's layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from google.protobuf.descriptor import FieldDescriptor

from mlpublish.coreml.package import PIPELINES
from mlpublish.coreml.schema import Message
from mlpublish.inspecting import programs
from mlpublish.inspecting.contents import Compressed, Contents, Numbers, Stage
from mlpublish.inspecting.files import ModelFiles

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_TREES = ("treeEnsembleClassifier", "treeEnsembleRegressor")
_VECTORS = ("supportVectorClassifier", "supportVectorRegressor")
_LINEAR = ("glmClassifier", "glmRegressor")


def contents_of(spec: Message, files: ModelFiles) -> Contents:
    """Describe a specification.

    Args:
        spec: a ``Model`` message.
        files: the model's.
    """
    stages: list[Stage] = []
    problems: list[str] = []
    parts: list[Numbers] = []
    for name, model in _unrolled(spec, ""):
        kind = model.WhichOneof("Type")
        if kind == "mlProgram":
            inside = programs.contents_of(model.mlProgram, files)
            stages += inside.stages
            parts.append(inside.numbers)
            problems += inside.problems
        elif kind is None:
            problems.append(f"The stage {name or len(stages) + 1} names no model type.")
        else:
            stages.append(_stage(model, kind, name))
            parts += [_network_numbers(getattr(model, kind))] if kind in _NETWORKS else []
    return Contents(stages=tuple(stages), numbers=_added(parts), problems=tuple(problems))


def _unrolled(spec: Message, name: str) -> Iterator[tuple[str, Message]]:
    """The models of a pipeline, in order, with pipelines inside of it unrolled; the depth is bounded by protobuf's reader."""
    kind = spec.WhichOneof("Type")
    if kind not in PIPELINES:
        yield name, spec
        return
    held = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    names = [str(each) for each in held.names]
    for place, each in enumerate(held.models):
        yield from _unrolled(each, names[place] if place < len(names) else "")


def _stage(model: Message, kind: str, name: str) -> Stage:
    held = getattr(model, kind)
    if kind in _NETWORKS:
        layers = Counter(str(layer.WhichOneof("layer")) for layer in _layers(held))
        counts = dict(sorted(layers.items(), key=lambda item: (-item[1], item[0])))
        return Stage(kind=kind, name=name, facts={"layers": sum(counts.values())}, counts=counts)
    return Stage(kind=kind, name=name, facts=_facts(held, kind))


def _facts(held: Message, kind: str) -> dict[str, int]:
    if kind in _TREES:
        return _trees(held.treeEnsemble.nodes)
    if kind in _VECTORS:
        vectors = getattr(held, held.WhichOneof("supportVectors") or "denseSupportVectors").vectors
        return {"support vectors": len(vectors)}
    if kind in _LINEAR:
        return {"coefficients": sum(len(row.value) for row in held.weights) + len(held.offset)}
    if kind == "kNearestNeighborsClassifier":
        return {"points": len(held.nearestNeighborsIndex.floatSamples)}
    return {}


def _trees(nodes: Message) -> dict[str, int]:
    """Trees, nodes, and how deep the deepest leaf lies below its root; a node that is reached twice is walked once."""
    children: dict[tuple[int, int], tuple[int, int]] = {}
    trees: dict[int, set[int]] = {}
    for node in nodes:
        trees.setdefault(node.treeId, set()).add(node.nodeId)
        if node.nodeBehavior != 6:  # LeafNode
            children[node.treeId, node.nodeId] = (node.trueChildNodeId, node.falseChildNodeId)
    below = {(tree, child) for (tree, _), pair in children.items() for child in pair}
    level = {(tree, each) for tree, ids in trees.items() for each in ids if (tree, each) not in below}
    depth, walked = 0, set(level)
    while level := {
        (tree, child) for tree, each in level for child in children.get((tree, each), ()) if (tree, child) not in walked
    }:
        walked |= level
        depth += 1
    return {"trees": len(trees), "nodes": len(nodes), "deep": depth}


def _layers(network: Message) -> Iterator[Message]:
    """Every layer, those in the bodies of loops and branches too."""
    waiting = list(network.layers)[::-1]
    while waiting:
        layer = waiting.pop()
        yield layer
        match layer.WhichOneof("layer"):
            case "loop":
                waiting += chain(layer.loop.conditionNetwork.layers, layer.loop.bodyNetwork.layers)
            case "branch":
                waiting += chain(layer.branch.ifBranch.layers, layer.branch.elseBranch.layers)


def _network_numbers(network: Message) -> Numbers:
    """The numbers in a network's ``WeightParams``, wherever they stand."""
    stored: Counter[str] = Counter()
    parameters = packed = packed_stored = tensors = 0
    for weights in _weights(network):
        dtype, count, length = _held(weights)
        stored[dtype] += length
        parameters += count
        if dtype.startswith("quantized"):
            tables = 4 * sum(len(field) for field in _tables(weights.quantization))
            tensors, packed, packed_stored = tensors + 1, packed + count, packed_stored + length + tables
            stored["float32"] += tables
    compressed = (Compressed(kind="quantized", tensors=tensors, parameters=packed, stored=packed_stored),) if tensors else ()
    by_dtype = {dtype: length for dtype, length in sorted(stored.items(), key=lambda item: (-item[1], item[0])) if length}
    return Numbers(parameters=parameters, stored=sum(stored.values()), by_dtype=by_dtype, compressed=compressed)


def _weights(network: Message) -> Iterator[Message]:
    waiting = [network]
    while waiting:
        message = waiting.pop()
        if message.DESCRIPTOR.name == "WeightParams":
            yield message
            continue
        for field, value in message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
                waiting += list(value) if field.is_repeated else [value]


def _held(weights: Message) -> tuple[str, int, int]:
    """Type, how many numbers, how many bytes."""
    if weights.floatValue:
        return "float32", len(weights.floatValue), 4 * len(weights.floatValue)
    if weights.float16Value:
        return "float16", len(weights.float16Value) // 2, len(weights.float16Value)
    raw = weights.rawValue or weights.int8RawValue
    bits = int(weights.quantization.numberOfBits) or 8
    return (f"quantized {bits} bits", len(raw) * 8 // bits, len(raw)) if raw else ("float32", 0, 0)


def _tables(quantization: Message) -> Iterator[Message]:
    match quantization.WhichOneof("QuantizationType"):
        case "linearQuantization":
            yield from (quantization.linearQuantization.scale, quantization.linearQuantization.bias)
        case "lookupTableQuantization":
            yield quantization.lookupTableQuantization.floatValue


def _added(parts: list[Numbers]) -> Numbers:
    by_dtype: Counter[str] = Counter()
    for part in parts:
        by_dtype.update(part.by_dtype)
    return Numbers(
        parameters=sum(part.parameters for part in parts),
        stored=sum(part.stored for part in parts),
        by_dtype=dict(by_dtype),
        compressed=tuple(each for part in parts for each in part.compressed),
    )
