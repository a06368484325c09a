"""Laws that hold between operations, whatever the shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.coreml.mil_ops import OPS
from tests.coreml.ops.numbers import i

SIDES = st.integers(1, 4)
AXIS = np.int32


def numbered(*shape: int) -> np.ndarray:
    """Every element another number."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@st.composite
def tensors(draw):
    return numbered(*draw(st.lists(SIDES, min_size=1, max_size=5)))


@st.composite
def tensors_with_axis(draw):
    x = draw(tensors())
    return x, draw(st.integers(-x.ndim, x.ndim - 1))


@given(SIDES, SIDES, SIDES, SIDES, SIDES)
def test_what_was_shuffled_is_unshuffled(n, depth, height, width, block):
    x = numbered(n, depth, height * block, width * block)
    for there, back, name, other in (
        ("pixel_unshuffle", "pixel_shuffle", "downscale_factor", "upscale_factor"),
        ("space_to_depth", "depth_to_space", "block_size", "block_size"),
    ):
        deep = OPS[there](x=x, **{name: AXIS(block)})
        assert deep.shape == (n, depth * block**2, height, width)
        np.testing.assert_array_equal(OPS[back](x=deep, **{other: AXIS(block)}), x)


@given(st.data())
def test_what_became_batches_becomes_space_again(data):
    n, depth, height, width, down, across = (data.draw(SIDES) for _ in range(6))
    top, left = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    around = i(top, -(height + top) % down, left, -(width + left) % across).reshape(2, 2)
    x, block = numbered(n, depth, height, width), i(down, across)
    batches = OPS["space_to_batch"](x=x, block_shape=block, paddings=around)
    assert len(batches) == n * down * across
    np.testing.assert_array_equal(OPS["batch_to_space"](x=batches, block_shape=block, crops=around), x)


@given(tensors_with_axis(), st.data())
def test_what_was_scattered_is_gathered(drawn, data):
    x, axis = drawn
    places = data.draw(st.lists(st.integers(0, x.shape[axis] - 1), unique=True, min_size=1))
    updates = -1 - np.take(x, range(len(places)), axis=axis)
    for since in ("", "@17"):
        put = OPS[f"scatter{since}"](data=x, indices=i(*places), updates=updates, axis=AXIS(axis), mode="update")
        np.testing.assert_array_equal(OPS[f"gather{since}"](x=put, indices=i(*places), axis=AXIS(axis)), updates)
        rest = [place for place in range(x.shape[axis]) if place not in places]
        np.testing.assert_array_equal(np.take(put, rest, axis=axis), np.take(x, rest, axis=axis))


@given(tensors(), st.data())
def test_what_was_scattered_at_places_is_gathered_there(x, data):
    depth = data.draw(st.integers(1, x.ndim))
    every = list(np.ndindex(*x.shape[:depth]))
    places = np.asarray(data.draw(st.lists(st.sampled_from(every), unique=True, min_size=1)), np.int32)
    updates = -1 - numbered(len(places), *x.shape[depth:])
    put = OPS["scatter_nd@17"](data=x, indices=places, updates=updates, mode="update")
    np.testing.assert_array_equal(OPS["gather_nd@17"](x=put, indices=places), updates)
    assert (put < 0).sum() == updates.size


@given(tensors(), st.integers(0, 4))
def test_a_place_without_coordinates_is_the_whole_tensor(x, count):
    found = OPS["gather_nd"](x=x, indices=np.zeros((count, 0), np.int32))
    np.testing.assert_array_equal(found, np.stack([x] * count) if count else np.zeros((0, *x.shape)))


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
def test_a_range_is_pythons(start, end, step):
    found = OPS["range_1d"](start=np.int32(start), end=np.int32(end), step=np.int32(step))
    assert found.tolist() == list(range(start, end, step))
    assert found.dtype == np.int32


@given(tensors_with_axis())
def test_gathered_along_its_order_a_tensor_is_sorted(drawn):
    x, axis = drawn
    turned = np.cos(x)
    order = OPS["argsort"](x=turned, axis=AXIS(axis), ascending=np.bool_(True))
    found = OPS["gather_along_axis"](x=turned, indices=order, axis=AXIS(axis))
    np.testing.assert_array_equal(found, np.sort(turned, axis=axis))
    back = OPS["scatter_along_axis"](data=x, indices=order, updates=found, axis=AXIS(axis), mode="update")
    np.testing.assert_array_equal(back, turned)


@given(tensors(), st.data())
def test_reversed_twice_is_as_before(x, data):
    axes = i(*data.draw(st.sets(st.integers(0, x.ndim - 1))))
    np.testing.assert_array_equal(OPS["reverse"](x=OPS["reverse"](x=x, axes=axes), axes=axes), x)
    if x.ndim > 1:
        lengths = i(*(data.draw(st.integers(0, x.shape[1])) for _ in range(x.shape[0])))
        once = OPS["reverse_sequence"](x=x, lengths=lengths, seq_axis=AXIS(1))
        np.testing.assert_array_equal(OPS["reverse_sequence"](x=once, lengths=lengths, seq_axis=AXIS(1)), x)


@given(tensors(), st.data())
def test_a_slice_holds_what_it_was_updated_with(x, data):
    ends = st.integers(-6, 6)
    where = {name: i(*(data.draw(ends) for _ in x.shape)) for name in ("begin", "end")}
    where["stride"] = i(*(data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3])) for _ in x.shape))
    for mask in ("begin_mask", "end_mask"):
        where[mask] = np.asarray([data.draw(st.booleans()) for _ in x.shape])
    update = -1 - OPS["slice_by_index"](x=x, **where)
    changed = OPS["slice_update"](x=x, update=update, **where)
    np.testing.assert_array_equal(OPS["slice_by_index"](x=changed, **where), update)
    assert (changed < 0).sum() == update.size
    assert (x >= 0).all()


@given(tensors(), st.data())
def test_a_slice_is_the_same_by_index_and_by_size(x, data):
    begins = [data.draw(st.integers(0, size - 1)) for size in x.shape]
    sizes = [data.draw(st.integers(0, size - begin)) for size, begin in zip(x.shape, begins, strict=True)]
    ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    by_index = OPS["slice_by_index"](x=x, begin=i(*begins), end=i(*ends))
    np.testing.assert_array_equal(OPS["slice_by_size"](x=x, begin=i(*begins), size=i(*sizes)), by_index)


@given(tensors(), st.data())
def test_a_new_shape_keeps_the_order(x, data):
    shape = data.draw(st.permutations(x.shape))
    for since in ("", "@17"):
        found = OPS[f"reshape{since}"](x=x, shape=i(*shape))
        assert found.shape == tuple(shape)
        assert found.ravel().tolist() == x.ravel().tolist()
    assert OPS["flatten2d"](x=x, axis=AXIS(x.ndim)).shape == (x.size, 1)
    for first in (0, -x.ndim):
        assert OPS["flatten2d"](x=x, axis=AXIS(first)).shape == (1, x.size)
    order = data.draw(st.permutations(range(x.ndim)))
    back = [order.index(axis) for axis in range(x.ndim)]
    np.testing.assert_array_equal(OPS["transpose"](x=OPS["transpose"](x=x, perm=i(*order)), perm=i(*back)), x)


@given(tensors_with_axis(), st.data())
def test_parts_are_joined_again(drawn, data):
    x, axis = drawn
    cuts = sorted(data.draw(st.lists(st.integers(0, x.shape[axis]), max_size=3)))
    sizes = i(*np.diff([0, *cuts, x.shape[axis]]))
    parts = OPS["split"](x=x, axis=AXIS(axis), split_sizes=sizes)
    np.testing.assert_array_equal(OPS["concat"](values=parts, axis=AXIS(axis)), x)
    each = tuple(OPS["gather"](x=x, indices=np.int32(k), axis=AXIS(axis)) for k in range(x.shape[axis]))
    np.testing.assert_array_equal(OPS["stack"](values=tuple(map(np.asarray, each)), axis=AXIS(axis)), x)


@given(tensors(), st.data())
def test_what_was_padded_holds_the_tensor(x, data):
    mode = data.draw(st.sampled_from(["constant", "reflect", "replicate"]))
    limit = [size - 1 if mode == "reflect" else 3 for size in x.shape]
    sides = [data.draw(st.integers(0, most)) for most in limit for _ in range(2)]
    found = OPS["pad"](x=x, pad=i(*sides), mode=mode)
    kept = OPS["slice_by_size"](x=found, begin=i(*sides[::2]), size=i(*x.shape))
    np.testing.assert_array_equal(kept, x)
    assert found.shape == tuple(b + s + e for b, s, e in zip(sides[::2], x.shape, sides[1::2], strict=True))


@given(st.integers(1, 30), st.integers(1, 6), st.booleans(), st.randoms(use_true_random=False))
def test_of_suppressed_boxes_none_overlap_and_the_best_comes_first(count, most, apart, random):
    boxes = np.float32([[[random.random(), random.random(), random.random(), random.random()] for _ in range(count)]])
    scores = np.float32([[[random.random(), random.random()] for _ in range(count)]])
    found, best, indices = OPS["non_maximum_suppression@17"](
        boxes=boxes.transpose(0, 2, 1),
        scores=scores.transpose(0, 2, 1),
        iou_threshold=np.float32(0.3),
        max_boxes=AXIS(most),
        per_class_suppression=np.bool_(apart),
    )
    kept = [int(k) for k in indices[0] if k >= 0]
    assert kept[0] == scores[0].max(axis=1).argmax()
    assert len(set(kept)) == len(kept)
    assert (np.diff(best[0].max(axis=0)) <= 0).all()
    np.testing.assert_array_equal(found[0, :, : len(kept)].T, boxes[0, kept])
