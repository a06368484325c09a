"""Resizing and sampling: torch as a second judge, small pieces against one piece, what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.mil_ops import OPS, grids, sampling
from tests.coreml.ops import reference_sampling
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(430)
SIZE = st.integers(1, 9)
MODES = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")


@pytest.fixture(scope="module")
def functional():
    return pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'").nn.functional


@settings(deadline=None, max_examples=80)
@given(SIZE, SIZE, SIZE, SIZE, st.booleans())
def test_bilinear_is_torchs(functional, height, width, high, wide, aligned):
    import torch

    x = N.f(2, 3, height, width)
    mode = "STRICT_ALIGN_CORNERS" if aligned else "UNALIGN_CORNERS"
    got = OPS["resize_bilinear"](x=x, target_size_height=high, target_size_width=wide, sampling_mode=mode)
    wanted = functional.interpolate(torch.from_numpy(x), (high, wide), mode="bilinear", align_corners=aligned)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=80)
@given(SIZE, SIZE, SIZE, SIZE)
def test_the_nearest_neighbour_is_torchs(functional, height, width, high, wide):
    import torch

    x = torch.from_numpy(N.f(2, 3, height, width))
    got = OPS["resize_nearest_neighbor"](x=x.numpy(), target_size_height=high, target_size_width=wide)
    np.testing.assert_array_equal(got, functional.interpolate(x, (high, wide), mode="nearest-exact").numpy())


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(["bilinear", "nearest"]),
    st.sampled_from([("constant", "zeros"), ("border", "border"), ("reflection", "reflection")]),
    st.booleans(),
    SIZE,
    SIZE,
)
def test_resampling_is_torchs(functional, how, padding, aligned, height, width):
    import torch

    x, places = N.f(2, 3, height, width), N.f(2, 4, 5, 2) * 2
    ours = "symmetric" if padding[0] == "reflection" and not aligned else padding[0]  # as coremltools converts it
    got = OPS["resample"](x, places, how, ours, np.float32(0), "normalized_minus_one_to_one", np.bool_(aligned))
    wanted = functional.grid_sample(*map(torch.from_numpy, (x, places)), how, padding[1], align_corners=aligned)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(SIZE, SIZE, SIZE, SIZE)
def test_an_affine_map_is_torchs(functional, height, width, high, wide):
    import torch

    x, maps = N.f(2, 3, height, width), N.f(2, 6)
    got = OPS["affine"](
        x, maps, high, wide, "bilinear", "constant", np.float32(0), "normalized_minus_one_to_one", np.bool_(True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes of 1, which this is about
        grid = functional.affine_grid(torch.from_numpy(maps).reshape(2, 2, 3), [2, 3, high, wide], align_corners=True)
    wanted = functional.grid_sample(torch.from_numpy(x), grid, align_corners=True)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-4)


@given(st.sampled_from(MODES), st.integers(1, 50), st.integers(1, 50))
def test_points_lie_in_the_axis_and_never_go_back(mode, size, count):
    points = grids.points(mode, size - 1, count)
    assert len(points) == count
    assert np.all((points >= 0) & (points <= size - 1))
    assert np.all(np.diff(points) >= 0)


@given(st.sampled_from(sorted({*MODES} - {"OFFSET_CORNERS"})), st.integers(1, 30))
def test_an_axis_of_the_same_size_is_left_alone(mode, size):
    x = N.f(1, 1, size)
    got = OPS["resize_bilinear"](x=x, target_size_height=1, target_size_width=size, sampling_mode=mode)
    np.testing.assert_allclose(got, x, rtol=1e-5, atol=1e-6)


def test_a_box_is_cut_from_the_image_that_it_names():
    """coremltools declares another shape for these results than its reference tells, so no file has more than one image."""
    x, roi = N.f(3, 2, 4, 4), np.asarray([(2, 0, 0, 3, 3), (0, 1, 1, 2, 3)], np.float32).reshape(2, 1, 5, 1, 1)
    given = {"x": x, "roi": roi, "target_height": np.int32(2), "target_width": np.int32(3)}
    got = OPS["crop_resize"](**given)
    assert got.shape == (2, 1, 2, 2, 3)
    np.testing.assert_allclose(got, reference_sampling.crop_resize(**given), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", [1, 12, 100])
def test_pieces_make_the_same_as_all_at_once(monkeypatch, limit):
    boxes = {"x": N.f(3, 2, 5, 4), "boxes": np.abs(N.f(3, 4)), "target_height": np.int32(4), "target_width": np.int32(3)}
    boxes["sampling_mode"] = "ALIGN_CORNERS"
    places = {"x": N.f(3, 2, 5, 4), "coordinates": N.f(3, 4, 2, 2), "padding_mode": "border", "padding_value": np.float32(0)}
    places |= {"sampling_mode": "bilinear", "coordinates_mode": "unnormalized", "align_corners": np.bool_(True)}
    whole = OPS["crop_resize@17"](**boxes), OPS["resample"](**places)
    monkeypatch.setattr(sampling, "CHUNK", limit)
    np.testing.assert_array_equal(OPS["crop_resize@17"](**boxes), whole[0])
    np.testing.assert_array_equal(OPS["resample"](**places), whole[1])


def test_a_place_that_is_no_number_is_no_place():
    x, nowhere = N.f(1, 2, 3, 3), np.full((1, 1, 2, 2), np.nan, np.float32)
    assert np.isnan(OPS["resample"](x, nowhere, "bilinear", "constant", np.float32(7), "unnormalized", np.bool_(True))).all()
    boxes = np.full((1, 4), np.nan, np.float32)
    assert (OPS["crop_resize@17"](x=x, boxes=boxes, sampling_mode="ALIGN_CORNERS", pad_value=np.float32(7)) == 7).all()


X = np.zeros((1, 2, 4, 4), np.float32)
BOX = np.zeros((1, 4), np.float32)
ROI = BOX.reshape(1, 1, 4, 1, 1)
SAMPLE = {
    "x": X,
    "coordinates": np.zeros((1, 2, 2, 2), np.float32),
    "sampling_mode": "bilinear",
    "padding_mode": "constant",
    "padding_value": np.float32(0),
    "coordinates_mode": "unnormalized",
    "align_corners": np.bool_(True),
}
MAP = {name: SAMPLE[name] for name in ("x", "sampling_mode", "padding_mode", "padding_value", "align_corners")}
MAP |= {"transform_matrix": np.zeros((1, 6), np.float32), "coordinates_mode": "normalized_minus_one_to_one"}
MAP |= {"output_height": np.int32(2), "output_width": np.int32(2)}
HUGE = np.int32(2**30)
REFUSED = {
    "cropped away": ("crop", {"x": X, "crop_height": i(3, 2), "crop_width": i(0, 0)}),
    "a crop below none": ("crop", {"x": X, "crop_height": i(-1, 0), "crop_width": i(0, 0)}),
    "a crop of two axes": ("crop", {"x": X[0, 0], "crop_height": i(0, 0), "crop_width": i(0, 0)}),
    "a scale that leaves nothing": ("upsample_bilinear", {"x": X, "scale_factor_height": np.float32(0.1)}),
    "a scale that is no number": ("upsample_bilinear", {"x": X, "scale_factor_height": np.float32("nan")}),
    "an endless scale": ("upsample_nearest_neighbor", {"x": X, "scale_factor_width": np.float32("inf")}),
    "a huge scale": ("upsample_nearest_neighbor", {"x": X, "scale_factor_width": np.float32(2**27)}),
    "corners and half pixels": ("upsample_bilinear", {"x": X, "half_pixel_centers": np.bool_(True)}),
    "a size of none": ("resize_bilinear", {"x": X, "target_size_height": np.int32(0)}),
    "a huge size": ("resize_bilinear", {"x": X, "target_size_height": HUGE, "sampling_mode": "UNALIGN_CORNERS"}),
    "an unknown mode": ("resize_bilinear", {"x": X, "sampling_mode": "CORNERS"}),
    "two axes": ("resize_nearest_neighbor", {"x": X[0, 0], "target_size_height": 2, "target_size_width": 2}),
    "an empty axis": ("resize_bilinear", {"x": X[..., :0]}),
    "more axes than named": ("resize", {"x": X, "shape": i(2, 2), "resized_dims": np.uint32(3)}),
    "more axes than there are": ("resize", {"x": X, "shape": i(1, 1, 1, 2, 2), "resized_dims": np.uint32(2)}),
    "a size below none": ("resize", {"x": X, "shape": i(2, -2), "resized_dims": np.uint32(2)}),
    "an unknown interpolation": (
        "resize",
        {"x": X, "shape": i(2, 2), "resized_dims": np.uint32(2), "interpolation_mode": "CUBIC"},
    ),
    "a box of three numbers": ("crop_resize", {"x": X, "roi": ROI[:, :, :3]}),
    "boxes of rank two": ("crop_resize", {"x": X, "roi": BOX}),
    "an image of rank three": ("crop_resize", {"x": X[0], "roi": ROI}),
    "huge boxes": ("crop_resize@16", {"x": X, "roi": ROI, "target_height": HUGE}),
    "boxes of no size": ("crop_resize@17", {"x": X, "boxes": BOX, "target_height": np.int32(0)}),
    "a box of an image that is not there": ("crop_resize@17", {"x": X, "boxes": BOX, "box_indices": i(1)}),
    "a box of an image before the first": ("crop_resize@17", {"x": X, "boxes": BOX, "box_indices": i(-1)}),
    "more boxes than images": ("crop_resize@17", {"x": X, "boxes": np.zeros((2, 4), np.float32)}),
    "an unknown kind of box": ("crop_resize@17", {"x": X, "boxes": BOX, "box_coordinate_mode": "POLAR"}),
    "a box that runs backwards, unaligned": (
        "crop_resize@17",
        {"x": X, "boxes": np.asarray([[2, 2, 1, 1]], np.float32), "sampling_mode": "UNALIGN_CORNERS"},
    ),
    "an unknown sampling": ("resample", {**SAMPLE, "sampling_mode": "cubic"}),
    "an unknown padding": ("resample", {**SAMPLE, "padding_mode": "wrap"}),
    "unknown coordinates": ("resample", {**SAMPLE, "coordinates_mode": "polar"}),
    "coordinates of three": ("resample", {**SAMPLE, "coordinates": np.zeros((1, 2, 2, 3), np.float32)}),
    "coordinates of another batch": ("resample", {**SAMPLE, "coordinates": np.zeros((2, 2, 2, 2), np.float32)}),
    "a map of four": ("affine", {**MAP, "transform_matrix": np.zeros((1, 4), np.float32)}),
    "a huge map": ("affine", {**MAP, "output_height": HUGE, "output_width": HUGE}),
    "a map of another padding": ("affine", {**MAP, "padding_mode": "border"}),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_does_not_fit_is_refused(what):
    op, given = REFUSED[what]
    with pytest.raises(ValueError, match=r"."):
        OPS[op](**given)
