"""Arguments that make no sense to the operations that shape, pick and make tensors: each is refused, none is guessed at."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml import evaluate
from mlpublish.coreml.mil_ops import OPS, gathering, joining, making, rearranging, scattering, shape, slicing, suppression
from mlpublish.errors import ConversionError
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import i
from tests.coreml.ops.saved import build

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
IMAGE = np.zeros((2, 4, 4, 6), np.float32)
LONG = np.broadcast_to(np.float32(1), (1, 1 << 15))
"""A tensor that takes no memory, and whose repetitions would take all."""
ZEROS = np.zeros(1 << 15, np.int32)
NONE = np.zeros(3, np.bool_)


def a(value: float) -> np.ndarray:
    """A scalar as a program holds it."""
    return np.asarray(value, np.int32 if isinstance(value, int) else np.float32)


def sliced(**given: object) -> dict[str, object]:
    return {"x": X, "begin": i(0, 0, 0), "end": i(2, 3, 4), **given}


BOXES = {
    "boxes": np.zeros((1, 3, 4), np.float32),
    "scores": np.zeros((1, 3, 2), np.float32),
    "iou_threshold": a(0.5),
    "score_threshold": a(0.5),
    "max_boxes": a(2),
}

REFUSED: list[tuple[str, dict[str, object]]] = [
    ("reshape", {"x": X, "shape": i(5, 5)}),
    ("reshape", {"x": X, "shape": i(-1, -1)}),
    ("reshape", {"x": X, "shape": i(-2, -12)}),
    ("reshape", {"x": X, "shape": i(0, -1)}),
    ("reshape", {"x": X, "shape": i(2, 3, 4, 0)}),
    ("reshape", {"x": X, "shape": i(-1, 2**31 - 1)}),
    ("reshape", {"x": X, "shape": np.float32([4, 6.5])}),
    ("reshape@17", {"x": X, "shape": i(0, 0)}),
    ("reshape@17", {"x": X, "shape": i(-3, -8)}),
    ("reshape_like", {"x": X, "ref_tensors": (X,), "begins": (a(1),), "ends": (a(2),), "end_masks": (a(0),)}),
    ("reshape_like", {"x": X, "ref_tensors": (X, X), "begins": (a(0),), "ends": (a(3),), "end_masks": (a(0),)}),
    ("transpose", {"x": X, "perm": i(0, 1)}),
    ("transpose", {"x": X, "perm": i(0, 0, 1)}),
    ("transpose", {"x": X, "perm": i(0, 1, 3)}),
    ("squeeze", {"x": X, "axes": i(3)}),
    ("expand_dims", {"x": X, "axes": i(4)}),
    ("expand_dims", {"x": X, "axes": i(0, 0)}),
    ("flatten2d", {"x": X, "axis": a(4)}),
    ("flatten2d", {"x": X, "axis": a(-4)}),
    ("reverse", {"x": X, "axes": i(3)}),
    ("reverse", {"x": X, "axes": np.broadcast_to(np.int32(0), 1 << 28)}),
    ("tile", {"x": X, "reps": i(2, 2)}),
    ("tile", {"x": X, "reps": i(1, -1, 1)}),
    ("tile", {"x": X, "reps": i(1, 2**31 - 1, 2**31 - 1)}),
    ("concat", {"values": (X, X[:1]), "axis": a(1)}),
    ("concat", {"values": (X, X[0]), "axis": a(0)}),
    ("concat", {"values": (X, X), "axis": a(3)}),
    ("concat", {"values": (X, "text"), "axis": a(0)}),
    ("concat", {"values": (X, X[:1]), "axis": a(0), "interleave": np.bool_(True)}),
    ("concat", {"values": (LONG,) * (1 << 14), "axis": a(0)}),
    ("stack", {"values": (X, X[:1]), "axis": a(0)}),
    ("stack", {"values": (X, X), "axis": a(4)}),
    ("stack", {"values": (LONG,) * (1 << 14), "axis": a(0)}),
    ("split", {"x": X, "axis": a(1)}),
    ("split", {"x": X, "axis": a(1), "num_splits": a(2)}),
    ("split", {"x": X, "axis": a(1), "num_splits": a(0)}),
    ("split", {"x": X, "axis": a(1), "num_splits": a(2**31 - 1)}),
    ("split", {"x": X, "axis": a(3), "num_splits": a(1)}),
    ("split", {"x": X, "axis": a(1), "split_sizes": i(1, 1)}),
    ("split", {"x": X, "axis": a(1), "split_sizes": i(4, -1)}),
    ("split", {"x": X, "axis": a(1), "split_sizes": i(1, 2), "num_splits": a(3)}),
    ("pad", {"x": X, "pad": i(1)}),
    ("pad", {"x": X, "pad": i(1, -1)}),
    ("pad", {"x": X, "pad": i(*[1] * 8)}),
    ("pad", {"x": X, "pad": i(1, 1), "mode": "mirror"}),
    ("pad", {"x": X, "pad": i(4, 0), "mode": "reflect"}),
    ("pad", {"x": X[:1], "pad": i(0, 1, 0, 0, 0, 0), "mode": "reflect"}),
    ("pad", {"x": X[:, :, :0], "pad": i(1, 1), "mode": "replicate"}),
    ("pad", {"x": X, "pad": i(2**31 - 1, 2**31 - 1)}),
    ("pad", {"x": X, "pad": i(1, 1), "constant_val": np.float32([1, 2])}),
    ("slice_by_index", sliced(begin=i(0, 0))),
    ("slice_by_index", sliced(end=i(1, 1, 1, 1))),
    ("slice_by_index", sliced(stride=i(1, 0, 1))),
    ("slice_by_index", sliced(stride=i(1, 1))),
    ("slice_by_index", sliced(begin_mask=NONE[:2])),
    ("slice_by_index", sliced(begin=i(2, 0, 0), squeeze_mask=np.asarray([True, False, False]))),
    ("slice_by_index", sliced(begin=i(-3, 0, 0), squeeze_mask=np.asarray([True, False, False]))),
    ("slice_update", sliced(update=X[:1])),
    ("slice_update", sliced(update=np.float32(1))),
    ("slice_update", sliced(update=X, stride=i(0, 1, 1))),
    ("slice_by_size", {"x": X, "begin": i(0, 0), "size": i(1, 1)}),
    ("slice_by_size", {"x": X, "begin": i(0, 0, 3), "size": i(1, 1, 2)}),
    ("slice_by_size", {"x": X, "begin": i(0, 0, -5), "size": i(1, 1, 2)}),
    ("slice_by_size", {"x": X, "begin": i(0, 0, 5), "size": i(1, 1, -1)}),
    ("slice_by_size", {"x": X, "begin": i(0, 0, 2), "size": i(1, 1, -2)}),
    ("sliding_windows", {"x": X, "axis": a(3), "size": a(1)}),
    ("sliding_windows", {"x": X, "axis": a(2), "size": a(5)}),
    ("sliding_windows", {"x": X, "axis": a(2), "size": a(0)}),
    ("sliding_windows", {"x": X, "axis": a(2), "size": a(2), "stride": a(0)}),
    ("sliding_windows", {"x": X, "axis": a(2), "size": a(2), "stride": a(-1)}),
    ("sliding_windows", {"x": LONG, "axis": a(1), "size": a(1 << 14)}),
    ("depth_to_space", {"x": X, "block_size": a(2)}),
    ("depth_to_space", {"x": IMAGE, "block_size": a(3)}),
    ("depth_to_space", {"x": IMAGE, "block_size": a(0)}),
    ("space_to_depth", {"x": IMAGE, "block_size": a(3)}),
    ("space_to_depth", {"x": IMAGE, "block_size": a(-2)}),
    ("pixel_shuffle", {"x": IMAGE, "upscale_factor": a(3)}),
    ("pixel_shuffle", {"x": IMAGE, "upscale_factor": a(-1)}),
    ("pixel_unshuffle", {"x": IMAGE, "downscale_factor": a(4)}),
    ("pixel_unshuffle", {"x": IMAGE, "downscale_factor": a(0)}),
    ("space_to_batch", {"x": X, "block_shape": i(2, 2), "paddings": i(0, 0, 0, 0).reshape(2, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(3, 2), "paddings": i(0, 0, 0, 0).reshape(2, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(2, 0), "paddings": i(0, 0, 0, 0).reshape(2, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(2, 2, 2), "paddings": i(0, 0, 0, 0).reshape(2, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(2, 2), "paddings": i(0, 0).reshape(1, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(2, 2), "paddings": i(-1, 1, 0, 0).reshape(2, 2)}),
    ("space_to_batch", {"x": IMAGE, "block_shape": i(1, 1), "paddings": i(0, 2**31 - 1, 0, 0).reshape(2, 2)}),
    ("reverse_sequence", {"x": np.zeros((1 << 15, 1 << 15, 0), np.float32), "lengths": ZEROS, "seq_axis": a(1)}),
    ("batch_to_space", {"x": IMAGE, "block_shape": i(2, 2), "crops": i(0, 0, 0, 0).reshape(2, 2)}),
    ("batch_to_space", {"x": IMAGE, "block_shape": i(1, 2), "crops": i(3, 3, 0, 0).reshape(2, 2)}),
    ("batch_to_space", {"x": IMAGE, "block_shape": i(1, 2), "crops": i(-1, 0, 0, 0).reshape(2, 2)}),
    ("reverse_sequence", {"x": X, "lengths": i(1, 1)}),
    ("reverse_sequence", {"x": X, "lengths": i(1, 1, 1), "seq_axis": a(1)}),
    ("reverse_sequence", {"x": X, "lengths": i(1, 4), "seq_axis": a(1)}),
    ("reverse_sequence", {"x": X, "lengths": i(1, -1), "seq_axis": a(1)}),
    ("reverse_sequence", {"x": X, "lengths": i(1, 1), "seq_axis": a(3)}),
    ("gather", {"x": X, "indices": i(2)}),
    ("gather", {"x": X, "indices": i(-3)}),
    ("gather", {"x": X, "indices": i(0), "axis": a(3)}),
    ("gather", {"x": X, "indices": np.float32([0])}),
    ("gather", {"x": X, "indices": i(0, 1).reshape(2, 1), "axis": a(0), "batch_dims": a(1)}),
    ("gather", {"x": X, "indices": i(0, 1, 2), "axis": a(1), "batch_dims": a(1)}),
    ("gather", {"x": X, "indices": i(0, 1), "axis": a(1), "batch_dims": a(2)}),
    ("gather", {"x": X, "indices": i(0, 1), "axis": a(1), "batch_dims": a(-1)}),
    ("gather", {"x": X, "indices": i(0, 3), "axis": a(1), "batch_dims": a(1)}),
    ("gather", {"x": X, "indices": np.zeros((3, 2), np.int32), "axis": a(2), "batch_dims": a(2)}),
    ("gather", {"x": X, "indices": i(0), "axis": a(0.5)}),
    ("gather", {"x": X, "indices": i(0), "axis": i(0, 1)}),
    ("gather", {"x": LONG, "indices": ZEROS}),
    ("gather@17", {"x": X, "indices": i(-1)}),
    ("gather@17", {"x": X, "indices": i(0, 1, 4), "axis": a(-1)}),
    ("gather_along_axis", {"x": X, "indices": np.full((2, 3, 4), 2, np.int32)}),
    ("gather_along_axis", {"x": X, "indices": np.zeros((2, 3), np.int32)}),
    ("gather_along_axis", {"x": X, "indices": np.zeros((1, 1, 4), np.int32)}),
    ("gather_along_axis@17", {"x": X, "indices": np.full((2, 3, 4), -1, np.int32)}),
    ("gather_nd", {"x": X, "indices": i(0, 3).reshape(1, 2)}),
    ("gather_nd", {"x": X, "indices": i(0, 0, 0, 0).reshape(1, 4)}),
    ("gather_nd", {"x": X, "indices": a(0)}),
    ("gather_nd", {"x": X, "indices": i(0, 0, 0).reshape(3, 1), "batch_dims": a(1)}),
    ("gather_nd", {"x": X, "indices": np.zeros((2, 1, 3), np.int32), "batch_dims": a(1)}),
    ("gather_nd", {"x": LONG, "indices": ZEROS.reshape(-1, 1)}),
    ("gather_nd", {"x": LONG, "indices": np.zeros((1 << 15, 0), np.int32)}),
    ("gather_nd@17", {"x": X, "indices": i(0, -1).reshape(1, 2)}),
    ("scatter", {"data": X, "indices": i(2), "updates": X[:1]}),
    ("scatter", {"data": X, "indices": i(-3), "updates": X[:1]}),
    ("scatter", {"data": X, "indices": i(0, 1), "updates": X[:1]}),
    ("scatter", {"data": X, "indices": i(0).reshape(1, 1), "updates": X[:1]}),
    ("scatter", {"data": X, "indices": i(0), "updates": X[:1], "mode": "and"}),
    ("scatter", {"data": X, "indices": i(0), "updates": X[:1], "axis": a(3)}),
    ("scatter", {"data": i(7), "indices": i(0), "updates": i(2), "mode": "div"}),
    ("scatter", {"data": i(7), "indices": i(0), "updates": i(0), "mode": "div"}),
    ("scatter@17", {"data": X, "indices": i(-1), "updates": X[:1]}),
    ("scatter_along_axis", {"data": X, "indices": np.full((2, 3, 4), 2, np.int32), "updates": X}),
    ("scatter_along_axis", {"data": X, "indices": np.zeros((2, 3, 4), np.int32), "updates": X[:1]}),
    ("scatter_along_axis", {"data": X, "indices": np.zeros((1, 1, 4), np.int32), "updates": X[:1, :1]}),
    ("scatter_along_axis@17", {"data": X, "indices": np.full((2, 3, 4), -1, np.int32), "updates": X}),
    ("scatter_nd", {"data": X, "indices": i(0, 3).reshape(1, 2), "updates": X[0, :1]}),
    ("scatter_nd", {"data": X, "indices": i(0, 1).reshape(1, 2), "updates": X[0]}),
    ("scatter_nd", {"data": X, "indices": i(0, 1, 1, 2).reshape(2, 2), "updates": X[0, :1]}),
    ("scatter_nd", {"data": X, "indices": i(0, 0, 0, 0).reshape(1, 4), "updates": X[0, 0, :1]}),
    ("scatter_nd@17", {"data": X, "indices": i(-1).reshape(1, 1), "updates": X[:1]}),
    ("fill", {"shape": i(2, -1)}),
    ("fill", {"shape": i(1 << 15, 1 << 15)}),
    ("fill", {"shape": i(2**31 - 1, 2**31 - 1, 4)}),
    ("fill", {"shape": i(2), "value": np.float32([1, 2])}),
    ("fill_like", {"ref_tensor": np.broadcast_to(np.bool_(True), (1 << 15, 1 << 15))}),
    ("range_1d", {"start": a(0), "end": a(5), "step": a(0)}),
    ("range_1d", {"start": a(0.0), "end": a(5.0), "step": a(0.0)}),
    ("range_1d", {"start": a(-(2**31)), "end": a(2**31 - 1), "step": a(1)}),
    ("range_1d", {"start": a(0.0), "end": a(np.inf), "step": a(1.0)}),
    ("range_1d", {"start": a(np.nan), "end": a(1.0), "step": a(1.0)}),
    ("range_1d", {"start": a(0.0), "end": a(1.0), "step": a(1e-30)}),
    ("range_1d", {"start": i(0, 1), "end": a(5), "step": a(1)}),
    ("one_hot", {"indices": i(0, 4), "one_hot_vector_size": a(4)}),
    ("one_hot", {"indices": i(-1), "one_hot_vector_size": a(4)}),
    ("one_hot", {"indices": i(0), "one_hot_vector_size": a(-1)}),
    ("one_hot", {"indices": i(0), "one_hot_vector_size": a(4), "axis": a(2)}),
    ("one_hot", {"indices": i(0), "one_hot_vector_size": a(2**31 - 1)}),
    ("one_hot", {"indices": ZEROS, "one_hot_vector_size": a(1 << 15)}),
    ("one_hot", {"indices": i(), "one_hot_vector_size": a(2**31 - 1)}),
    ("band_part", {"x": X[0, 0]}),
    ("band_part", {"x": np.zeros((0, 1 << 15, 1 << 15), np.float32)}),
    ("argsort", {"x": X, "axis": a(3)}),
    ("non_maximum_suppression", {**BOXES, "boxes": np.zeros((1, 2, 4), np.float32)}),
    ("non_maximum_suppression", {**BOXES, "boxes": np.zeros((1, 3, 5), np.float32)}),
    ("non_maximum_suppression", {**BOXES, "boxes": np.zeros((3, 4), np.float32)}),
    ("non_maximum_suppression", {**BOXES, "scores": np.zeros((1, 3, 0), np.float32)}),
    ("non_maximum_suppression", {**BOXES, "max_boxes": a(-1)}),
    ("non_maximum_suppression", {**BOXES, "max_boxes": a(2**31 - 1)}),
    (
        "non_maximum_suppression",
        {
            **BOXES,
            "boxes": np.broadcast_to(np.float32(1), (1, 1 << 18, 4)),
            "scores": np.broadcast_to(np.float32(1), (1, 1 << 18, 1)),
            "max_boxes": a(1 << 18),
        },
    ),
    (
        "non_maximum_suppression@17",
        {name: value for name, value in BOXES.items() if name != "score_threshold"}
        | {"boxes": np.zeros((1, 3, 4), np.float32)},
    ),
]
FAMILIES = (shape, joining, slicing, rearranging, gathering, scattering, making, suppression)
NEVER = {"shape", "non_zero"}
"""Operations that take every tensor."""


@pytest.mark.parametrize(("op", "given"), REFUSED, ids=[f"{op} {k}" for k, (op, _) in enumerate(REFUSED)])
def test_an_argument_that_makes_no_sense_is_refused(op, given):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        OPS[op](**given)


def test_every_operation_has_something_to_refuse():
    assert {name for family in FAMILIES for name in family.OPS} == {op for op, _ in REFUSED} | NEVER


@pytest.mark.parametrize("op", ["gather", "gather@17"])
def test_the_index_that_is_out_of_range_is_named(op):
    with pytest.raises(ValueError, match="the index 7 is out of range for an axis of length 3"):
        OPS[op](x=X, indices=i(0, 7, 9), axis=a(1))


def test_a_negative_index_counts_from_the_end_in_files_for_ios16_and_before(tmp_path):
    case = Case(op="gather", given={"x": np.float32([1, 2, 3]), "indices": i(0, 1)}, inputs=("x", "indices"))
    for opset in (15, 16, 17, 18):
        path, given = build(case, opset, tmp_path / str(opset))
        model = evaluate.load(path)
        (got,) = model.predict(given).values()
        assert got.tolist() == [1, 2]
        given["in_indices"] = i(0, -1)
        if opset < 17:
            (got,) = model.predict(given).values()
            assert got.tolist() == [1, 3]
        else:
            with pytest.raises(ConversionError, match=r"gather .*the index -1 is out of range for an axis of length 3"):
                model.predict(given)
