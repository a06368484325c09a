"""Alter a sample: its message, its bytes, its weights, its manifest, or which files there are."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.message import DecodeError

from mlpublish.coreml.schema import schema
from tests.fuzz.messages import Alterations, Index, donors, noise
from tests.fuzz.sample import MANIFEST, SPECIFICATION, WEIGHTS, Sample

_RECORD = struct.Struct("<IIQQQ")
_SENTINEL = struct.pack("<I", 0xDEADBEEF)
_NUMBERS = (0, 1, 2, 3, 8, 16, 17, 18, 63, 64, 128, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 64, 2**64 - 1)
_VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, 2**64, 10**400, "", "x", "../../x", [], {}, [[]] * 3)


class Altering:
    """What a seed stands for: the same seed gives the same altered sample, as long as the corpus is the same."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        parsed = {
            each.name: schema("Model").Model.FromString(each.files[spec])
            for each in samples
            if (spec := each.specification) is not None
        }
        self._index = {name: Index(message) for name, message in parsed.items()}
        self._alterations = Alterations(donors(list(parsed.values())))
        self.classes: set[str] = set()
        """Fields that were altered so far."""

    def altered(self, seed: int) -> Sample:
        random = Random(seed)
        sample = random.choice(self._samples)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            sample = self._once(sample, random)
        return sample

    @property
    def known_classes(self) -> set[str]:
        """Fields that occur in the corpus, or could."""
        return {name for index in self._index.values() for name in (*index.present, *index.absent)}

    def _once(self, sample: Sample, random: Random) -> Sample:
        if not sample.files:
            return sample
        ways: list[Callable[[Sample, Random], Sample]] = []
        if sample.specification is not None:
            ways += [self._message] * 8 + [self._bytes]
        if WEIGHTS in sample.files:
            ways += [_weights] * 2
        if MANIFEST in sample.files:
            ways += [_manifest, _files]
        if sample.specification is None:
            ways += [_golden] * 4 + [_files]
        return random.choice(ways)(sample, random)

    def _message(self, sample: Sample, random: Random) -> Sample:
        name = sample.specification
        assert name is not None
        try:
            message = schema("Model").Model.FromString(sample.files[name])
        except DecodeError:  # an alteration of bytes came before
            return sample
        for _ in range(random.choice((1, 1, 2, 4))):
            self.classes.add(self._alterations.apply(message, self._index[sample.name], random))
        return sample.with_file(name, message.SerializeToString(deterministic=True))

    def _bytes(self, sample: Sample, random: Random) -> Sample:
        name = sample.specification
        assert name is not None
        data = sample.files[name]
        if random.random() < 0.3:  # the beginning of one, the end of another
            other = random.choice([each for each in self._samples if each.specification is not None])
            assert other.specification is not None
            ending = other.files[other.specification]
            return sample.with_file(name, data[: random.randrange(len(data) + 1)] + ending[random.randrange(len(ending)) :])
        return sample.with_file(name, noise(data, random))


def _weights(sample: Sample, random: Random) -> Sample:
    data = bytearray(sample.files[WEIGHTS])
    records = [place for place in range(0, len(data) - 63, 64) if data[place : place + 4] == _SENTINEL]
    if not records or random.random() < 0.3:
        return sample.with_file(WEIGHTS, noise(bytes(data), random))
    place, which = random.choice(records), random.randrange(5)
    fields = list(_RECORD.unpack_from(data, place))
    near = fields[which] + random.choice((-64, -8, -1, 1, 8, 64))
    fields[which] = random.choice((random.choice(_NUMBERS), near)) % (2**32 if which < 2 else 2**64)
    _RECORD.pack_into(data, place, *fields)
    return sample.with_file(WEIGHTS, bytes(data))


def _manifest(sample: Sample, random: Random) -> Sample:
    return _json(sample, MANIFEST, random)


def _json(sample: Sample, name: str, random: Random) -> Sample:
    try:
        document = json.loads(sample.files[name])
    except (ValueError, RecursionError):
        return sample.with_file(name, noise(sample.files[name], random))
    if random.random() < 0.2:
        return sample.with_file(name, noise(sample.files[name], random))
    if random.random() < 0.05:
        return sample.with_file(name, b"[" * 100_000)
    return sample.with_file(name, json.dumps(_other(document, random)).encode())


def _other(value: Any, random: Random) -> Any:
    """A JSON value with something in it replaced."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(sorted(value))
        if random.random() < 0.2:
            return {name: each for name, each in value.items() if name != key}
        if random.random() < 0.1:
            return {**value, random.choice(("x", "path", "../x")): value[key]}
        return {**value, key: _other(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.85:
        place = random.randrange(len(value))
        deed = random.random()
        return (
            value[:place]
            if deed < 0.2
            else [*value, value[place]]
            if deed < 0.3
            else [_other(each, random) if at == place else each for at, each in enumerate(value)]
        )
    return random.choice(_VALUES)


def _golden(sample: Sample, random: Random) -> Sample:
    name = random.choice(sorted(sample.files))
    if name.endswith(".json"):
        return _json(sample, name, random)
    head = sample.files[name][:128]
    if random.random() < 0.5:  # the header of an .npy file is text
        sought = list(re.finditer(rb"\d+|'[<|>][a-zA-Z]\d*'|True|False", head[10:]))
        if sought:
            found = random.choice(sought)
            new = random.choice((b"0", b"-1", b"9" * 12, b"'|O'", b"'<U9'", b"'<f8'", b"True", b"1,2", b"(" * 60))
            start, end = found.start() + 10, found.end() + 10
            changed = head[:start] + new + head[end:]
            return sample.with_file(name, changed + sample.files[name][128:])
    return sample.with_file(name, noise(sample.files[name], random))


def _files(sample: Sample, random: Random) -> Sample:
    name = random.choice(sorted(sample.files))
    deed = random.choice(("gone", "empty", "link", "other", "extra", "elsewhere"))
    if deed == "gone":
        return sample.without(name)
    if deed == "empty":
        return sample.with_file(name, b"")
    if deed == "link":
        gone = sample.without(name)
        return Sample(
            name=sample.name, root=sample.root, files=gone.files, links={name: random.choice(("/etc/hostname", ".", name))}
        )
    if deed == "other":
        return sample.with_file(name, sample.files[random.choice(sorted(sample.files))])
    if deed == "extra":
        return sample.with_file(random.choice(("Data/x", "x", "Data/com.apple.CoreML/weights/more.bin")), sample.files[name])
    moved = sample.without(name)
    return moved.with_file(
        f"{name}.moved" if name != SPECIFICATION else "Data/com.apple.CoreML/other.mlmodel", sample.files[name]
    )
