"""The depthwise convolution: each channel by itself, as in the definition and as in torch."""

from collections.abc import Callable
from dataclasses import replace
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
    Layer,
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

from convnotes import depthwise
from convnotes.costs import Cost
from convnotes.depthwise import (
    DepthwiseConv2d,
    depthwise_conv2d,
    depthwise_conv2d_cost,
    depthwise_conv2d_loops,
    kernel_maps,
    weigh_channels,
)
from convnotes.matrices import as_matrix
from convnotes.standard import conv2d, conv2d_cost
from convnotes.windows import windows

FORMS = [depthwise_conv2d_loops, depthwise_conv2d]


def call(function: Callable[..., Any], layer: Layer) -> Any:
    options = layer.stride, layer.padding, layer.dilation
    return function(layer.input, layer.weight, layer.bias, *options)


def torchs(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Tensor:
    """Return torch's depthwise convolution: one group for each input channel."""
    groups = input.shape[1]
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def asymmetric() -> Layer:
    """Return a layer in which no two axes are alike: 5 channels, 2 filters for each."""
    return Layer(
        input=whole_numbers((3, 5, 8, 7), seed=1),
        weight=whole_numbers((10, 1, 3, 2), seed=2),
        bias=whole_numbers((10,), seed=3),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 3),
    )


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Any small depthwise layer whose kernel fits."""
    kernel_size = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride, padding = draw(int_or_pair(1, 3)), draw(int_or_pair(0, 2))
    dilation = draw(int_or_pair(1, 3))
    height, width = (
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4))
        for k, p, d in zip(kernel_size, both(padding), both(dilation), strict=True)
    )
    width += height == width
    N, C_in, M = (draw(st.integers(1, largest)) for largest in (2, 4, 3))
    has_bias, seed = draw(st.booleans()), draw(st.integers(0, 2**16))
    return Layer(
        input=whole_numbers((N, C_in, height, width), seed),
        weight=whole_numbers((C_in * M, 1, *kernel_size), seed + 1),
        bias=whole_numbers((C_in * M,), seed + 2) if has_bias else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_two_filters_a_channel(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3]], [[4, 5, 6]]]])  # two channels of one row
    weight = tensor([[[[1, 10]]], [[[1, 0]]], [[[0, 1]]], [[[-1, 1]]]])
    by_hand = [
        [1 * 1 + 10 * 2, 1 * 2 + 10 * 3],  # channel 0, its first filter
        [1 * 1 + 0 * 2, 1 * 2 + 0 * 3],  # channel 0, its second
        [0 * 4 + 1 * 5, 0 * 5 + 1 * 6],  # channel 1, its first
        [-1 * 4 + 1 * 5, -1 * 5 + 1 * 6],  # channel 1, its second
    ]
    assert by_hand == [[21, 32], [1, 2], [5, 6], [1, 1]]
    assert_equal(function(input, weight), tensor(by_hand)[None, :, None])


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_bias_stride_padding_and_dilation(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3, 4]], [[5, 6, 7, 8]]]])
    weight = tensor([[[[1, 10]]], [[[2, 1]]]])
    # Padded: 0 1 2 3 4 0 and 0 5 6 7 8 0. The kernel covers positions 0 and 2, then 3 and 5.
    by_hand = [
        [1 * 0 + 10 * 2 + 7, 1 * 3 + 10 * 0 + 7],
        [2 * 0 + 1 * 6 - 1, 2 * 7 + 1 * 0 - 1],
    ]
    assert by_hand == [[27, 10], [5, 13]]
    output = function(input, weight, tensor([7, -1]), (1, 3), (0, 1), (1, 2))
    assert_equal(output, tensor(by_hand)[None, :, None])


@given(layers())
def test_the_loops_equal_torch(layer: Layer) -> None:
    assert_equal(call(depthwise_conv2d_loops, layer), call(torchs, layer))


@given(layers())
def test_the_fast_form_equals_the_loops(layer: Layer) -> None:
    assert_equal(call(depthwise_conv2d, layer), call(depthwise_conv2d_loops, layer))


@given(layers())
def test_the_fast_form_and_its_gradients_equal_torchs(layer: Layer) -> None:
    layer = layer.map(torch.Tensor.requires_grad_)
    output, expected = call(depthwise_conv2d, layer), call(torchs, layer)
    assert_same_gradients(output, expected, layer.tensors)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 0, 1), ((2, 1), (1, 2), (1, 2))]
)
def test_first_and_second_derivatives_are_the_numerical_ones(
    stride: Pair, padding: Pair, dilation: Pair
) -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return depthwise_conv2d(input, weight, bias, stride, padding, dilation)

    assert_numerical_derivatives(function, (1, 2, 4, 3), (4, 1, 3, 2), (4,))


@pytest.mark.parametrize("at_once", [1, 3 * 8 * 7 * 2, 3 * 8 * 7 * 3])
def test_the_channels_may_be_worked_on_a_few_at_a_time(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five channels, of which fit: not even one, two, three."""
    monkeypatch.setattr(depthwise, "AT_ONCE", at_once)
    assert_equal(call(depthwise_conv2d, asymmetric()), call(torchs, asymmetric()))


@given(layers())
def test_the_maps_are_the_windows_taken_apart(layer: Layer) -> None:
    kernel_size = layer.weight.shape[2:]
    options = layer.stride, layer.padding, layer.dilation
    seen = windows(layer.input, kernel_size, *options)
    maps = kernel_maps(layer.input, kernel_size, *options)
    _, S_w = both(layer.stride)
    for one, other in zip(maps, seen.flatten(2, 3).unbind(2), strict=True):
        assert_equal(one[..., ::S_w][..., : seen.shape[-1]], other)


# Identities.


def test_each_channel_alone_is_a_standard_convolution() -> None:
    layer = asymmetric()
    alone = [
        conv2d(layer.input[:, [c]], layer.weight[2 * c : 2 * c + 2], None, (2, 1), 1)
        for c in range(5)
    ]
    output = depthwise_conv2d(layer.input, layer.weight, None, (2, 1), 1)
    assert_equal(output, torch.cat(alone, dim=1))


def test_it_is_a_standard_convolution_whose_other_kernels_are_zero() -> None:
    layer = asymmetric()
    weight = torch.zeros(10, 5, 3, 2, dtype=torch.float64)
    for o in range(10):
        weight[o, o // 2] = layer.weight[o, 0]
    ours = depthwise_conv2d(layer.input, layer.weight, layer.bias, (2, 1), (1, 2))
    assert_equal(ours, conv2d(layer.input, weight, layer.bias, (2, 1), (1, 2)))


def test_of_one_channel_it_is_the_standard_convolution() -> None:
    input, weight = whole_numbers((2, 1, 6, 5)), whole_numbers((4, 1, 3, 2), seed=1)
    assert_equal(depthwise_conv2d(input, weight), conv2d(input, weight))


def test_an_output_channel_is_blind_to_all_channels_but_its_own() -> None:
    layer = asymmetric()
    before = call(depthwise_conv2d, layer)
    for c in range(5):
        input = layer.input.clone()
        input[:, c] += 1
        after = call(depthwise_conv2d, replace(layer, input=input))
        changed = (after != before).any(dim=3).any(dim=2).any(dim=0)
        assert changed.nonzero().flatten().tolist() == [2 * c, 2 * c + 1]


def test_channels_that_change_places_take_their_filters_along() -> None:
    layer = asymmetric()
    order = torch.tensor([3, 0, 4, 1, 2])
    filters = torch.stack([2 * order, 2 * order + 1], dim=1).flatten()
    moved = depthwise_conv2d(layer.input[:, order], layer.weight[filters])
    assert_equal(moved, depthwise_conv2d(layer.input, layer.weight)[:, filters])


def test_its_matrix_has_one_block_for_each_channel() -> None:
    weight = whole_numbers((6, 1, 2, 3), seed=1)
    matrix = as_matrix(lambda x: depthwise_conv2d(x, weight), (3, 3, 4))
    blocks = [
        as_matrix(partial(conv2d, weight=bank), (1, 3, 4)) for bank in weight.split(2)
    ]
    assert_equal(matrix, torch.block_diag(*blocks))


def test_tensorflows_weights_map_onto_torchs() -> None:
    """Tensorflow's layout: filters (K_h, K_w, C_in, M), and output channel c * M + m.

    It is documented at ``tf.nn.depthwise_conv2d``.
    """
    K_h, K_w, C_in, M = 3, 2, 4, 5
    theirs = whole_numbers((K_h, K_w, C_in, M), seed=1).numpy()
    image = whole_numbers((C_in, 6, 7), seed=2).numpy()
    expected = np.zeros((C_in * M, 4, 6))
    for c, m, i, j, u, v in product(*map(range, (C_in, M, 4, 6, K_h, K_w))):
        expected[c * M + m, i, j] += theirs[u, v, c, m] * image[c, i + u, j + v]
    weight = theirs.transpose(2, 3, 0, 1).reshape(C_in * M, 1, K_h, K_w)
    output = depthwise_conv2d_loops(image[None], weight)[0]
    np.testing.assert_array_equal(output, expected)


def test_the_mean_of_tiles_is_average_pooling() -> None:
    input = 4 * whole_numbers((2, 3, 6, 8))
    quarters = torch.full((3, 1, 2, 2), 0.25, dtype=torch.float64)
    assert_equal(depthwise_conv2d(input, quarters, stride=2), F.avg_pool2d(input, 2))


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    with_ints = function(layer.input, layer.weight, None, 2, 1, 3)
    pairs = (2, 2), (1, 1), (3, 3)
    assert_equal(with_ints, function(layer.input, layer.weight, None, *pairs))


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """A sum is at most 6 products of 4 and a bias of 2: 26, and bfloat16 counts to 256."""
    layer = asymmetric()
    output = call(depthwise_conv2d, layer.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(torchs, layer).to(device, dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_stays_within_its_bound(dtype: torch.dtype) -> None:
    """5 additions to the other terms, and one to the bias."""
    ours, exact = partial(call, depthwise_conv2d), partial(call, torchs)
    assert_rounding_within_bound(ours, exact, asymmetric(), dtype, additions=5 + 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_16_bits_it_rounds_once(dtype: torch.dtype) -> None:
    """What is added up in float32 is off by half a unit in the last place, as torch's is."""
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(2, 3, 12, 13, generator=generator).to(dtype)
    weight = torch.randn(6, 1, 7, 7, generator=generator).to(dtype)
    bias = torch.randn(6, generator=generator).to(dtype)
    exact = F.conv2d(input.double(), weight.double(), bias.double(), groups=3)
    output = depthwise_conv2d(input, weight, bias).double()
    half = torch.finfo(dtype).eps / 2
    assert ((output - exact).abs() <= half * exact.abs() + 1e-4).all()


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    layer = asymmetric().map(LAYOUTS[layout])
    expected = call(torchs, layer.map(torch.Tensor.contiguous))
    assert_equal(call(function, layer), expected)


def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero() -> None:
    layer = replace(asymmetric(), input=asymmetric().input[:0])
    assert_equal(call(depthwise_conv2d_loops, layer), call(torchs, layer))
    layer = layer.map(torch.Tensor.requires_grad_)
    output = call(depthwise_conv2d, layer)
    assert_equal(output, call(torchs, layer))
    gradients = torch.autograd.grad(output.sum(), layer.tensors)
    for gradient, tensor in zip(gradients, layer.tensors, strict=True):
        assert_equal(gradient, torch.zeros_like(tensor))


def test_on_the_meta_device_it_tells_the_shape_without_computing() -> None:
    with torch.device("meta"):
        input, weight = torch.empty(8, 256, 57, 41), torch.empty(512, 1, 5, 3)
        output = depthwise_conv2d(input, weight, torch.empty(512), (2, 1), (1, 0))
    # Rows: (57 + 2·1 - 5) // 2 + 1 = 28. Columns: 41 - 3 + 1 = 39.
    assert output.shape == (8, 512, 28, 39)
    assert output.is_meta


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    layer = asymmetric()
    call(function, layer)
    for tensor, untouched in zip(layer.tensors, asymmetric().tensors, strict=True):
        assert_equal(tensor, untouched)


def test_with_a_1_by_1_kernel_the_output_is_new_memory() -> None:
    """There is one kernel position then, and nothing is added to it."""
    input, weight = whole_numbers((2, 3, 4, 5)), torch.ones(3, 1, 1, 1).double()
    depthwise_conv2d(input, weight).zero_()
    assert_equal(input, whole_numbers((2, 3, 4, 5)))


def test_the_loops_take_arrays_lists_and_tensors_and_give_float64() -> None:
    layer = asymmetric()
    expected = call(torchs, layer).numpy()
    for convert in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.float):
        output = call(depthwise_conv2d_loops, layer.map(convert))  # type: ignore[arg-type]
        np.testing.assert_array_equal(output, expected, strict=True)


# The layer.


def of_torch(
    in_channels: int, kernel_size: Pair, multiplier: int = 1, **options: Any
) -> nn.Conv2d:
    """Return torch's layer with the same meaning."""
    out_channels = in_channels * multiplier
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, groups=in_channels, **options
    )


OPTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "bias": False},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"padding": "same", "dilation": (3, 2)},
    {"padding": "valid", "stride": 2},
    {"padding": (1, 2), "padding_mode": "reflect", "stride": 2},
    {"padding": "same", "padding_mode": "circular"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_the_layer_and_torchs_lend_each_other_their_state(
    options: dict[str, Any], multiplier: int
) -> None:
    ours = DepthwiseConv2d(4, (3, 2), **options, channel_multiplier=multiplier)
    theirs = of_torch(4, (3, 2), multiplier, **options)
    input = whole_numbers((2, 4, 7, 6), seed=1)
    for receiver, giver in [(ours, theirs), (theirs, ours)]:
        for layer in (receiver, giver):
            layer.double()
            for parameter in layer.parameters():
                seed = int(layer is giver)
                parameter.data = whole_numbers(parameter.shape, seed, largest=4)
        assert list(giver.state_dict()) == list(receiver.state_dict())
        receiver.load_state_dict(giver.state_dict())
        assert_equal(ours(input), theirs(input))
        assert_equal(ours(input[0]), theirs(input[0]))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equal_seeds_give_the_layer_torchs_initial_values(
    options: dict[str, Any],
) -> None:
    torch.manual_seed(3)
    ours = DepthwiseConv2d(4, 3, **options, channel_multiplier=2).state_dict()
    torch.manual_seed(3)
    theirs = of_torch(4, 3, 2, **options).state_dict()
    for (name, value), (expected_name, expected) in zip(
        ours.items(), theirs.items(), strict=True
    ):
        assert name == expected_name
        assert_equal(value, expected)


def test_the_layer_learns_what_torchs_learns() -> None:
    ours, theirs = DepthwiseConv2d(3, 3).double(), of_torch(3, 3).double()
    ours.load_state_dict(theirs.state_dict())
    input = whole_numbers((2, 3, 6, 5))
    for layer in (ours, theirs):
        layer(input).square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_layer_is_made_on_a_device_in_a_dtype() -> None:
    layer = DepthwiseConv2d(4, 3, device="meta", dtype=torch.bfloat16)
    assert layer.weight.is_meta
    assert layer.weight.dtype == torch.bfloat16
    output = layer(torch.empty(2, 4, 7, 6, device="meta", dtype=torch.bfloat16))
    assert output.shape == (2, 4, 5, 4)


def test_the_layer_says_what_it_is() -> None:
    layer = DepthwiseConv2d(4, (3, 2), dilation=2, bias=False, channel_multiplier=3)
    assert repr(layer) == (
        "DepthwiseConv2d(4, 12, kernel_size=(3, 2), stride=(1, 1), dilation=(2, 2), "
        "groups=4, bias=False)"
    )


# Cost.


@given(layers())
def test_cost_is_what_a_loop_nest_and_torchs_counter_count(layer: Layer) -> None:
    C_out, _, K_h, K_w = layer.weight.shape
    image = layer.input[:1]
    C_in, height, width = image.shape[1:]
    with FlopCounterMode(display=False) as counter:
        output = call(torchs, replace(layer, input=image))
    macs = 0
    for _ in product(*map(range, (C_out, *output.shape[2:], K_h, K_w))):
        macs += 1
    assert counter.get_total_flops() == 2 * macs
    params = layer.weight.numel() + (0 if layer.bias is None else C_out)
    assert depthwise_conv2d_cost(
        C_in,
        (K_h, K_w),
        (height, width),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        channel_multiplier=C_out // C_in,
        bias=layer.bias is not None,
    ) == Cost(
        params=params,
        macs=macs,
        elements_moved=image.numel() + params + output.numel(),
    )


def test_the_depthwise_step_of_256_channels_with_multiplier_4() -> None:
    cost = depthwise_conv2d_cost(256, 3, input_size=(56, 41), channel_multiplier=4)
    assert cost.params == 256 * 4 * 3 * 3 == 9_216
    assert cost.elements_moved == 256 * 56 * 41 + 9_216 + 1024 * 54 * 39


def test_a_bias_is_one_parameter_for_each_output_channel() -> None:
    layer = DepthwiseConv2d(16, 3, channel_multiplier=2)
    params = sum(parameter.numel() for parameter in layer.parameters())
    options: dict[str, Any] = {"input_size": 8, "channel_multiplier": 2}
    assert params == 16 * 2 * 9 + 16 * 2
    assert params == depthwise_conv2d_cost(16, 3, bias=True, **options).params
    assert params == depthwise_conv2d_cost(16, 3, **options).params + 32


@given(st.integers(1, 9), st.integers(1, 4))
def test_it_costs_a_share_of_one_in_c_in_of_the_standard_layer(
    in_channels: int, multiplier: int
) -> None:
    standard = conv2d_cost(in_channels, in_channels * multiplier, (3, 2), (8, 9))
    depthwise = depthwise_conv2d_cost(
        in_channels, (3, 2), (8, 9), channel_multiplier=multiplier
    )
    assert in_channels * depthwise.macs == standard.macs
    assert in_channels * depthwise.params == standard.params


@given(st.integers(1, 512), st.integers(1, 9), st.integers(5, 30))
def test_with_stride_1_its_intensity_stays_below_k_squared_m_over_1_plus_m(
    channels: int, multiplier: int, size: int
) -> None:
    cost = depthwise_conv2d_cost(
        channels, 3, (size, size + 2), padding=1, channel_multiplier=multiplier
    )
    assert cost.intensity < 9 * multiplier / (1 + multiplier)


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 3, 5, 7),
    "weight": torch.ones(6, 1, 3, 2, dtype=torch.float64),
    "bias": torch.ones(6, dtype=torch.float64),
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0, dilation=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        function(**LARGE, **{name: value})


BANKS = (
    "(C_in * M, 1, K_h, K_w) with C_in = 3 for input of shape (1000000000000, 3, 5, 7)"
)


@each(
    ("name", "shape", "expected"),
    [
        ("input", (3, 5, 7), "(N, C_in, H, W)"),
        ("input", (1, 2, 3, 5, 7), "(N, C_in, H, W)"),
        ("input", (2, 0, 5, 7), "sizes of at least 1"),
        ("input", (2, 3, 0, 7), "sizes of at least 1"),
        ("input", (2, 3, 5, 0), "sizes of at least 1"),
        ("weight", (6, 3, 2), "(C_out, C_in, K_h, K_w)"),
        ("weight", (0, 1, 3, 2), "sizes of at least 1"),
        ("weight", (6, 0, 3, 2), "sizes of at least 1"),
        ("weight", (6, 1, 0, 2), "sizes of at least 1"),
        ("weight", (6, 1, 3, 0), "sizes of at least 1"),
        ("weight", (1, 1, 3, 2), BANKS),
        ("weight", (5, 1, 3, 2), BANKS),
        ("weight", (6, 3, 3, 2), BANKS),
        ("weight", (6, 2, 3, 2), BANKS),
        ("bias", (3,), "(6,)"),
        ("bias", (1,), "(6,)"),
        ("bias", (), "(6,)"),
        ("bias", (1, 6), "(6,)"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**LARGE | {name: torch.ones(shape, dtype=torch.float64)}, padding=3)


@pytest.mark.parametrize("function", FORMS)
def test_groups_which_nobody_gave_are_not_named(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="weight") as raised:
        function(torch.ones(1, 3, 5, 7), torch.ones(5, 1, 3, 2))
    assert "groups" not in str(raised.value)


@pytest.mark.parametrize("weight", [(6, 1, 3, 2), (8, 1, 3, 3), (8, 4, 3, 2)])
def test_maps_and_filters_have_to_fit(weight: tuple[int, ...]) -> None:
    with rejects(ValueError, f"weight of shape {weight}: expected", "C_in = 4 and 6"):
        weigh_channels([torch.ones(1, 4, 5, 7)] * 6, torch.ones(weight))


@each(
    ("maps", "weight", "error", "said"),
    [
        (torch.ones(6, 1, 4, 5, 7), (8, 1, 3, 2), TypeError, "maps=tensor("),
        (
            [],
            (8, 1, 3, 2),
            ValueError,
            "maps=[]: expected one for each kernel position",
        ),
        (
            [[1.0]],
            (8, 1, 1, 1),
            TypeError,
            "maps[0] is a list: expected a torch.Tensor",
        ),
        (
            [torch.ones(4, 5)],
            (4, 1, 1, 1),
            ValueError,
            "maps[0] of shape (4, 5): expected",
        ),
        (
            [torch.ones(1, 4, 5, 7)],
            (8, 1),
            ValueError,
            "weight of shape (8, 1): expected",
        ),
        ([torch.ones(1, 0, 5, 7)], (8, 1, 1, 1), ValueError, "sizes of at least 1"),
        (
            [torch.ones(1, 4, 5, 7), torch.ones(1, 4, 5, 6)],
            (4, 1, 1, 2),
            ValueError,
            "maps[1] of shape (1, 4, 5, 6): expected (1, 4, 5, 7), as maps[0]",
        ),
        (
            [torch.ones(1, 4, 5, 7), torch.ones(1, 4, 5, 7).double()],
            (4, 1, 1, 2),
            TypeError,
            "maps[1] is torch.float64 on cpu: expected torch.float32 on cpu, as maps[0]",
        ),
    ],
)
def test_what_is_no_map_for_each_position_is_named(
    maps: Any, weight: tuple[int, ...], error: type[Exception], said: str
) -> None:
    with rejects(error, said):
        weigh_channels(maps, torch.ones(weight))


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
)
def test_an_impossible_argument_of_the_gather_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    good: dict[str, Any] = {"input": torch.ones(1, 3, 5, 7), "kernel_size": 3}
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        kernel_maps(**good | {name: value})


@pytest.mark.parametrize(
    ("dilation", "said"),
    [  # The padded input is 5 + 2 by 7 + 4.
        ((4, 1), ("with dilation=(4, 1) spans 9×2", "at most 7×11")),
        ((1, 11), ("with dilation=(1, 11) spans 3×12", "at most 7×11")),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any], dilation: Pair, said: tuple[str, ...]
) -> None:
    shapes = tuple(LARGE["weight"].shape), tuple(LARGE["input"].shape)
    said += (f"weight of shape {shapes[0]}", f"input of shape {shapes[1]}")
    with rejects(ValueError, *said, "padding=(1, 2)"):
        function(**LARGE, padding=(1, 2), dilation=dilation)


@each(
    ("name", "value", "said"),
    [
        ("input", None, "input=None: expected a tensor"),
        ("weight", None, "weight=None: expected a tensor"),
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("bias", True, "a bool: expected a torch.Tensor"),
        ("input", LARGE["input"][:1].int(), "torch.int32: expected a floating-point"),
        (
            "weight",
            LARGE["weight"].float(),
            "torch.float32 on cpu: expected torch.float64",
        ),
        ("bias", LARGE["bias"].to("meta"), "on meta: expected torch.float64 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        depthwise_conv2d(**LARGE | {name: value})


@pytest.mark.parametrize("value", [None, "image", [[[["1"]]]], [[[[1j]]]]], ids=repr)
@pytest.mark.parametrize("name", ["input", "weight"])
def test_the_loops_name_what_is_no_array_of_numbers(name: str, value: Any) -> None:
    with rejects(TypeError, name, "expected"):
        depthwise_conv2d_loops(
            **{"input": [[[[1.0]]]], "weight": [[[[1.0]]]], name: value}
        )


GOOD: dict[str, Any] = {"in_channels": 3, "kernel_size": (3, 2)}
MAKERS = {
    "layer": DepthwiseConv2d,
    "cost": lambda **given: depthwise_conv2d_cost(input_size=(8, 9), **given),
}


@each(("name", "value", "error"), bad_integers(in_channels=1, channel_multiplier=1))
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_impossible_channels_are_named(
    make: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        make(**GOOD | {name: value})


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_impossible_argument_of_layer_or_cost_is_named(
    make: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    said = f"{name}={value!r}: expected an int or a (height, width) pair"
    if make is DepthwiseConv2d and isinstance(value, str) and name == "padding":
        make(**GOOD | {name: "same"})  # the layer knows two names
        value, error, said = (
            "full",
            ValueError,
            "padding='full': expected 'same', 'valid'",
        )
    with rejects(error, said):
        make(**GOOD | {name: value})


@pytest.mark.parametrize("bias", ["no", None, 2, torch.ones(4)], ids=str)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_bias_is_a_bool(make: Callable[..., Any], bias: Any) -> None:
    with rejects(TypeError, f"bias={bias!r}: expected"):
        make(**GOOD, bias=bias)


def test_a_cost_needs_a_kernel_that_fits_and_options_by_keyword() -> None:
    with rejects(ValueError, "kernel_size=3 with dilation=5 spans 11", "input_size=8"):
        depthwise_conv2d_cost(3, 3, (8, 9), dilation=(5, 1))
    with pytest.raises(TypeError, match="positional"):
        depthwise_conv2d_cost(3, 3, 64, 2)  # type: ignore[call-arg]
