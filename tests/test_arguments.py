"""Arguments are taken as they are meant, or refused with a message that helps."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases import bad_integers, bad_pairs, each, rejects

from convnotes.arguments import (
    arrays,
    axes,
    integer,
    layer_shapes,
    pair,
    placement,
    tensors,
)
from convnotes.depthwise import DepthwiseConv2d
from convnotes.depthwise_separable import DepthwiseSeparableConv2d
from convnotes.grouped import GroupedConv2d
from convnotes.pointwise import PointwiseConv2d


@pytest.mark.parametrize("two", [2, np.int64(2), np.uint8(2), torch.tensor(2)])
def test_whatever_counts_as_an_integer_becomes_an_int(two: Any) -> None:
    assert type(integer("stride", two, minimum=1)) is int
    assert pair("stride", two, minimum=1) == (2, 2)
    assert pair("stride", (two, 1), minimum=1) == (2, 1)
    assert all(type(size) is int for size in pair("stride", (two, 1), minimum=1))


def test_a_list_or_a_torch_size_is_a_pair_too() -> None:
    assert pair("kernel_size", [3, 2], minimum=1) == (3, 2)
    assert pair("kernel_size", torch.ones(3, 2).shape, minimum=1) == (3, 2)


def test_the_minimum_itself_is_allowed() -> None:
    assert integer("padding", 0, minimum=0) == 0
    assert pair("padding", (0, 1), minimum=0) == (0, 1)


@each(("name", "value", "error"), bad_integers(stride=1, padding=0))
def test_an_integer_is_refused_by_name_value_and_what_was_expected(
    name: str, value: Any, error: type[Exception]
) -> None:
    minimum = {"stride": 1, "padding": 0}[name]
    with rejects(error, f"{name}={value!r}: expected an integer >= {minimum}"):
        integer(name, value, minimum)


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0))
def test_a_pair_is_refused_by_name_value_and_what_was_expected(
    name: str, value: Any, error: type[Exception]
) -> None:
    minimum = {"stride": 1, "padding": 0}[name]
    expected = f"expected an int or a (height, width) pair, each >= {minimum}"
    with rejects(error, f"{name}={value!r}: {expected}"):
        pair(name, value, minimum)


@pytest.mark.parametrize(
    "value",
    [
        np.array([2, 1]),
        np.array(2.0),
        torch.tensor(2.0),
        torch.tensor([2, 1]),
        torch.tensor(True),
    ],
    ids=repr,
)
def test_an_array_that_is_no_single_integer_is_a_wrong_type(value: Any) -> None:
    with rejects(TypeError, f"stride={value!r}: expected an integer >= 1"):
        integer("stride", value, minimum=1)


def test_axes_counts_the_axes() -> None:
    axes("input", torch.ones(1, 2, 3, 4), "(N, C, H, W)")
    axes("bias", np.ones(3), "(C_out)")
    with rejects(ValueError, "input of shape (2, 3, 4): expected (N, C, H, W)"):
        axes("input", torch.ones(2, 3, 4), "(N, C, H, W)")
    with rejects(TypeError, "input=[[1.0]]: expected a tensor of shape (N, C, H, W)"):
        axes("input", [[1.0]], "(N, C, H, W)")


def ones(shape: tuple[int, ...] | None) -> torch.Tensor | None:
    return None if shape is None else torch.ones(shape)


@pytest.mark.parametrize(
    ("input", "weight", "bias", "groups"),
    [
        ((2, 3, 5, 7), (4, 3, 3, 2), (4,), 1),
        ((2, 3, 5, 7), (4, 3, 3, 2), None, 1),
        ((0, 3, 5, 7), (4, 3, 3, 2), None, 1),
        ((2, 6, 5, 7), (4, 3, 3, 2), (4,), 2),
        ((2, 6, 5, 7), (12, 1, 3, 2), (12,), 6),
    ],
)
def test_shapes_that_fit_pass(input: Any, weight: Any, bias: Any, groups: int) -> None:
    layer_shapes(ones(input), ones(weight), ones(bias), groups)


# In two groups.
FITTING: dict[str, Any] = {"input": (2, 6, 5, 7), "weight": (4, 3, 3, 2), "bias": (4,)}


@each(
    ("name", "shape", "expected"),
    [
        ("input", (6, 5, 7), "(N, C_in, H, W)"),
        ("input", (2, 6, 5, 7, 1), "(N, C_in, H, W)"),
        ("weight", (4, 3, 6), "(C_out, C_in, K_h, K_w)"),
        (
            "weight",
            (4, 2, 3, 2),
            "(C_out, 3, K_h, K_w)",
        ),
        (
            "weight",
            (4, 6, 3, 2),
            "(C_out, 3, K_h, K_w)",
        ),
        ("bias", (3,), "(4,)"),
        ("bias", (1,), "(4,)"),
        ("bias", (4, 1), "(4,)"),
        ("bias", (), "(4,)"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(
    name: str, shape: tuple[int, ...], expected: str
) -> None:
    input, weight, bias = map(ones, (FITTING | {name: shape}).values())
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        layer_shapes(input, weight, bias, groups=2)


@pytest.mark.parametrize(
    ("shapes", "groups"),
    [
        (((2, 5, 5, 7), (4, 2, 3, 2)), 2),  # 5 input channels in 2 groups
        (((2, 6, 5, 7), (5, 3, 3, 2)), 2),  # 5 output channels in 2 groups
        (((2, 6, 5, 7), (4, 3, 3, 2)), 0),
    ],
)
def test_groups_must_divide_the_channels(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], groups: int
) -> None:
    input, weight = map(torch.ones, shapes)
    with rejects(ValueError, f"groups={groups}: expected"):
        layer_shapes(input, weight, groups=groups)


def test_tensors_of_one_dtype_and_device_pass_and_none_is_passed_over() -> None:
    for like in (torch.ones(2), torch.ones(2).bfloat16(), torch.ones(2, device="meta")):
        tensors(input=like, weight=torch.ones_like(like), bias=None)


@pytest.mark.parametrize(
    ("weight", "what", "expected"),
    [
        (np.ones(2), "a ndarray", "a torch.Tensor"),
        ([1.0], "a list", "a torch.Tensor"),
        (torch.ones(2).long(), "torch.int64", "a floating-point tensor"),
        (torch.ones(2).bool(), "torch.bool", "a floating-point tensor"),
        (
            torch.ones(2).to(torch.complex64),
            "torch.complex64",
            "a floating-point tensor",
        ),
        (torch.ones(2).double(), "torch.float64 on cpu", "torch.float32 on cpu"),
        (torch.ones(2).to("meta"), "torch.float32 on meta", "torch.float32 on cpu"),
    ],
)
def test_another_tensor_is_a_wrong_type(weight: Any, what: str, expected: str) -> None:
    with rejects(TypeError, f"weight is {what}: expected {expected}"):
        tensors(input=torch.ones(2), weight=weight)


@pytest.mark.parametrize(
    "layer",
    [
        PointwiseConv2d(4, 6),
        GroupedConv2d(4, 6, 1, groups=2),
        DepthwiseConv2d(4, 1),
        DepthwiseSeparableConv2d(4, 6, 1),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_a_layer_refuses_other_channels_than_its_own(
    layer: torch.nn.Module, channels: int
) -> None:
    input = torch.ones(2, channels, 5, 6)
    with rejects(
        ValueError, f"input of shape (2, {channels}, 5, 6): expected 4 channels"
    ):
        layer(input)
    with rejects(TypeError, "input=None"):
        layer(None)


def test_a_sparse_tensor_is_named() -> None:
    with rejects(TypeError, "input is torch.sparse_coo: expected a dense tensor"):
        tensors(input=torch.eye(3).to_sparse())
    with rejects(TypeError, "input is torch.sparse_coo: expected a dense tensor"):
        arrays(input=torch.eye(3).to_sparse())


def test_rows_of_several_lengths_are_named() -> None:
    with rejects(ValueError, "weight=[[1, 2], [3]]: expected rows of one length"):
        arrays(weight=[[1, 2], [3]])


@pytest.mark.parametrize(
    ("device", "dtype", "error", "said"),
    [
        (None, "float32", TypeError, "dtype='float32': expected None or a floating"),
        (None, np.float32, TypeError, "expected None or a floating-point torch.dtype"),
        (
            None,
            torch.int64,
            TypeError,
            "dtype=torch.int64: expected None or a floating",
        ),
        (None, torch.complex64, TypeError, "dtype=torch.complex64: expected None or"),
        ("gpu", None, ValueError, "device='gpu': expected None or a device that torch"),
        ("cuda:99", None, ValueError, "device='cuda:99': expected None or a device"),
        (99, None, ValueError, "device=99: expected None or a device that torch can"),
        (2.0, None, TypeError, "device=2.0: expected None or a device that torch can"),
    ],
)
@pytest.mark.parametrize(
    "layer",
    [
        partial(DepthwiseConv2d, 4, 3),
        partial(PointwiseConv2d, 4, 4),
        partial(DepthwiseSeparableConv2d, 4, 4, 3),
        partial(GroupedConv2d, 4, 4, 3),
        placement,
    ],
)
def test_a_place_where_no_layer_can_be_is_named(
    layer: Callable[..., Any],
    device: Any,
    dtype: Any,
    error: type[Exception],
    said: str,
) -> None:
    with rejects(error, said):
        layer(device=device, dtype=dtype)
