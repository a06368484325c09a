"""Rounding to float16 is numpy's, number for number, by numpy's bits and by torch."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml import halves

_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
_WIDE = np.sort(_HALVES[np.isfinite(_HALVES)].astype(np.float32))


def _numbers() -> dict[str, np.ndarray]:
    scattered = np.arange(0, 1 << 32, 9973, dtype=np.uint64).astype(np.uint32).view(np.float32)
    mostly_zero = np.zeros(1 << 14, np.float32)
    mostly_zero[::1000] = 1e-7
    return {
        "every float16": _HALVES.astype(np.float32),
        "half way between two": (_WIDE[:-1] + _WIDE[1:]) / 2,
        "next above half way": np.nextafter((_WIDE[:-1] + _WIDE[1:]) / 2, np.float32(np.inf)),
        "next below half way": np.nextafter((_WIDE[:-1] + _WIDE[1:]) / 2, np.float32(-np.inf)),
        "about the largest": np.linspace(65500, 65540, 1 << 13).astype(np.float32),
        "every size, infinite and not a number": scattered,
        "mostly zero": mostly_zero,
        "a transposed one": np.random.default_rng(0).normal(size=(80, 90)).astype(np.float32).T,
        "few": np.asarray([1 + 2**-12, -70000, 1e-8], np.float32),
    }


def _backends():
    found = [halves]
    try:
        from mlpublish.coreml.mil_torch import rounding
    except ImportError:
        return found
    return [*found, rounding]


@pytest.mark.parametrize("by", _backends(), ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize("numbers", _numbers().values(), ids=_numbers().keys())
def test_numbers_are_rounded_as_numpy_rounds_each(by, numbers):
    with np.errstate(all="ignore"):
        got, wanted = by.rounded(numbers), numbers.astype(np.float16).astype(np.float32)
    assert got.shape == wanted.shape
    assert got.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    there = ~np.isnan(wanted)
    np.testing.assert_array_equal(got[there], wanted[there])
    np.testing.assert_array_equal(np.signbit(got[there]), np.signbit(wanted[there]))
    with np.errstate(all="ignore"):
        assert by.is_finite(wanted) == bool(np.isfinite(wanted).all())


@pytest.mark.parametrize("by", _backends(), ids=lambda module: module.__name__.rpartition(".")[2])
def test_constants_are_widened_also_where_they_may_not_be_written(by, recwarn):
    constant = _HALVES[np.isfinite(_HALVES)].copy()
    constant.flags.writeable = False
    np.testing.assert_array_equal(by.widened(constant), constant.astype(np.float32))
    assert not recwarn.list
