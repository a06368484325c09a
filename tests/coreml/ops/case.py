"""One case of one MIL operation: what it is given, and who says what must come out.

Who says it is never the handler, nor the torch function that a handler may call: it is coremltools' own value inference, or
numpy written from the operation's documentation (a ``want`` function beside the case).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpublish.coreml.mil_ops import COVERED, OPSETS, handler_of

INFERRED = "coremltools' value inference"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    Args:
        op: the MIL operation.
        given: its arguments, by name: arrays, texts, tuples of arrays; float16 tensors are given as float32 arrays.
        want: ``INFERRED``, or a function of the same arguments that gives the result (a tuple for several).
        opsets: the opsets that it speaks of; by default all in which coremltools' operation takes these arguments.
        rtol, atol: how near the numbers must be.
        inputs: the arguments that a saved program takes from outside in ``test_saved``; by default the first.
        note: what is special about it, for the test's name.
        unsaved: why no file can hold it, if none can.
    """

    op: str
    given: Mapping[str, Any]
    want: Callable[..., Any] | str = INFERRED
    opsets: tuple[int, ...] = ()
    rtol: float = 2e-6
    atol: float = 1e-6
    inputs: tuple[str, ...] = ()
    note: str = ""
    unsaved: str = ""

    def __str__(self) -> str:
        return f"{self.op}[{self.note}]" if self.note else self.op

    def spoken_of(self) -> tuple[int, ...]:
        """The opsets in which it is run."""
        return self.opsets or tuple(opset for opset in OPSETS.values() if self._is_taken(opset))

    def _is_taken(self, opset: int) -> bool:
        found = versions(self.op).get(opset)
        return found is not None and set(self.given) - COVERED <= set(found.input_spec.input_types)

    def wanted(self, opset: int) -> tuple[np.ndarray, ...]:
        """What must come out."""
        with np.errstate(all="ignore"):
            return self._said(opset)

    def _said(self, opset: int) -> tuple[np.ndarray, ...]:
        if self.want != INFERRED:
            assert callable(self.want)
            return _tuple(self.want(**_copied(self.given)))
        import coremltools as ct
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil.mil import Function

        target = getattr(ct.target, f"iOS{opset}")
        with Function({"unused": mb.placeholder(shape=(1,))}, opset_version=target):
            inferred = getattr(mb, self.op)(**_copied(self.given))
        values = tuple(each.val for each in (inferred if isinstance(inferred, list | tuple) else (inferred,)))
        assert all(each is not None for each in values), f"coremltools cannot say what {self} gives; write it in numpy"
        return values

    def got(self, opset: int, handlers: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """What a backend's handler gives."""
        handler = handler_of(self.op, opset, handlers)
        assert handler is not None, f"nothing runs {self.op}"
        known = inspect.signature(handler).parameters
        given = {name: _held(value) for name, value in self.given.items() if name in known or name not in COVERED}
        with np.errstate(all="ignore"):  # as in a program
            return _tuple(handler(**given))

    def check(self, opset: int, handlers: Mapping[str, Any]) -> None:
        """Hold one against the other."""
        self.compare(opset, self.got(opset, handlers), self.wanted(opset))

    def compare(self, opset: int, got: tuple[Any, ...], wanted: tuple[Any, ...]) -> None:
        """Hold what came out against what must."""
        assert len(got) == len(wanted)
        for ours, theirs in zip(got, wanted, strict=True):
            assert np.shape(ours) == np.shape(theirs), f"{self} in iOS{opset}: {np.shape(ours)}"
            if isinstance(theirs, str):
                assert ours == theirs
                continue
            np.testing.assert_allclose(
                np.asarray(ours), np.asarray(theirs), rtol=self.rtol, atol=self.atol, err_msg=f"{self} in iOS{opset}"
            )


def versions(op: str) -> dict[int, Any]:
    """opset -> coremltools' class of an operation in it; empty where it does not exist yet."""
    import coremltools as ct
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    known = SSAOpRegistry.core_ops.get(op, {})
    found = {}
    for opset in OPSETS.values():
        older = [version for version in known if version.value <= getattr(ct.target, f"iOS{opset}").value]
        if older:
            found[opset] = known[max(older, key=lambda version: version.value)]
    return found


def known_operations() -> set[str]:
    """What coremltools can write into a program: the core set, and Core ML's own dialect."""
    import coremltools.converters.mil  # noqa: F401  # registers them
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    dialect = {name for name in SSAOpRegistry.dialect_ops if name.startswith("coreml_")}
    return set(SSAOpRegistry.core_ops) | dialect


def _copied(given: Mapping[str, Any]) -> dict[str, Any]:
    """coremltools' inference writes into some arguments (thresholded_relu)."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in given.items()}


def _held(value: Any) -> Any:
    """An argument as a program holds it: always an array, and weights cannot be written to."""
    if isinstance(value, tuple):
        return tuple(_held(each) for each in value)
    if isinstance(value, str):
        return value
    array = np.array(value)
    array.flags.writeable = False
    return array


def _tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, tuple | list) else (values,)
