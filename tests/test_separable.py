"""The spatially separable convolution: two passes are the definition, torch's, and one kernel's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import (
    DEVICES,
    DTYPES,
    LAYOUTS,
    Pair,
    assert_equal,
    assert_numerical_derivatives,
    assert_same_gradients,
    bad_integers,
    bad_pairs,
    both,
    each,
    int_or_pair,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost
from convnotes.matrices import as_matrix
from convnotes.separable import (
    separate,
    spatially_separable_conv2d,
    spatially_separable_conv2d_cost,
    spatially_separable_conv2d_loops,
)
from convnotes.standard import conv2d_cost

FORMS = [spatially_separable_conv2d_loops, spatially_separable_conv2d]


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Passes:
    """The arguments of one call of a spatially separable convolution."""

    input: Tensor
    column: Tensor
    row: Tensor
    bias: Tensor | None
    stride: Pair = 1
    padding: Pair = 0

    @property
    def tensors(self) -> list[Tensor]:
        given = (self.input, self.column, self.row, self.bias)
        return [tensor for tensor in given if tensor is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Passes":
        names = ("input", "column", "row", "bias")[: len(self.tensors)]
        changed = dict(zip(names, map(function, self.tensors), strict=True))
        return replace(self, **changed)  # type: ignore[arg-type]


def asymmetric() -> Passes:
    """Return passes in which no two axes are alike, so that a swap shows."""
    return Passes(
        input=whole_numbers((2, 5, 7, 6), seed=1),
        column=whole_numbers((4, 5, 3, 1), seed=2, largest=1),
        row=whole_numbers((8, 4, 1, 2), seed=3, largest=1),
        bias=whole_numbers((8,), seed=4),
        stride=(2, 1),
        padding=(1, 2),
    )


@st.composite
def passes(draw: st.DrawFn) -> Passes:
    """Any small layer of ``cases.layers`` with a column and a row in place of its weight."""
    layer = draw(layers())
    C_out, C_in, K_h, K_w = layer.weight.shape
    C_mid, seed = draw(st.integers(1, 3)), draw(st.integers(0, 2**16))
    column = whole_numbers((C_mid, C_in, K_h, 1), seed)
    row = whole_numbers((C_out, C_mid, 1, K_w), seed + 1)
    return Passes(layer.input, column, row, layer.bias, layer.stride, layer.padding)


def call(function: Callable[..., Any], p: Passes) -> Any:
    return function(p.input, p.column, p.row, p.bias, p.stride, p.padding)


def torch_twice(
    input: Tensor, column: Tensor, row: Tensor, bias: Any, stride: Pair, padding: Pair
) -> Tensor:
    """Compute the definition with torch's own convolution, called once for each axis."""
    (S_h, S_w), (P_h, P_w) = both(stride), both(padding)
    middle = F.conv2d(input, column, None, (S_h, 1), (P_h, 0))
    return F.conv2d(middle, row, bias, (1, S_w), (0, P_w))


def torch_once(
    input: Tensor, column: Tensor, row: Tensor, bias: Any, stride: Pair, padding: Pair
) -> Tensor:
    """Compute one convolution with the sums of columns times rows as its kernels."""
    weight = torch.einsum("mcu,omv->ocuv", column[..., 0], row[:, :, 0])
    return F.conv2d(input, weight, bias, stride, padding)


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand(function: Callable[..., Any]) -> None:
    input = tensor([[[[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2]]]])
    column, row = tensor([[[[1], [2]]]]), tensor([[[[1, 0, -3]]]])
    middle = [
        [1 * 1 + 2 * 0, 1 * 2 + 2 * 1, 1 * 3 + 2 * 2, 1 * 0 + 2 * 3],
        [1 * 0 + 2 * 3, 1 * 1 + 2 * 0, 1 * 2 + 2 * 1, 1 * 3 + 2 * 2],
    ]
    assert middle == [[1, 4, 7, 6], [6, 1, 4, 7]]
    by_hand = [[1 * 1 - 3 * 7, 1 * 4 - 3 * 6], [1 * 6 - 3 * 4, 1 * 1 - 3 * 7]]
    assert by_hand == [[-20, -14], [-6, -20]]
    assert_equal(function(input, column, row), tensor([[by_hand]]))


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_middle_channels_bias_stride_and_padding(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]])
    # Middle channel 0 adds the two rows of channel 0, channel 1 takes 10 of channel 1's lower.
    column = tensor([[[[1], [1]], [[0], [0]]], [[[0], [0]], [[0], [10]]]])
    row = tensor([[[[1, 2]], [[0, 1]]]])
    # A padding of 1 above and a step of 2: rows (zeros, 0), then (1, zeros).
    middle = [[[0 + 1, 0 + 2], [3 + 0, 4 + 0]], [[10 * 5, 10 * 6], [0, 0]]]
    # No padding to the sides: one place for the row in each of the two middle rows.
    by_hand = [
        [1 * middle[0][0][0] + 2 * middle[0][0][1] + 1 * middle[1][0][1] + 7],
        [1 * middle[0][1][0] + 2 * middle[0][1][1] + 1 * middle[1][1][1] + 7],
    ]
    assert by_hand == [[1 + 4 + 60 + 7], [3 + 8 + 0 + 7]] == [[72], [18]]
    output = function(input, column, row, tensor([7]), stride=(2, 1), padding=(1, 0))
    assert_equal(output, tensor([[by_hand]]))


@given(passes())
def test_the_loops_equal_torch_called_twice(p: Passes) -> None:
    assert_equal(call(spatially_separable_conv2d_loops, p), call(torch_twice, p))


@given(passes())
def test_the_loops_equal_one_convolution_with_the_product_kernels(p: Passes) -> None:
    assert_equal(call(spatially_separable_conv2d_loops, p), call(torch_once, p))


@given(passes())
def test_the_fast_form_equals_the_loops(p: Passes) -> None:
    fast = call(spatially_separable_conv2d, p)
    assert_equal(fast, call(spatially_separable_conv2d_loops, p))


@given(passes())
def test_the_fast_form_and_its_gradients_equal_torchs(p: Passes) -> None:
    p = p.map(torch.Tensor.requires_grad_)
    output, expected = call(spatially_separable_conv2d, p), call(torch_once, p)
    assert_same_gradients(output, expected, p.tensors)


def test_first_and_second_derivatives_are_the_numerical_ones() -> None:
    def function(input: Tensor, column: Tensor, row: Tensor, bias: Tensor) -> Tensor:
        return spatially_separable_conv2d(input, column, row, bias, (2, 1), (1, 2))

    assert_numerical_derivatives(
        function, (1, 2, 4, 3), (2, 2, 3, 1), (3, 2, 1, 2), (3,)
    )


# Identities.


def test_two_layers_of_torch_in_a_row_are_the_passes() -> None:
    p = asymmetric()
    layers = nn.Sequential(
        nn.Conv2d(5, 4, (3, 1), stride=(2, 1), padding=(1, 0), bias=False),
        nn.Conv2d(4, 8, (1, 2), stride=(1, 1), padding=(0, 2)),
    ).double()
    weights = dict(zip(layers.state_dict(), p.tensors[1:], strict=True))
    layers.load_state_dict(weights)
    assert_equal(call(spatially_separable_conv2d, p), layers(p.input))


def test_a_kernel_of_rank_one_in_two_passes() -> None:
    image = whole_numbers((2, 1, 6, 7), seed=1)
    sobel = tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    column, row = tensor([1, 2, 1]), tensor([1, 0, -1])
    assert_equal(torch.outer(column, row), sobel)
    output = spatially_separable_conv2d(
        image, column.reshape(1, 1, 3, 1), row.reshape(1, 1, 1, 3), padding=1
    )
    assert_equal(output, F.conv2d(image, sobel[None, None], padding=1))


def test_the_passes_transposed_are_the_passes_in_the_other_order() -> None:
    """A row pass, then a column pass, is the function on the transposed image."""
    image = whole_numbers((1, 3, 6, 7), seed=1)
    row, column = (
        whole_numbers((2, 3, 1, 4), seed=2),
        whole_numbers((5, 2, 3, 1), seed=3),
    )
    output = spatially_separable_conv2d(image.mT, row.mT, column.mT, stride=(1, 2)).mT
    assert_equal(output, F.conv2d(F.conv2d(image, row), column, stride=(2, 1)))


def test_the_matrix_is_a_product_and_of_a_single_channel_a_kronecker_product() -> None:
    column, row = tensor([1, -2, 3]), tensor([4, 5])
    q, r = column.reshape(1, 1, 3, 1), row.reshape(1, 1, 1, 2)
    one_pixel = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    passes = as_matrix(lambda x: spatially_separable_conv2d(x, q, r), (1, 5, 4))
    down = as_matrix(lambda x: spatially_separable_conv2d(x, q, one_pixel), (1, 5, 4))
    along = as_matrix(lambda x: spatially_separable_conv2d(x, one_pixel, r), (1, 3, 4))
    assert_equal(along @ down, passes)
    A = tensor([[1, -2, 3, 0, 0], [0, 1, -2, 3, 0], [0, 0, 1, -2, 3]])
    B = tensor([[4, 5, 0, 0], [0, 4, 5, 0], [0, 0, 4, 5]])
    assert_equal(torch.kron(A, B), passes)
    image = whole_numbers((1, 1, 5, 4), seed=1)
    assert_equal(spatially_separable_conv2d(image, q, r)[0, 0], A @ image[0, 0] @ B.mT)


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    p = replace(asymmetric(), stride=2, padding=1)
    pairs = replace(p, stride=(2, 2), padding=(1, 1))
    assert_equal(call(function, p), call(function, pairs))


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """A middle value is at most 15 products of 2, an output 8 of 30 and a bias of 2: 242."""
    p = asymmetric()
    output = call(spatially_separable_conv2d, p.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(torch_once, p).to(device, dtype))


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    p = asymmetric().map(LAYOUTS[layout])
    expected = call(torch_once, p.map(torch.Tensor.contiguous))
    assert_equal(call(function, p), expected)


def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero() -> None:
    p = asymmetric()
    p = replace(p, input=p.input[:0])
    assert call(spatially_separable_conv2d_loops, p).shape == (0, 8, 4, 9)
    p = p.map(torch.Tensor.requires_grad_)
    output = call(spatially_separable_conv2d, p)
    assert output.shape == (0, 8, 4, 9)
    gradients = torch.autograd.grad(output.sum(), p.tensors)
    for gradient, tensor in zip(gradients, p.tensors, strict=True):
        assert_equal(gradient, torch.zeros_like(tensor))


def test_on_the_meta_device_it_tells_the_shape_without_computing() -> None:
    with torch.device("meta"):
        input, column = torch.empty(20, 16, 50, 100), torch.empty(8, 16, 3, 1)
        row, bias = torch.empty(33, 8, 1, 5), torch.empty(33)
        output = spatially_separable_conv2d(input, column, row, bias, (2, 1), (4, 2))
    assert output.shape == (20, 33, 28, 100)
    assert output.is_meta


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    p = asymmetric()
    call(function, p)
    for tensor, untouched in zip(p.tensors, asymmetric().tensors, strict=True):
        assert_equal(tensor, untouched)


def test_the_loops_take_arrays_lists_and_tensors_and_give_float64() -> None:
    p = asymmetric()
    expected = call(torch_once, p).numpy()
    for convert in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.float):
        input, column, row, bias = map(convert, p.tensors)
        output = spatially_separable_conv2d_loops(
            input, column, row, bias, p.stride, p.padding
        )
        np.testing.assert_array_equal(output, expected, strict=True)


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 3, 5, 7),
    "column": torch.ones(2, 3, 3, 1, dtype=torch.float64),
    "row": torch.ones(4, 2, 1, 2, dtype=torch.float64),
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
        ("column", (3, 3, 1), "(C_mid, C_in, K_h, 1)"),
        ("column", (2, 1, 3, 1), "(C_mid, 3, K_h, 1) for input of shape (10"),
        ("column", (2, 3, 3, 2), "(C_mid, 3, K_h, 1)"),
        ("column", (2, 3, 1, 3), "(C_mid, 3, K_h, 1)"),
        ("row", (2, 1, 2), "(C_out, C_mid, 1, K_w)"),
        ("row", (4, 3, 1, 2), "(C_out, 2, 1, K_w) for column of shape (2, 3, 3, 1)"),
        ("row", (4, 2, 2, 1), "(C_out, 2, 1, K_w)"),
        ("row", (4, 2, 3, 3), "(C_out, 2, 1, K_w)"),
        ("bias", (3,), "(4,)"),
        ("bias", (1,), "(4,)"),
        ("bias", (), "(4,)"),
        ("bias", (1, 4), "(4,)"),
        *(("input", shape, "sizes of at least 1") for shape in [(2, 0, 5, 7)]),
        *(("input", shape, "sizes") for shape in [(2, 3, 0, 7), (2, 3, 5, 0)]),
        *(("column", shape, "sizes") for shape in [(0, 3, 3, 1), (2, 3, 0, 1)]),
        *(("row", shape, "sizes") for shape in [(0, 2, 1, 2), (4, 2, 1, 0)]),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**LARGE | {name: torch.ones(shape, dtype=torch.float64)})


@each(
    ("name", "shape", "said"),
    [  # The padded input is 5 + 2 by 7 + 4.
        (
            "column",
            (2, 3, 8, 1),
            ("column of shape (2, 3, 8, 1) spans 8×1", "padding=(1, 2)"),
        ),
        (
            "row",
            (4, 2, 1, 12),
            ("row of shape (4, 2, 1, 12) spans 1×12", "padding=(1, 2)"),
        ),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_pass_that_does_not_fit_is_told_the_sizes(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], said: Any
) -> None:
    large = LARGE | {name: torch.ones(shape, dtype=torch.float64)}
    with rejects(ValueError, *said):
        function(**large, padding=(1, 2))


@each(
    ("name", "value", "said"),
    [
        ("input", None, "input=None: expected a tensor"),
        ("column", None, "column=None: expected a tensor"),
        ("row", None, "row=None: expected a tensor"),
        ("input", [[[[1.0]]]], "input is a list: expected a torch.Tensor"),
        ("column", np.ones((2, 3, 3, 1)), "column is a ndarray: expected"),
        ("row", np.ones((4, 2, 1, 2)), "row is a ndarray: expected"),
        ("bias", True, "bias is a bool: expected a torch.Tensor"),
        ("input", LARGE["input"][:1].int(), "input is torch.int32: expected"),
        ("column", LARGE["column"].float(), "column is torch.float32 on cpu"),
        ("row", LARGE["row"].to("meta"), "row is torch.float64 on meta"),
        ("bias", LARGE["bias"].bfloat16(), "bias is torch.bfloat16 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, said):
        spatially_separable_conv2d(**LARGE | {name: value})


@pytest.mark.parametrize("value", [None, "image", [[[["1"]]]], [[[[1j]]]]], ids=repr)
@pytest.mark.parametrize("name", ["input", "column", "row"])
def test_the_loops_name_what_is_no_array_of_numbers(name: str, value: Any) -> None:
    one = [[[[1.0]]]]
    with rejects(TypeError, name, "expected"):
        spatially_separable_conv2d_loops(
            **{"input": one, "column": one, "row": one, name: value}
        )


# What it costs.


def counted(p: Passes) -> Cost:
    """Return the cost by the formula, of the layer and image that ``p`` is a call of."""
    (C_mid, C_in, K_h, _), (C_out, _, _, K_w) = p.column.shape, p.row.shape
    height, width = p.input.shape[2:]
    return spatially_separable_conv2d_cost(
        C_in,
        C_out,
        (K_h, K_w),
        (height, width),
        stride=p.stride,
        padding=p.padding,
        bias=p.bias is not None,
        mid_channels=C_mid,
    )


@given(passes())
def test_macs_are_the_multiplications_of_two_plain_loop_nests(p: Passes) -> None:
    (C_mid, C_in, K_h, _), (C_out, _, _, K_w) = p.column.shape, p.row.shape
    height, width = p.input.shape[2:]
    (S_h, S_w), (P_h, P_w) = both(p.stride), both(p.padding)
    tops = range(-P_h, height + P_h - K_h + 1, S_h)
    lefts = range(-P_w, width + P_w - K_w + 1, S_w)
    columns = product(tops, *map(range, (width, C_mid, C_in, K_h)))
    rows = product(tops, lefts, *map(range, (C_out, C_mid, K_w)))
    assert counted(p).macs == len(list(columns)) + len(list(rows))


@given(passes())
def test_cost_is_what_torch_counts(p: Passes) -> None:
    p = replace(p, input=p.input[:1])
    with FlopCounterMode(display=False) as counter:
        output = call(spatially_separable_conv2d, p)
    assert counter.get_total_flops() == 2 * counted(p).macs
    with FlopCounterMode(display=False) as counter:
        call(torch_twice, p)
    assert counter.get_total_flops() == 2 * counted(p).macs
    params = sum(tensor.numel() for tensor in p.tensors[1:])
    middle = p.column.shape[0] * output.shape[2] * p.input.shape[3]
    moved = p.input.numel() + middle + params + middle + output.numel()
    assert counted(p) == Cost(params, counted(p).macs, moved)


def test_worked_example_of_a_5_by_5_map() -> None:
    """S4: 81 multiplications with the 3×3 kernel, 45 and 27 in two passes."""
    assert conv2d_cost(1, 1, kernel_size=3, input_size=5).macs == 3 * 3 * 9 == 81
    passes = spatially_separable_conv2d_cost(1, 1, kernel_size=3, input_size=5)
    assert passes.macs == 3 * (3 * 5) + 3 * (3 * 3) == 45 + 27
    assert passes.params == 3 + 3
    assert passes.elements_moved == (25 + 3 + 15) + (15 + 3 + 9)


@given(st.integers(3, 20), st.integers(3, 20), st.sampled_from([1, 3, 5]))
def test_on_an_image_of_the_same_size_it_takes_2mnk(M: int, N: int, k: int) -> None:
    """S4: MNk² multiplications against 2MNk, if the output is as large as the image."""
    options: Any = {"input_size": (M, N), "padding": k // 2}
    assert conv2d_cost(1, 1, k, **options).macs == M * N * k * k
    assert spatially_separable_conv2d_cost(1, 1, k, **options).macs == 2 * M * N * k


def test_with_equal_channels_it_saves_a_third_of_a_3_by_3_layer() -> None:
    """As Szegedy et al. 2016, section 3.2, say: 33 %."""
    full = conv2d_cost(64, 64, 3, input_size=17, padding=1)
    passes = spatially_separable_conv2d_cost(64, 64, 3, input_size=17, padding=1)
    assert 3 * passes.macs == 2 * full.macs
    assert 3 * passes.params == 2 * full.params


def test_the_middle_has_as_many_channels_as_the_output_unless_told() -> None:
    default = spatially_separable_conv2d_cost(3, 8, (3, 5), (9, 10))
    assert default.params == 8 * 3 * 3 + 8 * 8 * 5
    assert default == spatially_separable_conv2d_cost(
        3, 8, (3, 5), (9, 10), mid_channels=8
    )
    other = spatially_separable_conv2d_cost(3, 8, (3, 5), (9, 10), mid_channels=2)
    assert other.params == 2 * 3 * 3 + 8 * 2 * 5


@given(int_or_pair(1, 3), int_or_pair(5, 9), int_or_pair(1, 3), int_or_pair(0, 2))
def test_a_cost_takes_an_int_for_a_pair(
    kernel_size: Any, size: Any, stride: Any, padding: Any
) -> None:
    ints = spatially_separable_conv2d_cost(
        3, 4, kernel_size, size, stride=stride, padding=padding
    )
    options: Any = {"stride": both(stride), "padding": both(padding)}
    assert ints == spatially_separable_conv2d_cost(
        3, 4, both(kernel_size), both(size), **options
    )


@each(
    ("name", "value", "error"),
    [
        *bad_integers(in_channels=1, out_channels=1),
        *(bad for bad in bad_integers(mid_channels=1) if bad[1] is not None),
        *bad_pairs(kernel_size=1, input_size=1, stride=1, padding=0),
        ("bias", 1, TypeError),
    ],
)
def test_a_cost_names_an_impossible_argument(
    name: str, value: Any, error: type[Exception]
) -> None:
    fine = {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "input_size": 9}
    with rejects(error, f"{name}={value!r}: expected"):
        spatially_separable_conv2d_cost(**fine | {name: value})


@pytest.mark.parametrize("kernel_size", [(8, 1), (1, 8)])
def test_a_cost_names_a_kernel_that_does_not_fit(kernel_size: tuple[int, int]) -> None:
    with rejects(ValueError, "kernel_size=8", "expected at most 7"):
        spatially_separable_conv2d_cost(3, 4, kernel_size, (5, 5), padding=1)


# Separating a kernel.


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def random_kernel(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(height, width, generator=generator, dtype=torch.float64)


def test_separate_worked_by_hand() -> None:
    """A diagonal kernel shows its singular values: 9 is shared as 3 and 3, 4 as 2 and 2."""
    kernel = tensor([[0, -4, 0], [9, 0, 0]])
    columns, rows = separate(kernel, rank=2)
    close(columns, tensor([[0, 3], [2, 0]]))
    close(rows, tensor([[3, 0, 0], [0, -2, 0]]))
    columns, rows = separate(kernel)
    close(columns.T @ rows, tensor([[0, 0, 0], [9, 0, 0]]))


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ([1, 1, 1], [1, 1, 1, 1]),  # box
        ([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]),  # binomial, near a Gaussian
        ([1, 2, 1], [1, 0, -1]),  # Sobel, vertical edges
        ([1, 0, -1], [1, 2, 1]),  # Sobel, horizontal edges
    ],
)
def test_a_kernel_of_rank_one_is_separated_without_error(column: Any, row: Any) -> None:
    column, row = tensor(column), tensor(row)
    columns, rows = separate(torch.outer(column, row))
    close(columns.T @ rows, torch.outer(column, row))
    close(columns[0] / columns[0].norm(), column / column.norm())
    close(rows[0] / rows[0].norm(), row / row.norm())


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99), st.data())
def test_the_error_is_that_of_the_singular_values_left_out(
    height: int, width: int, seed: int, data: st.DataObject
) -> None:
    kernel = random_kernel(height, width, seed)
    rank = data.draw(st.integers(1, min(height, width)))
    columns, rows = separate(kernel, rank)
    assert (columns.shape, rows.shape) == ((rank, height), (rank, width))
    left_out = torch.linalg.svdvals(kernel)[rank:]
    close((kernel - columns.T @ rows).square().sum(), left_out.square().sum())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_change_of_the_pairs_comes_nearer(rank: int) -> None:
    kernel = random_kernel(4, 5)
    columns, rows = separate(kernel, rank)
    best = (kernel - columns.T @ rows).norm()
    for seed, size in product(range(20), [1e-3, 1e-1, 1.0]):
        other = (columns + size * random_kernel(rank, 4, seed)).T
        other = other @ (rows + size * random_kernel(rank, 5, seed + 99))
        assert (kernel - other).norm() > best


def test_pairs_are_orthogonal_strongest_first_and_evenly_scaled() -> None:
    kernel = random_kernel(5, 4)
    columns, rows = separate(kernel, rank=4)
    strengths = torch.linalg.svdvals(kernel)
    close(columns @ columns.T, strengths.diag())
    close(rows @ rows.T, strengths.diag())
    first, _ = separate(kernel, rank=2)
    close(first, columns[:2])


def test_the_largest_entry_of_a_column_is_positive() -> None:
    for seed in range(20):
        for kernel in (random_kernel(5, 4, seed), -random_kernel(5, 4, seed)):
            columns, _ = separate(kernel, rank=4)
            largest = columns.abs().argmax(dim=1, keepdim=True)
            assert (columns.gather(1, largest) > 0).all()


@pytest.mark.parametrize("column", [[1, 0, -1], [1, -2, 2], [3, -3, 3]])
def test_of_equally_large_entries_the_first_is_positive_whatever_the_rounding(
    column: Any,
) -> None:
    for seed, sign in product(range(20), [1, -1]):
        row, jitter = random_kernel(1, 4, seed)[0], random_kernel(3, 4, seed)
        kernel = sign * torch.outer(tensor(column), row) + 1e-12 * jitter
        columns, _ = separate(kernel)
        first = int(tensor(column).abs().argmax())
        assert columns[0, first] > 0


def test_a_rank_the_kernel_does_not_have_gives_pairs_of_plain_zeros() -> None:
    kernel = torch.outer(torch.linspace(0.1, 1, 5), torch.linspace(-1, 0.3, 4))
    for separated in separate(kernel, rank=4):
        assert separated[1:].count_nonzero() == 0
        assert not separated[1:].signbit().any()
    for separated in separate(torch.zeros(3, 4), rank=3):
        assert_equal(separated, torch.zeros_like(separated))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_separate_keeps_dtype_and_device(device: str, dtype: torch.dtype) -> None:
    kernel = tensor([[2, 4, 2], [4, 8, 4]]).to(device, dtype).requires_grad_()
    columns, rows = separate(kernel)
    for separated in (columns, rows):
        assert (separated.dtype, separated.device) == (dtype, kernel.device)
        assert not separated.requires_grad
    torch.testing.assert_close(columns.T @ rows, kernel.detach())


def test_separate_leaves_the_kernel_as_it_was_in_any_layout() -> None:
    kernel = random_kernel(5, 4)
    for layout in (kernel.T.contiguous().T, torch.stack([kernel] * 2, -1)[..., 0]):
        columns, rows = separate(layout, rank=2)
        expected = separate(kernel, rank=2)
        close(columns, expected[0])
        close(rows, expected[1])
        assert_equal(layout, random_kernel(5, 4))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_rank_is_the_number_of_middle_channels(rank: int) -> None:
    kernel = random_kernel(4, 3)
    columns, rows = separate(kernel, rank)
    image = random_kernel(7, 8, seed=1)[None, None]
    output = spatially_separable_conv2d(
        image, columns[:, None, :, None], rows[None, :, None, :], padding=(1, 2)
    )
    nearest = (columns.T @ rows)[None, None]
    close(output, F.conv2d(image, nearest, padding=(1, 2)))
    if rank == 3:
        close(output, F.conv2d(image, kernel[None, None], padding=(1, 2)))


def test_a_layer_is_separated_as_one_matrix() -> None:
    """The kernels of a separable layer, (C_in K_h) by (C_out K_w), have rank C_mid or less."""
    C_mid, C_in, C_out, K_h, K_w = 2, 3, 4, 5, 3
    column, row = random_kernel(C_mid, C_in * K_h), random_kernel(C_mid, C_out * K_w, 1)
    assert torch.linalg.matrix_rank(column.T @ row) == C_mid
    columns, rows = separate(column.T @ row, rank=C_mid)
    image = random_kernel(C_in * 8, 9).reshape(1, C_in, 8, 9)

    def layer(column: Tensor, row: Tensor) -> Tensor:
        column = column.reshape(C_mid, C_in, K_h, 1)
        row = row.reshape(C_mid, C_out, 1, K_w).transpose(0, 1)
        return spatially_separable_conv2d(image, column, row)

    close(layer(columns, rows), layer(column, row))


@pytest.mark.parametrize(
    ("kernel", "rank", "error", "said"),
    [
        (torch.ones(3), 1, ValueError, "kernel of shape (3,): expected (K_h, K_w)"),
        (torch.ones(1, 1, 3, 3), 1, ValueError, "kernel of shape (1, 1, 3, 3)"),
        (torch.ones(0, 3), 1, ValueError, "kernel of shape (0, 3): expected sizes"),
        (torch.full((2, 2), torch.inf), 1, ValueError, "kernel of shape (2, 2)"),
        (torch.tensor([[1.0, torch.nan]]), 1, ValueError, "expected finite numbers"),
        (torch.ones(3, 4).int(), 1, TypeError, "kernel is torch.int32: expected"),
        (np.ones((3, 4)), 1, TypeError, "kernel is a ndarray: expected"),
        (None, 1, TypeError, "kernel=None: expected"),
        (torch.ones(3, 4), 4, ValueError, "rank=4: expected at most 3, the smaller"),
        (torch.ones(5, 2), 3, ValueError, "rank=3: expected at most 2"),
        *(
            (torch.ones(3, 4), value, error, f"rank={value!r}: expected an integer")
            for _, value, error in bad_integers(rank=1)
        ),
    ],
)
def test_separate_names_what_it_cannot_separate(
    kernel: Any, rank: Any, error: type[Exception], said: str
) -> None:
    with rejects(error, said):
        separate(kernel, rank)
