"""The pointwise convolution: the definition is torch's, and the fast form is the definition."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
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
    assert_rounding_within_bound,
    assert_same_gradients,
    bad_integers,
    bad_pairs,
    both,
    each,
    int_or_pair,
    rejects,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost
from convnotes.matrices import as_matrix
from convnotes.pointwise import (
    PointwiseConv2d,
    pointwise_conv2d,
    pointwise_conv2d_cost,
    pointwise_conv2d_loops,
)
from convnotes.windows import contract, windows

FORMS = [pointwise_conv2d_loops, pointwise_conv2d]


@dataclass(frozen=True)
class Layer:
    """The arguments of one call."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Pair = 1

    @property
    def tensors(self) -> list[Tensor]:
        given = (self.input, self.weight, self.bias)
        return [tensor for tensor in given if tensor is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Layer":
        input, weight, *bias = map(function, self.tensors)
        return replace(self, input=input, weight=weight, bias=bias[0] if bias else None)


def call(function: Callable[..., Any], layer: Layer) -> Any:
    return function(layer.input, layer.weight, layer.bias, layer.stride)


def asymmetric() -> Layer:
    """Return a layer in which no two axes are alike, so that a swap shows."""
    return Layer(
        input=whole_numbers((2, 5, 7, 6), seed=1),
        weight=whole_numbers((4, 5, 1, 1), seed=2),
        bias=whole_numbers((4,), seed=3),
        stride=(2, 1),
    )


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    width += height == width
    N, C_in, C_out = (draw(st.integers(1, largest)) for largest in (2, 4, 4))
    has_bias = draw(st.booleans())
    seed = draw(st.integers(0, 2**16))
    return Layer(
        input=whole_numbers((N, C_in, height, width), seed),
        weight=whole_numbers((C_out, C_in, 1, 1), seed + 1),
        bias=whole_numbers((C_out,), seed + 2) if has_bias else None,
        stride=draw(int_or_pair(1, 3)),
    )


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand(function: Callable[..., Any]) -> None:
    input = tensor([[[[1, 2, 3]], [[4, 5, 6]]]])  # two channels of one row
    weight = tensor([[10, 1], [0, -1], [1, 1]])[:, :, None, None]
    by_hand = [
        [[10 * 1 + 1 * 4 + 7, 10 * 2 + 1 * 5 + 7, 10 * 3 + 1 * 6 + 7]],
        [[0 * 1 - 1 * 4 + 0, 0 * 2 - 1 * 5 + 0, 0 * 3 - 1 * 6 + 0]],
        [[1 * 1 + 1 * 4 - 9, 1 * 2 + 1 * 5 - 9, 1 * 3 + 1 * 6 - 9]],
    ]
    assert by_hand == [[[21, 32, 43]], [[-4, -5, -6]], [[-4, -2, 0]]]
    assert_equal(function(input, weight, tensor([7, 0, -9])), tensor([by_hand]))


@pytest.mark.parametrize("function", FORMS)
def test_a_stride_worked_by_hand(function: Callable[..., Any]) -> None:
    input = tensor([[[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]]])
    # Rows 0 and 2, columns 0 and 3, each times 3.
    by_hand = [[3 * 1, 3 * 4], [3 * 9, 3 * 12]]
    assert by_hand == [[3, 12], [27, 36]]
    output = function(input, tensor([[[[3]]]]), stride=(2, 3))
    assert_equal(output, tensor([[by_hand]]))


@given(layers())
def test_the_loops_equal_torch(layer: Layer) -> None:
    assert_equal(call(pointwise_conv2d_loops, layer), call(F.conv2d, layer))


@given(layers())
def test_the_fast_form_equals_the_loops(layer: Layer) -> None:
    assert_equal(call(pointwise_conv2d, layer), call(pointwise_conv2d_loops, layer))


@given(layers())
def test_the_fast_form_and_its_gradients_equal_torchs(layer: Layer) -> None:
    layer = layer.map(torch.Tensor.requires_grad_)
    output, expected = call(pointwise_conv2d, layer), call(F.conv2d, layer)
    assert_same_gradients(output, expected, layer.tensors)


@pytest.mark.parametrize("stride", [1, (2, 1), (1, 3)])
def test_first_and_second_derivatives_are_the_numerical_ones(stride: Pair) -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return pointwise_conv2d(input, weight, bias, stride)

    assert_numerical_derivatives(function, (2, 2, 3, 2), (3, 2, 1, 1), (3,))


# Identities.


@given(layers())
def test_it_is_the_standard_gather_and_contraction_at_one_position(
    layer: Layer,
) -> None:
    gathered = windows(layer.input, kernel_size=1, stride=layer.stride)
    expected = contract(gathered, layer.weight, layer.bias)
    assert_equal(call(pointwise_conv2d, layer), expected)


@given(layers())
def test_it_is_a_linear_layer_over_the_channels(layer: Layer) -> None:
    S_h, S_w = both(layer.stride)
    pixels = layer.input[:, :, ::S_h, ::S_w].permute(0, 2, 3, 1)
    expected = F.linear(pixels, layer.weight[:, :, 0, 0], layer.bias)
    assert_equal(call(pointwise_conv2d, layer), expected.permute(0, 3, 1, 2))


def test_one_output_value_is_a_dot_product_over_the_channels() -> None:
    layer = asymmetric()
    assert layer.bias is not None
    filter, pixel = layer.weight[3, :, 0, 0], layer.input[1, :, 2 * 2, 5]
    value = call(pointwise_conv2d, layer)[1, 3, 2, 5]
    assert_equal(value, filter.dot(pixel) + layer.bias[3])


def test_it_commutes_with_any_shuffle_of_the_pixels() -> None:
    layer = replace(asymmetric(), stride=1)
    order = torch.randperm(7 * 6, generator=torch.Generator().manual_seed(0))

    def shuffle(images: Tensor) -> Tensor:
        return images.flatten(2)[:, :, order].reshape(images.shape)

    shuffled = replace(layer, input=shuffle(layer.input))
    assert_equal(
        call(pointwise_conv2d, shuffled), shuffle(call(pointwise_conv2d, layer))
    )


def test_two_in_a_row_are_one_with_the_product_of_their_matrices() -> None:
    x, first = whole_numbers((2, 5, 4, 3), seed=1), whole_numbers((3, 5), seed=2)
    second = whole_numbers((4, 3), seed=3)
    in_a_row = pointwise_conv2d(
        pointwise_conv2d(x, first[:, :, None, None]), second[:, :, None, None]
    )
    at_once = pointwise_conv2d(x, (second @ first)[:, :, None, None])
    assert_equal(in_a_row, at_once)


def test_its_matrix_is_the_channel_matrix_times_the_identity_over_the_pixels() -> None:
    weight = asymmetric().weight
    matrix = as_matrix(lambda x: pointwise_conv2d(x, weight), (5, 2, 3))
    identity = torch.eye(2 * 3, dtype=torch.float64)
    assert_equal(matrix, torch.kron(weight[:, :, 0, 0], identity))


def test_with_a_stride_the_identity_loses_its_rows() -> None:
    weight = asymmetric().weight
    matrix = as_matrix(lambda x: pointwise_conv2d(x, weight, stride=(1, 2)), (5, 2, 3))
    kept = torch.eye(2 * 3, dtype=torch.float64)[[0, 2, 3, 5]]
    assert_equal(matrix, torch.kron(weight[:, :, 0, 0], kept))


def test_a_stride_never_reads_what_it_steps_over() -> None:
    layer = replace(asymmetric(), stride=(2, 3))
    poisoned = torch.full_like(layer.input, torch.nan)
    poisoned[:, :, ::2, ::3] = layer.input[:, :, ::2, ::3]
    expected = call(F.conv2d, layer)
    for function in FORMS:
        assert_equal(call(function, replace(layer, input=poisoned)), expected)


def test_an_inverse_matrix_brings_the_image_back() -> None:
    there = tensor([[1, 1, 0], [0, 1, 2], [0, 0, 1]])
    back = tensor([[1, -1, 2], [0, 1, -2], [0, 0, 1]])
    assert_equal(back @ there, torch.eye(3, dtype=torch.float64))
    x = whole_numbers((2, 3, 4, 5))
    mixed = pointwise_conv2d(x, there[:, :, None, None])
    assert_equal(pointwise_conv2d(mixed, back[:, :, None, None]), x)


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    with_int = function(layer.input, layer.weight, None, 2)
    assert_equal(with_int, function(layer.input, layer.weight, None, (2, 2)))


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """A sum is at most 5 products of 4 and a bias of 2: 22, and bfloat16 counts to 256."""
    layer = asymmetric()
    output = call(pointwise_conv2d, layer.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(F.conv2d, layer).to(device, dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_stays_within_its_bound(dtype: torch.dtype) -> None:
    """4 additions to the other terms, and one to the bias."""
    ours, exact = partial(call, pointwise_conv2d), partial(call, F.conv2d)
    assert_rounding_within_bound(ours, exact, asymmetric(), dtype, additions=4 + 1)


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
    assert_equal(call(pointwise_conv2d_loops, layer), call(F.conv2d, layer))
    layer = layer.map(torch.Tensor.requires_grad_)
    output = call(pointwise_conv2d, layer)
    assert_equal(output, call(F.conv2d, layer))
    gradients = torch.autograd.grad(output.sum(), layer.tensors)
    for gradient, tensor in zip(gradients, layer.tensors, strict=True):
        assert_equal(gradient, torch.zeros_like(tensor))


def test_on_the_meta_device_it_tells_shapes_without_computing() -> None:
    """ResNet-50's first shortcut with a stride: 256 channels at 56×56 to 512 at 28×28."""
    with torch.device("meta"):
        input, weight = torch.empty(10**9, 256, 56, 56), torch.empty(512, 256, 1, 1)
        output = pointwise_conv2d(input, weight, torch.empty(512), stride=2)
    assert output.shape == (10**9, 512, 28, 28)
    assert output.is_meta


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    call(function, layer)
    for tensor, untouched in zip(layer.tensors, asymmetric().tensors, strict=True):
        assert_equal(tensor, untouched)


@pytest.mark.parametrize("bias", [True, False])
def test_the_output_shares_no_memory_with_the_input(bias: bool) -> None:
    input, one = torch.ones(2, 1, 3, 4), torch.ones(1, 1, 1, 1)
    output = pointwise_conv2d(input, one, torch.zeros(1) if bias else None)
    output.zero_()
    assert_equal(input, torch.ones(2, 1, 3, 4))


def test_the_loops_take_arrays_lists_and_tensors_and_give_float64() -> None:
    layer = asymmetric()
    expected = call(F.conv2d, layer).numpy()
    for convert in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.float):
        input, weight = convert(layer.input), convert(layer.weight)
        output = pointwise_conv2d_loops(input, weight, layer.bias, layer.stride)
        np.testing.assert_array_equal(output, expected, strict=True)


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 3, 5, 7),
    "weight": torch.ones(4, 3, 1, 1, dtype=torch.float64),
    "bias": torch.ones(4, dtype=torch.float64),
}


@each(("name", "value", "error"), bad_pairs(stride=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_stride_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        function(**LARGE, **{name: value})


@each(
    ("name", "shape", "expected"),
    [
        ("input", (3, 5, 7), "(N, C_in, H, W)"),
        ("input", (1, 2, 3, 5, 7), "(N, C_in, H, W)"),
        ("input", (2, 3, 0, 7), "sizes of at least 1"),
        ("input", (2, 3, 5, 0), "sizes of at least 1"),
        ("weight", (4, 3), "(C_out, C_in, 1, 1)"),
        ("weight", (4, 3, 1), "(C_out, C_in, 1, 1)"),
        ("weight", (4, 3, 3, 1), "(C_out, C_in, 1, 1)"),
        ("weight", (4, 3, 1, 2), "(C_out, C_in, 1, 1)"),
        ("weight", (4, 2, 1, 1), "(C_out, 3, K_h, K_w)"),
        ("weight", (4, 1, 1, 1), "(C_out, 3, K_h, K_w)"),
        ("weight", (0, 3, 1, 1), "sizes of at least 1"),
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


@each(
    ("name", "value", "said"),
    [
        ("input", None, "input=None: expected a tensor"),
        ("weight", None, "weight=None: expected a tensor"),
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("weight", np.ones((4, 3, 1, 1)), "a ndarray: expected a torch.Tensor"),
        ("bias", True, "a bool: expected a torch.Tensor"),
        ("input", LARGE["input"][:1].int(), "torch.int32: expected a floating-point"),
        (
            "weight",
            LARGE["weight"].float(),
            "torch.float32 on cpu: expected torch.float64",
        ),
        (
            "bias",
            LARGE["bias"].to("meta"),
            "on meta: expected torch.float64 on cpu",
        ),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        pointwise_conv2d(**LARGE | {name: value})


@pytest.mark.parametrize("value", [None, "image", [[[["1"]]]], [[[[1j]]]]], ids=repr)
@pytest.mark.parametrize("name", ["input", "weight"])
def test_the_loops_name_what_is_no_array_of_numbers(name: str, value: Any) -> None:
    with rejects(TypeError, name, "expected"):
        pointwise_conv2d_loops(
            **{"input": [[[[1.0]]]], "weight": [[[[1.0]]]], name: value}
        )


# The layer.


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_the_layers_state_moves_to_and_from_torchs(stride: Pair, bias: bool) -> None:
    ours = PointwiseConv2d(5, 4, stride, bias, dtype=torch.float64)
    theirs = nn.Conv2d(5, 4, 1, stride, bias=bias, dtype=torch.float64)
    assert_equal(ours.weight.shape, theirs.weight.shape)
    x = whole_numbers((2, 5, 7, 6))
    for source, target in ((ours, theirs), (theirs, ours)):
        for parameter in source.parameters():
            nn.init.constant_(parameter, 0.0)
            parameter.data += whole_numbers(parameter.shape, seed=parameter.dim())
        target.load_state_dict(source.state_dict())
        assert_equal(ours(x), theirs(x))
        assert ours(x).count_nonzero() > 0


@pytest.mark.parametrize("bias", [True, False])
def test_equal_seeds_give_torchs_initial_values(bias: bool) -> None:
    torch.manual_seed(1)
    ours = PointwiseConv2d(5, 4, bias=bias)
    torch.manual_seed(1)
    theirs = nn.Conv2d(5, 4, 1, bias=bias)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert_equal(ours.state_dict()[name], value)


def test_the_layer_computes_by_the_packages_own_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = []
    monkeypatch.setattr(
        "convnotes.pointwise.pointwise_conv2d", lambda *given: called.append(given)
    )
    layer, x = PointwiseConv2d(5, 4, stride=2), torch.ones(1, 5, 7, 6)
    layer(x)
    assert called == [(x, layer.weight, layer.bias, (2, 2))]


def test_the_layer_takes_torchs_device_and_dtype_and_prints_what_it_is() -> None:
    layer = PointwiseConv2d(5, 4, (1, 2), bias=False, device="meta", dtype=torch.half)
    assert layer.weight.is_meta
    assert layer.weight.dtype == torch.half
    assert repr(layer) == (
        "PointwiseConv2d(5, 4, kernel_size=(1, 1), stride=(1, 2), bias=False)"
    )


@each(
    ("name", "value", "error"),
    [
        *bad_integers(in_channels=1, out_channels=1),
        *bad_pairs(stride=1),
        ("bias", 1, TypeError),
        ("bias", None, TypeError),
        ("bias", "False", TypeError),
    ],
)
def test_an_impossible_argument_of_the_layer_or_its_cost_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    given: dict[str, Any] = {"in_channels": 3, "out_channels": 4, name: value}
    with rejects(error, f"{name}={value!r}: expected"):
        PointwiseConv2d(**given)
    with rejects(error, f"{name}={value!r}: expected"):
        pointwise_conv2d_cost(**given, input_size=5)


# The cost.


@each(("name", "value", "error"), bad_pairs(input_size=1))
def test_an_impossible_input_size_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected"):
        pointwise_conv2d_cost(3, 4, value)


def cost_of(layer: Layer) -> Cost:
    C_out, C_in = layer.weight.shape[:2]
    height, width = layer.input.shape[2:]
    return pointwise_conv2d_cost(
        C_in,
        C_out,
        (height, width),
        stride=layer.stride,
        bias=layer.bias is not None,
    )


def multiplications(layer: Layer) -> Iterator[tuple[int, ...]]:
    """Yield one item for each multiplication of a plain loop nest, for one image."""
    S_h, S_w = both(layer.stride)
    height, width = layer.input.shape[2:]
    yield from product(
        range(layer.weight.shape[0]),
        range(layer.weight.shape[1]),
        range(0, height, S_h),
        range(0, width, S_w),
    )


@given(layers())
def test_macs_are_the_multiplications_of_a_plain_loop_nest(layer: Layer) -> None:
    assert cost_of(layer).macs == sum(1 for _ in multiplications(layer))


@given(layers())
def test_cost_is_what_torch_counts(layer: Layer) -> None:
    image = layer.input[:1]
    for function in (F.conv2d, pointwise_conv2d):
        with FlopCounterMode(display=False) as counter:
            output = call(function, replace(layer, input=image))
        params = sum(tensor.numel() for tensor in layer.tensors[1:])
        assert cost_of(layer) == Cost(
            params=params,
            macs=counter.get_total_flops() // 2,
            elements_moved=image.numel() + params + output.numel(),
        )


def test_options_of_the_cost_are_given_by_keyword() -> None:
    with pytest.raises(TypeError):
        pointwise_conv2d_cost(3, 4, 5, 2)  # type: ignore[call-arg]


def test_a_swapped_axis_would_show() -> None:
    # Rows: (50 - 1) // 2 + 1 = 25. Columns: (101 - 1) // 3 + 1 = 34.
    cost = pointwise_conv2d_cost(16, 33, (50, 101), stride=(2, 3), bias=True)
    assert cost == Cost(
        params=33 * 16 + 33,
        macs=33 * 16 * 25 * 34,
        elements_moved=16 * 50 * 101 + 33 * 16 + 33 + 33 * 25 * 34,
    )


# The worked examples of the sources, and the published figures.


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "weights"),
    [(1024, 256, 262_144), (16, 32, 512), (3, 4, 12)],
)
def test_the_pointwise_weights_of_the_sources(
    in_channels: int, out_channels: int, weights: int
) -> None:
    assert pointwise_conv2d_cost(in_channels, out_channels, 64).params == weights
    assert PointwiseConv2d(in_channels, out_channels, bias=False).weight.numel() == (
        weights
    )


def test_reducing_first_saves_inception_most_of_a_5_by_5_layer() -> None:
    """Szegedy et al. 2015, inception (3a): 192 channels of 28×28 to 32 by 5×5, over 16."""
    reduce = pointwise_conv2d_cost(192, 16, 28).macs
    assert reduce == 192 * 16 * 28 * 28 == 2_408_448
    direct, then = 192 * 32 * 25 * 28 * 28, 16 * 32 * 25 * 28 * 28
    assert (direct, reduce + then) == (120_422_400, 12_443_648)


def test_a_bottleneck_costs_what_two_layers_of_a_quarter_of_the_channels_do() -> None:
    """He et al. 2016, figure 5: 256 to 64, 3×3 at 64, 64 to 256, against two 3×3 at 64."""
    down, up = pointwise_conv2d_cost(256, 64, 56), pointwise_conv2d_cost(64, 256, 56)
    bottleneck = down.params + 64 * 64 * 9 + up.params
    assert bottleneck == 16_384 + 36_864 + 16_384 == 69_632
    assert 2 * 64 * 64 * 9 == 73_728
    assert 2 * 256 * 256 * 9 == 1_179_648


def test_most_of_mobilenet_is_pointwise() -> None:
    """Howard et al. 2017, table 2: 94.86 % of the multiply-adds, which are 569 million."""
    sizes = {112: [(32, 64)], 56: [(64, 128), (128, 128)], 28: [(128, 256), (256, 256)]}
    sizes |= {14: [(256, 512), *5 * [(512, 512)]], 7: [(512, 1024), (1024, 1024)]}
    pointwise = sum(
        pointwise_conv2d_cost(*channels, size).macs
        for size, layers in sizes.items()
        for channels in layers
    )
    depthwise = sum(
        9 * channels * size**2 for size in sizes for channels, _ in sizes[size]
    )
    others = 3 * 32 * 9 * 112**2 + 1024 * 1000
    total = pointwise + depthwise + others
    assert round(total / 1e6) == 569
    assert round(100 * pointwise / total, 2) == 94.86
