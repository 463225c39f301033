"""Costs are counted, not trusted: by loops, by torch's own counter, by the published figures."""

from itertools import product
from typing import Any

import pytest
import torch
from cases import (
    Layer,
    bad_integers,
    bad_pairs,
    both,
    each,
    int_or_pair,
    layers,
    rejects,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost, layer_cost
from convnotes.standard import conv2d, conv2d_cost


def cost_of(layer: Layer) -> Cost:
    C_out, C_in, K_h, K_w = layer.weight.shape
    height, width = layer.input.shape[2:]
    return conv2d_cost(
        C_in,
        C_out,
        (K_h, K_w),
        (height, width),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        bias=layer.bias is not None,
    )


@given(layers(dilated=True))
def test_macs_are_the_multiplications_of_a_plain_loop_nest(layer: Layer) -> None:
    C_out, C_in, K_h, K_w = layer.weight.shape
    starts = [
        range(-padding, size + padding - dilation * (kernel_size - 1), stride)
        for size, kernel_size, stride, padding, dilation in zip(
            layer.input.shape[2:],
            (K_h, K_w),
            both(layer.stride),
            both(layer.padding),
            both(layer.dilation),
            strict=True,
        )
    ]
    macs = 0
    for _top, _left, _o, _c, _u, _v in product(
        *starts, *map(range, (C_out, C_in, K_h, K_w))
    ):
        macs += 1
    assert cost_of(layer).macs == macs


@given(layers(dilated=True))
def test_cost_is_what_torch_counts(layer: Layer) -> None:
    """One multiply-accumulate is two of the floating-point operations that torch counts."""
    C_out, C_in, K_h, K_w = layer.weight.shape
    has_bias = layer.bias is not None
    module = nn.Conv2d(
        C_in,
        C_out,
        (K_h, K_w),
        layer.stride,
        layer.padding,
        layer.dilation,
        bias=has_bias,
    ).double()
    image = layer.input[:1]
    with FlopCounterMode(display=False) as counter:
        output = module(image)
    params = sum(parameter.numel() for parameter in module.parameters())
    assert cost_of(layer) == Cost(
        params=params,
        macs=counter.get_total_flops() // 2,
        elements_moved=image.numel() + params + output.numel(),
    )


@given(layers())
def test_the_fast_form_does_the_macs_that_the_formula_counts(layer: Layer) -> None:
    with FlopCounterMode(display=False) as counter:
        conv2d(layer.input[:1], layer.weight, layer.bias, layer.stride, layer.padding)
    assert counter.get_total_flops() == 2 * cost_of(layer).macs


def test_worked_example_of_64_by_64() -> None:
    cost = conv2d_cost(3, 4, kernel_size=3, input_size=64, padding=1)
    assert cost.params == 4 * 3 * 3 * 3 == 108
    assert cost.macs == 108 * 64 * 64 == 442_368
    assert cost.elements_moved == 3 * 64 * 64 + 108 + 4 * 64 * 64 == 28_780
    assert cost.intensity == 442_368 / 28_780


def test_worked_example_of_256_channels() -> None:
    cost = conv2d_cost(256, 256, kernel_size=3, input_size=56, padding=1)
    assert cost.params == 256 * 256 * 3 * 3 == 589_824


def test_a_swapped_axis_would_show() -> None:
    # Rows: (50 + 2·4 - 3·(3 - 1) - 1) // 2 + 1 = 26. Columns: 100 + 2·2 - (5 - 1) = 100.
    options: dict[str, Any] = {"stride": (2, 1), "padding": (4, 2), "dilation": (3, 1)}
    cost = conv2d_cost(16, 33, (3, 5), (50, 100), **options)
    assert cost.macs == (33 * 16 * 3 * 5) * (26 * 100)
    assert cost.elements_moved == 16 * 50 * 100 + 33 * 16 * 3 * 5 + 33 * 26 * 100


def test_vgg_16_costs_what_its_publishers_say() -> None:
    """138,357,544 parameters and 15.47 GMAC, of torchvision's model page."""
    total, size, channels = Cost(), 224, 3
    for out_channels, convolutions in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(convolutions):
            total += conv2d_cost(channels, out_channels, 3, size, padding=1, bias=True)
            channels = out_channels
        size //= 2  # a max pooling, which has no weights
    # A fully connected layer is a convolution as large as its image.
    for shape in [(512, 4096, 7), (4096, 4096, 1), (4096, 1000, 1)]:
        total += conv2d_cost(*shape, input_size=shape[-1], bias=True)
    assert total.params == 138_357_544
    assert round(total.macs / 1e9, 2) == 15.47


def test_a_bias_is_a_parameter_and_no_mac() -> None:
    without, with_bias = (
        conv2d_cost(3, 4, (3, 2), (8, 9), bias=bias) for bias in (False, True)
    )
    assert with_bias == without + Cost(params=4, macs=0, elements_moved=4)


@given(int_or_pair(1, 3), int_or_pair(5, 9), int_or_pair(1, 3), int_or_pair(0, 2))
def test_an_int_stands_for_a_pair(
    kernel_size: Any, size: Any, stride: Any, padding: Any
) -> None:
    with_ints = conv2d_cost(3, 4, kernel_size, size, stride=stride, padding=padding)
    options: Any = {"stride": both(stride), "padding": both(padding)}
    assert with_ints == conv2d_cost(3, 4, both(kernel_size), both(size), **options)


def test_positions_decide_the_macs_not_the_output() -> None:
    """A transposed convolution applies its weights at the positions of its input."""
    cost = layer_cost((3, 4, 2, 2), (5, 7), (3, 5, 7), (4, 10, 14), bias=True)
    moved = 3 * 5 * 7 + 52 + 4 * 10 * 14
    assert cost == Cost(params=48 + 4, macs=48 * 5 * 7, elements_moved=moved)


# Sums.

costs = st.builds(Cost, *[st.integers(0, 10**12)] * 3)


@given(costs, costs, costs)
def test_costs_add_up_in_any_order(a: Cost, b: Cost, c: Cost) -> None:
    total = a + b
    assert total.params == a.params + b.params
    assert total.macs == a.macs + b.macs
    assert total.elements_moved == a.elements_moved + b.elements_moved
    assert total == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Cost() == a
    assert sum([a, b, c], Cost()) == a + b + c


def test_a_plain_sum_of_costs_is_a_cost() -> None:
    layers: list[Any] = [Cost(1, 2, 3), Cost(4, 5, 6)]
    assert sum(layers) == Cost(5, 7, 9)


@pytest.mark.parametrize("other", [1, 2.0, "3", (1, 2, 3)], ids=repr)
def test_only_costs_add_to_costs(other: Any) -> None:
    with pytest.raises(TypeError, match="Cost"):
        Cost(1, 2, 3) + other


def test_a_cost_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="params"):
        Cost(1, 2, 3).params = 4  # type: ignore[misc]


# Errors.

GOOD: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 4,
    "kernel_size": (3, 2),
    "input_size": (8, 9),
}


@each(("name", "value", "error"), bad_integers(in_channels=1, out_channels=1))
def test_impossible_channels_are_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        conv2d_cost(**GOOD | {name: value})


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, input_size=1, stride=1, padding=0, dilation=1),
)
def test_an_impossible_argument_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        conv2d_cost(**GOOD | {name: value})


@pytest.mark.parametrize("bias", ["no", None, 2, torch.ones(4)], ids=str)
def test_bias_is_a_bool(bias: Any) -> None:
    with rejects(TypeError, f"bias={bias!r}: expected"):
        conv2d_cost(**GOOD, bias=bias)


def test_a_kernel_that_does_not_fit_is_told_the_sizes() -> None:
    with rejects(
        ValueError, "kernel_size=3 with dilation=5 spans 11 pixels", "input_size=8"
    ):
        conv2d_cost(**GOOD, dilation=(5, 1))


def test_options_are_given_by_keyword() -> None:
    with pytest.raises(TypeError, match="positional"):
        conv2d_cost(3, 4, 3, 64, 2)  # type: ignore[call-arg]
