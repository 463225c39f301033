"""Output sizes are torch's, and refused exactly where torch refuses."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import bad_integers, each, rejects
from torch import Tensor

from convnotes.shapes import (
    conv_output_size,
    conv_transpose_output_size,
    effective_kernel_size,
)


def torchs_size(
    function: Callable[..., Tensor], input_size: int, kernel_size: int, **options: int
) -> int | None:
    """Return the height that torch's function gives, or None if it raises.

    The width has other arguments, so that a swapped axis shows. Torch has to compute: on
    the meta device it lets a kernel of size 0, a dilation of 0 and a negative padding pass.
    """
    width = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    pairs = {name: (value, width[name]) for name, value in options.items()}
    input, weight = torch.ones(1, 1, input_size, 5), torch.ones(1, 1, kernel_size, 2)
    try:
        return function(input, weight, **pairs).shape[2]
    except RuntimeError:
        return None


def our_size(function: Callable[..., int], **arguments: int) -> int | None:
    try:
        return function(**arguments)
    except ValueError:
        return None


CONV = {
    "input_size": range(8),
    "kernel_size": range(5),
    "stride": range(4),
    "padding": range(-1, 4),
    "dilation": range(4),
}
CONV_TRANSPOSE = {
    "input_size": range(5),
    "kernel_size": range(5),
    "stride": range(4),
    "padding": range(-1, 4),
    "output_padding": range(-1, 4),
    "dilation": range(4),
}


@pytest.mark.parametrize(
    ("ours", "theirs", "grid"),
    [
        (conv_output_size, F.conv2d, CONV),
        (conv_transpose_output_size, F.conv_transpose2d, CONV_TRANSPOSE),
    ],
)
def test_every_size_is_torchs_and_what_torch_refuses_is_refused(
    ours: Callable[..., int], theirs: Callable[..., Tensor], grid: dict[str, range]
) -> None:
    """3,200 and 10,000 combinations, impossible ones included: not one differs."""
    combinations = [
        dict(zip(grid, values, strict=True)) for values in product(*grid.values())
    ]
    different = [
        arguments
        for arguments in combinations
        if our_size(ours, **arguments) != torchs_size(theirs, **arguments)
    ]
    assert different == []


def test_a_size_counts_the_places_where_the_kernel_fits() -> None:
    # 11 pixels with 2 of padding span positions -2 ... 12. A kernel of 3 with dilation 2
    # covers 5 of them, so it fits from -2 to 8, and steps of 3 lead to -2, 1, 4 and 7.
    assert [start for start in range(-2, 13) if start + 4 <= 12][::3] == [-2, 1, 4, 7]
    assert conv_output_size(11, kernel_size=3, stride=3, padding=2, dilation=2) == 4


def test_a_spread_kernel_reaches_from_its_first_position_to_its_last() -> None:
    # 4 positions, 3 apart: 0, 3, 6 and 9, which is 10 pixels.
    assert effective_kernel_size(4, dilation=3) == 10
    assert effective_kernel_size(1, dilation=3) == 1
    assert effective_kernel_size(4) == 4


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [  # The examples in torch.nn.Conv2d's documentation, on images of 50 x 100.
        ((24, 49), [(50, 3, 2), (100, 3, 2)]),
        ((28, 100), [(50, 3, 2, 4), (100, 5, 1, 2)]),
        ((26, 100), [(50, 3, 2, 4, 3), (100, 5, 1, 2, 1)]),
    ],
)
def test_published_sizes(
    expected: tuple[int, int], arguments: list[tuple[int, ...]]
) -> None:
    assert tuple(conv_output_size(*axis) for axis in arguments) == expected


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "dilation"),
    [(3, 2, 1, 1), (3, 3, 0, 2), (5, 2, 3, 1)],
)
def test_output_padding_chooses_among_the_sizes_that_a_convolution_maps_onto_one(
    kernel_size: int, stride: int, padding: int, dilation: int
) -> None:
    small = 6
    mapped_onto_it = [
        size
        for size in range(5, 40)
        if conv_output_size(size, kernel_size, stride, padding, dilation) == small
    ]
    chosen = [
        conv_transpose_output_size(
            small, kernel_size, stride, padding, choice, dilation
        )
        for choice in range(stride)
    ]
    assert chosen == mapped_onto_it


def test_sizes_are_plain_ints_even_of_numpy_integers() -> None:
    fifty, three, two, one, many = map(np.uint8, (50, 3, 2, 1, 200))
    sizes = [
        conv_output_size(fifty, three, two, two, two),  # type: ignore[arg-type]
        conv_transpose_output_size(fifty, three, two, two, one, two),  # type: ignore[arg-type]
        effective_kernel_size(many, many),  # type: ignore[arg-type]
    ]
    assert sizes == [
        25,
        100,
        39801,
    ]  # (50 + 4 - 5) // 2 + 1; 49·2 - 4 + 5 + 1; 200·199 + 1
    assert {type(size) for size in sizes} == {int}


GOOD = {"input_size": 7, "kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}
LEAST = {"input_size": 1, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}


@each(("name", "value", "error"), bad_integers(**LEAST))
@pytest.mark.parametrize("function", [conv_output_size, conv_transpose_output_size])
def test_an_impossible_argument_is_named(
    function: Callable[..., int], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= {LEAST[name]}"):
        function(**GOOD | {name: value})


@each(("name", "value", "error"), bad_integers(kernel_size=1, dilation=1))
def test_an_effective_kernel_size_refuses_as_the_output_sizes_do(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        effective_kernel_size(**{"kernel_size": 3, name: value})


@each(("name", "value", "error"), bad_integers(output_padding=0))
def test_an_impossible_output_padding_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 0"):
        conv_transpose_output_size(7, 3, **{name: value})


def test_a_kernel_longer_than_the_padded_input_is_told_the_lengths() -> None:
    assert conv_output_size(4, kernel_size=3, padding=1, dilation=2) == 2
    said = (
        "kernel_size=3 with dilation=4 spans 9 pixels",
        "at most 6",
        "input_size=4",
        "padding=1",
    )
    with rejects(ValueError, *said):
        conv_output_size(4, kernel_size=3, padding=1, dilation=4)


def test_output_padding_is_less_than_the_larger_of_stride_and_dilation() -> None:
    said = "output_padding=3: expected less than the larger of stride=2 and dilation=3"
    assert (
        conv_transpose_output_size(4, 3, stride=2, output_padding=2, dilation=3) == 15
    )  # 6 + 7 + 2
    with rejects(ValueError, said):
        conv_transpose_output_size(4, 3, stride=2, output_padding=3, dilation=3)


def test_padding_may_not_crop_everything_away() -> None:
    # 2 pixels, stride 2, kernel 3: 5 pixels, of which padding 2 leaves one and 3 none.
    assert conv_transpose_output_size(2, 3, stride=2, padding=2) == 1
    with rejects(ValueError, "padding=3: expected at most 2", "5 pixels"):
        conv_transpose_output_size(2, 3, stride=2, padding=3)
