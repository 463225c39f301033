"""The dilated convolution: the definition is torch's, and gaps are zeros in the kernel."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import (
    DEVICES,
    DTYPES,
    LAYOUTS,
    Layer,
    Pair,
    assert_equal,
    assert_numerical_derivatives,
    assert_same_gradients,
    asymmetric,
    bad_pairs,
    each,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from torch import Tensor

from convnotes.dilated import dilated_conv2d, dilated_conv2d_loops
from convnotes.standard import conv2d, conv2d_cost

FORMS = [dilated_conv2d_loops, dilated_conv2d]


def call(function: Callable[..., Any], layer: Layer) -> Any:
    options = layer.stride, layer.padding, layer.dilation
    return function(layer.input, layer.weight, layer.bias, *options)


def with_gaps(weight: Tensor, dilation: tuple[int, int]) -> Tensor:
    """Return the kernel with ``dilation - 1`` zeros between its neighbours."""
    C_out, C_in, K_h, K_w = weight.shape
    D_h, D_w = dilation
    spread = weight.new_zeros(C_out, C_in, D_h * (K_h - 1) + 1, D_w * (K_w - 1) + 1)
    spread[:, :, ::D_h, ::D_w] = weight
    return spread


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand(function: Callable[..., Any]) -> None:
    input = whole_numbers((1, 1, 4, 5)) * 0
    input[0, 0] = torch.arange(1, 21).reshape(4, 5)
    weight = torch.tensor([[[[1, 10], [100, 1000]]]], dtype=torch.float64)
    # Rows 2 apart, columns 3 apart: under the kernel stand 1 4 / 11 14, then one further.
    by_hand = [
        [1 + 10 * 4 + 100 * 11 + 1000 * 14, 2 + 10 * 5 + 100 * 12 + 1000 * 15],
        [6 + 10 * 9 + 100 * 16 + 1000 * 19, 7 + 10 * 10 + 100 * 17 + 1000 * 20],
    ]
    assert by_hand == [[15141, 16252], [20696, 21807]]
    output = function(input, weight, dilation=(2, 3))
    assert_equal(output, torch.tensor([[by_hand]], dtype=torch.float64))


@given(layers(dilated=True))
def test_the_loops_equal_torch(layer: Layer) -> None:
    assert_equal(call(dilated_conv2d_loops, layer), call(F.conv2d, layer))


@given(layers(dilated=True))
def test_the_fast_form_equals_the_loops(layer: Layer) -> None:
    assert_equal(call(dilated_conv2d, layer), call(dilated_conv2d_loops, layer))


@given(layers(dilated=True))
def test_the_gradients_equal_torchs(layer: Layer) -> None:
    layer = layer.map(torch.Tensor.requires_grad_)
    output, expected = call(dilated_conv2d, layer), call(F.conv2d, layer)
    assert_same_gradients(output, expected, layer.tensors)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 0, (2, 1)), ((2, 1), (1, 2), (1, 3))]
)
def test_first_and_second_derivatives_are_the_numerical_ones(
    stride: Pair, padding: Pair, dilation: Pair
) -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return dilated_conv2d(input, weight, bias, stride, padding, dilation)

    assert_numerical_derivatives(function, (1, 2, 5, 3), (2, 2, 3, 2), (2,))


# Identities.


@pytest.mark.parametrize("dilation", [(2, 1), (1, 3), (3, 2)])
def test_it_is_the_standard_one_with_zeros_in_the_kernel(
    dilation: tuple[int, int],
) -> None:
    layer = replace(asymmetric(dilation), input=whole_numbers((2, 5, 9, 8)))
    stuffed = with_gaps(layer.weight, dilation)
    expected = conv2d(layer.input, stuffed, layer.bias, layer.stride, layer.padding)
    assert_equal(call(dilated_conv2d, layer), expected)


def test_a_dilation_of_1_is_the_standard_convolution() -> None:
    layer = asymmetric()
    expected = conv2d(
        layer.input, layer.weight, layer.bias, layer.stride, layer.padding
    )
    assert_equal(call(dilated_conv2d, layer), expected)


def test_it_is_the_standard_one_on_every_second_row_and_third_column() -> None:
    layer = replace(asymmetric((2, 3)), stride=1, padding=0)
    layer = replace(layer, input=whole_numbers((2, 5, 10, 12)))
    output = call(dilated_conv2d, layer)
    for row in range(2):
        for column in range(3):
            phase = layer.input[:, :, row::2, column::3]
            expected = conv2d(phase, layer.weight, layer.bias)
            assert_equal(output[:, :, row::2, column::3], expected)


# Dtypes, devices, layouts, shapes.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype(
    device: str, dtype: torch.dtype
) -> None:
    layer = asymmetric((1, 3))
    output = call(dilated_conv2d, layer.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(F.conv2d, layer).to(device, dtype))


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    layer = asymmetric((2, 3)).map(LAYOUTS[layout])
    expected = call(F.conv2d, layer.map(torch.Tensor.contiguous))
    assert_equal(call(function, layer), expected)


@pytest.mark.parametrize("function", FORMS)
def test_a_batch_of_no_images_gives_no_outputs(function: Callable[..., Any]) -> None:
    layer = asymmetric((2, 3))
    layer = replace(layer, input=layer.input[:0])
    assert_equal(call(function, layer), call(F.conv2d, layer))


def test_the_published_shape() -> None:
    """The third example in torch.nn.Conv2d's documentation."""
    with torch.device("meta"):
        input, weight = torch.empty(20, 16, 50, 100), torch.empty(33, 16, 3, 5)
        output = dilated_conv2d(input, weight, None, (2, 1), (4, 2), (3, 1))
    assert output.shape == (20, 33, 26, 100)


def test_for_an_output_value_it_costs_what_the_standard_one_costs() -> None:
    options: dict[str, Any] = {"kernel_size": (3, 2), "input_size": (9, 8)}
    dense = conv2d_cost(5, 4, **options)
    spread = conv2d_cost(5, 4, **options, dilation=(3, 2))
    assert spread.params == dense.params == 4 * 5 * 3 * 2
    assert dense.macs == dense.params * (9 - 3 + 1) * (8 - 2 + 1)
    assert spread.macs == spread.params * (9 - 7 + 1) * (8 - 3 + 1)


# Errors.

FITTING: dict[str, Any] = {
    "input": torch.ones(2, 3, 5, 7),
    "weight": torch.ones(4, 3, 3, 2),
    "bias": torch.ones(4),
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0, dilation=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        function(**FITTING, **{name: value})


@pytest.mark.parametrize("function", FORMS)
def test_a_spread_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any],
) -> None:
    said = ("weight of shape", "with dilation=(4, 1) spans 9×", "at most 7×", "(1, 0)")
    with rejects(ValueError, *said):
        function(**FITTING, padding=(1, 0), dilation=(4, 1))


@each(
    ("name", "shape", "expected"),
    [
        ("input", (3, 5, 7), "(N, C_in, H, W)"),
        ("weight", (4, 2, 3, 2), "(C_out, 3, K_h, K_w)"),
        ("bias", (3,), "(4,)"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**FITTING | {name: torch.ones(shape)})
