"""The standard convolution: the definition is torch's, and the fast form is the definition."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
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
    assert_rounding_within_bound,
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

from convnotes.standard import conv2d, conv2d_loops

FORMS = [conv2d_loops, conv2d]


def call(function: Callable[..., Any], layer: Layer) -> Any:
    return function(layer.input, layer.weight, layer.bias, layer.stride, layer.padding)


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_nothing_is_flipped(function: Callable[..., Any]) -> None:
    input = tensor([[[[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2]]]])
    weight = tensor([[[[1, 0, -1], [2, 1, 0]]]])
    by_hand = [
        [1 * 1 - 1 * 3 + 2 * 0 + 1 * 1, 1 * 2 - 1 * 0 + 2 * 1 + 1 * 2],
        [1 * 0 - 1 * 2 + 2 * 3 + 1 * 0, 1 * 1 - 1 * 3 + 2 * 0 + 1 * 1],
    ]
    assert by_hand == [[-1, 6], [4, -1]]
    assert_equal(function(input, weight), tensor([[by_hand]]))


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_two_channels_bias_stride_and_padding(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3]], [[4, 5, 6]]]])  # two channels of one row
    weight = tensor([[[[10, 1]], [[100, 0]]]])
    # Padded: 0 1 2 3 0 and 0 4 5 6 0. A step of 2 puts the kernel over (0, 1), then (2, 3).
    by_hand = [(10 * 0 + 1 * 1) + 100 * 0 + 7, (10 * 2 + 1 * 3) + 100 * 5 + 7]
    assert by_hand == [8, 530]
    output = function(input, weight, bias=tensor([7]), stride=(1, 2), padding=(0, 1))
    assert_equal(output, tensor([[[by_hand]]]))


@given(layers())
def test_the_loops_equal_torch(layer: Layer) -> None:
    assert_equal(call(conv2d_loops, layer), call(F.conv2d, layer))


@given(layers())
def test_the_fast_form_equals_the_loops(layer: Layer) -> None:
    assert_equal(call(conv2d, layer), call(conv2d_loops, layer))


@given(layers())
def test_the_fast_form_and_its_gradients_equal_torchs(layer: Layer) -> None:
    layer = layer.map(torch.Tensor.requires_grad_)
    output, expected = call(conv2d, layer), call(F.conv2d, layer)
    assert_same_gradients(output, expected, layer.tensors)


@pytest.mark.parametrize(
    ("stride", "padding"), [(1, 0), ((2, 1), (1, 2)), ((1, 3), (2, 0))]
)
def test_first_and_second_derivatives_are_the_numerical_ones(
    stride: Pair, padding: Pair
) -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv2d(input, weight, bias, stride, padding)

    assert_numerical_derivatives(function, (1, 2, 4, 3), (2, 2, 3, 2), (2,))


# Identities.


def test_it_is_linear_in_the_input_and_in_the_weight() -> None:
    x, y = whole_numbers((2, 3, 7, 5), seed=1), whole_numbers((2, 3, 7, 5), seed=2)
    v, w = whole_numbers((4, 3, 3, 2), seed=3), whole_numbers((4, 3, 3, 2), seed=4)
    assert_equal(conv2d(2 * x - 3 * y, w), 2 * conv2d(x, w) - 3 * conv2d(y, w))
    assert_equal(conv2d(x, 2 * v - 3 * w), 2 * conv2d(x, v) - 3 * conv2d(x, w))


def test_a_shifted_input_has_a_shifted_output() -> None:
    layer = asymmetric()
    output = conv2d(layer.input, layer.weight, layer.bias, stride=(2, 1))
    shifted = conv2d(layer.input[:, :, 2:, 3:], layer.weight, layer.bias, stride=(2, 1))
    # A shift by 2 rows is one step of 2, a shift by 3 columns three steps of 1.
    assert_equal(shifted, output[:, :, 1:, 3:])


def test_its_adjoint_is_its_gradient() -> None:
    """<conv x, y> = <x, adjoint y>, and torch computes the adjoint as a transposed convolution."""
    layer = asymmetric()
    output = conv2d(layer.input, layer.weight, None, layer.stride, layer.padding)
    y = whole_numbers(output.shape, seed=5)
    adjoint = F.conv_transpose2d(y, layer.weight, None, (2, 1), (1, 2))
    assert adjoint.shape == layer.input.shape
    assert_equal((output * y).sum(), (layer.input * adjoint).sum())


def test_a_single_one_off_the_middle_of_the_kernel_moves_the_image() -> None:
    image = whole_numbers((1, 1, 4, 5), seed=1)
    kernel = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    kernel[0, 0, 2, 0] = 1  # reads from one row below, one column to the left
    moved = conv2d(image, kernel, padding=1)
    assert_equal(moved[:, :, :-1, 1:], image[:, :, 1:, :-1])
    assert moved[:, :, -1].count_nonzero() == moved[..., 0].count_nonzero() == 0


def test_in_signal_processing_it_is_called_correlation() -> None:
    signal, kernel = np.array([3, 1, 4, 1, 5, 9, 2, 6]), np.array([2, 7, 1, 8])
    output = conv2d_loops([[[signal]]], [[[kernel]]]).flatten()
    assert output.tolist() == np.correlate(signal, kernel).tolist()
    assert output.tolist() == np.convolve(signal, kernel[::-1], "valid").tolist()


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    with_ints = function(layer.input, layer.weight, None, 2, 1)
    assert_equal(with_ints, function(layer.input, layer.weight, None, (2, 2), (1, 1)))


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """A sum is at most 30 products of 4 and a bias of 2: 122, and bfloat16 counts to 256."""
    layer = asymmetric()
    output = call(conv2d, layer.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(F.conv2d, layer).to(device, dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_stays_within_its_bound(dtype: torch.dtype) -> None:
    """29 additions to the other terms, and one to the bias."""
    ours, exact = partial(call, conv2d), partial(call, F.conv2d)
    assert_rounding_within_bound(ours, exact, asymmetric(), dtype, additions=29 + 1)


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    layer = asymmetric().map(LAYOUTS[layout])
    expected = call(F.conv2d, layer.map(torch.Tensor.contiguous))
    assert_equal(call(function, layer), expected)


def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero() -> None:
    layer = asymmetric()
    layer = replace(layer, input=layer.input[:0])
    assert_equal(call(conv2d_loops, layer), call(F.conv2d, layer))
    layer = layer.map(torch.Tensor.requires_grad_)
    output = call(conv2d, layer)
    assert_equal(output, call(F.conv2d, layer))
    gradients = torch.autograd.grad(output.sum(), layer.tensors)
    for gradient, tensor in zip(gradients, layer.tensors, strict=True):
        assert_equal(gradient, torch.zeros_like(tensor))


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "expected"),
    [  # The first two examples in torch.nn.Conv2d's documentation.
        ((3, 3), 2, 0, (20, 33, 24, 49)),
        ((3, 5), (2, 1), (4, 2), (20, 33, 28, 100)),
    ],
)
def test_on_the_meta_device_it_tells_published_shapes_without_computing(
    kernel_size: tuple[int, int], stride: Pair, padding: Pair, expected: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        input, weight = torch.empty(20, 16, 50, 100), torch.empty(33, 16, *kernel_size)
        output = conv2d(input, weight, torch.empty(33), stride, padding)
    assert output.shape == expected
    assert output.is_meta


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    call(function, layer)
    for tensor, untouched in zip(layer.tensors, asymmetric().tensors, strict=True):
        assert_equal(tensor, untouched)


def test_the_loops_take_arrays_lists_and_tensors_and_give_float64() -> None:
    layer = asymmetric()
    expected = call(F.conv2d, layer).numpy()
    for convert in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.float):
        input, weight = convert(layer.input), convert(layer.weight)
        output = conv2d_loops(input, weight, layer.bias, layer.stride, layer.padding)
        np.testing.assert_array_equal(output, expected, strict=True)


@pytest.mark.parametrize(
    ("dtype", "number"), [(np.int8, 100), (np.float16, 300), (np.float32, 4097)]
)
def test_the_loops_compute_in_float64_whatever_they_are_given(
    dtype: type, number: int
) -> None:
    array: Any = np.full((1, 1, 1, 1), number, dtype)
    assert conv2d_loops(array, array).item() == number**2  # too large for the dtype


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 3, 5, 7),
    "weight": torch.ones(4, 3, 3, 2, dtype=torch.float64),
    "bias": torch.ones(4, dtype=torch.float64),
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        function(**LARGE, **{name: value})


@each(
    ("name", "shape", "expected"),
    [
        ("input", (3, 5, 7), "(N, C_in, H, W)"),
        ("input", (1, 2, 3, 5, 7), "(N, C_in, H, W)"),
        ("weight", (3, 3, 2), "(C_out, C_in, K_h, K_w)"),
        ("weight", (4, 2, 3, 2), "(C_out, 3, K_h, K_w)"),
        ("weight", (4, 1, 3, 2), "(C_out, 3, K_h, K_w)"),
        ("bias", (3,), "(4,)"),
        ("bias", (1,), "(4,)"),
        ("bias", (), "(4,)"),
        ("bias", (1, 4), "(4,)"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**LARGE | {name: torch.ones(shape, dtype=torch.float64)})


@pytest.mark.parametrize(
    ("kernel_size", "said"),
    [  # The padded input is 5 + 2 by 7 + 4.
        ((8, 1), ("weight of shape (4, 3, 8, 1) spans 8×1 pixels", "at most 7×11")),
        ((1, 12), ("weight of shape (4, 3, 1, 12) spans 1×12 pixels", "at most 7×11")),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any], kernel_size: tuple[int, int], said: tuple[str, ...]
) -> None:
    weight = torch.ones(4, 3, *kernel_size, dtype=torch.float64)
    with rejects(ValueError, *said):
        function(**LARGE | {"weight": weight}, padding=(1, 2))


@each(
    ("name", "shapes"),
    [
        ("input", ((2, 0, 5, 7), (4, 0, 3, 2))),
        ("input", ((2, 3, 0, 7), (4, 3, 3, 2))),
        ("input", ((2, 3, 5, 0), (4, 3, 3, 2))),
        ("weight", ((2, 3, 5, 7), (0, 3, 3, 2))),
        ("weight", ((2, 3, 5, 7), (4, 3, 0, 2))),
        ("weight", ((2, 3, 5, 7), (4, 3, 3, 0))),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_size_of_0_is_named_except_the_batchs(
    function: Callable[..., Any],
    name: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    input, weight = map(torch.ones, shapes)
    with rejects(ValueError, f"{name} of shape", "expected"):
        function(input, weight, padding=3)


@each(
    ("name", "value", "said"),
    [
        ("input", None, "input=None: expected a tensor"),
        ("weight", None, "weight=None: expected a tensor"),
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("weight", np.ones((4, 3, 3, 2)), "a ndarray: expected a torch.Tensor"),
        ("bias", [1.0, 2.0, 3.0, 4.0], "a list: expected a torch.Tensor"),
        ("bias", True, "a bool: expected a torch.Tensor"),
        ("input", LARGE["input"][:1].int(), "torch.int32: expected a floating-point"),
        (
            "weight",
            LARGE["weight"].float(),
            "torch.float32 on cpu: expected torch.float64",
        ),
        (
            "bias",
            LARGE["bias"].bfloat16(),
            "torch.bfloat16 on cpu: expected torch.float64",
        ),
        (
            "weight",
            LARGE["weight"].to("meta"),
            "on meta: expected torch.float64 on cpu",
        ),
        ("bias", LARGE["bias"].to("meta"), "on meta: expected torch.float64 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        conv2d(**LARGE | {name: value})


@pytest.mark.parametrize("value", [None, "image", [[[["1"]]]], [[[[1j]]]]], ids=repr)
@pytest.mark.parametrize("name", ["input", "weight"])
def test_the_loops_name_what_is_no_array_of_numbers(name: str, value: Any) -> None:
    with rejects(TypeError, name, "expected"):
        conv2d_loops(**{"input": [[[[1.0]]]], "weight": [[[[1.0]]]], name: value})
