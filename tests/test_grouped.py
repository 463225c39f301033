"""The grouped convolution is torch's own, with every argument, and blocks keep to themselves."""

import warnings
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
    asymmetric,
    bad_integers,
    bad_pairs,
    both,
    each,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost
from convnotes.depthwise import depthwise_conv2d
from convnotes.grouped import (
    GroupedConv2d,
    channel_shuffle,
    contract_groups,
    grouped_conv2d,
    grouped_conv2d_cost,
    grouped_conv2d_loops,
)
from convnotes.matrices import as_matrix
from convnotes.shapes import borders
from convnotes.standard import conv2d
from convnotes.windows import windows

FORMS = [grouped_conv2d_loops, grouped_conv2d]

any_layer = layers(dilated=True, grouped=True)


def call(function: Callable[..., Any], layer: Layer, **changed: Any) -> Any:
    arguments = vars(layer) | changed
    return function(*arguments.values())


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture
def quiet() -> Any:
    """Torch warns that it copies the input for an even kernel with padding "same"."""
    with warnings.catch_warnings(action="ignore"):
        yield


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_each_group_reads_its_own_channels(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]], [[0, 1, 2]]]])
    weight = tensor(
        [
            [[[1, 0]], [[0, 1]]],
            [[[1, 1]], [[0, 0]]],
            [[[2, 0]], [[0, 3]]],
            [[[0, 1]], [[-1, 0]]],
        ]
    )
    by_hand = [
        [1 * 1 + 1 * 5, 1 * 2 + 1 * 6],  # channels 0 and 1
        [1 * 1 + 1 * 2, 1 * 2 + 1 * 3],  # channels 0 and 1
        [2 * 7 + 3 * 1, 2 * 8 + 3 * 2],  # channels 2 and 3
        [1 * 8 - 1 * 0, 1 * 9 - 1 * 1],  # channels 2 and 3
    ]
    assert by_hand == [[6, 8], [3, 5], [17, 22], [8, 8]]
    output = function(input, weight, groups=2)
    assert_equal(output, tensor(by_hand)[None, :, None])


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_bias_stride_padding_and_dilation(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3, 4]], [[5, 6, 7, 8]]]])
    weight = tensor([[[[10, 1]]], [[[100, 0]]]])
    # Padded: 0 1 2 3 4 0 and 0 5 6 7 8 0. The kernel's columns are 2 apart, its steps 3.
    by_hand = [
        [10 * 0 + 1 * 2 + 7, 10 * 3 + 1 * 0 + 7],
        [100 * 0 + 0 * 6 - 1, 100 * 7 + 0 * 0 - 1],
    ]
    assert by_hand == [[9, 37], [-1, 699]]
    bias = tensor([7, -1])
    output = function(input, weight, bias, (1, 3), (0, 1), (1, 2), 2)
    assert_equal(output, tensor(by_hand)[None, :, None])


@given(any_layer)
def test_the_loops_equal_torch(layer: Layer) -> None:
    assert_equal(call(grouped_conv2d_loops, layer), call(F.conv2d, layer))


@given(any_layer)
def test_the_fast_form_equals_the_loops(layer: Layer) -> None:
    assert_equal(call(grouped_conv2d, layer), call(grouped_conv2d_loops, layer))


@given(any_layer)
def test_the_fast_form_and_its_gradients_equal_torchs(layer: Layer) -> None:
    layer = layer.map(torch.Tensor.requires_grad_)
    output, expected = call(grouped_conv2d, layer), call(F.conv2d, layer)
    assert_same_gradients(output, expected, layer.tensors)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [(1, 0, 1), ((2, 1), (1, 2), (1, 2)), ((1, 3), (2, 1), (2, 1)), (1, "same", 1)],
)
def test_first_and_second_derivatives_are_the_numerical_ones(
    stride: Pair, padding: Any, dilation: Pair
) -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return grouped_conv2d(input, weight, bias, stride, padding, dilation, 2)

    assert_numerical_derivatives(function, (1, 4, 4, 2), (2, 2, 3, 2), (2,))


@pytest.mark.usefixtures("quiet")
@given(any_layer, st.sampled_from(["same", "valid"]))
def test_padding_by_name_is_torchs(layer: Layer, padding: str) -> None:
    height, width = layer.weight.shape[2:]
    layer = replace(layer, input=F.pad(layer.input, (width, width, height, height)))
    layer = replace(layer, padding=0, stride=1 if padding == "same" else layer.stride)
    output = call(grouped_conv2d, layer, padding=padding)
    assert_equal(output, call(F.conv2d, layer, padding=padding))
    assert padding == "valid" or output.shape[2:] == layer.input.shape[2:]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("padding", [0, (1, 2), "same", "valid"])
def test_one_image_without_a_batch_is_torchs(padding: Any) -> None:
    layer = replace(asymmetric((2, 1), groups=3), stride=1)
    options = {"input": layer.input[0], "padding": padding}
    output = call(grouped_conv2d, layer, **options)
    assert output.ndim == 3
    assert_equal(output, call(F.conv2d, layer, **options))


def test_even_kernels_are_padded_once_more_at_the_right_and_at_the_bottom() -> None:
    # 3 · (2 - 1) = 3 columns: 1 and 2. 1 · (4 - 1) = 3 rows: 1 and 2.
    assert borders("same", (4, 2), dilation=(1, 3)) == (1, 2, 1, 2)
    assert borders("same", (3, 5), dilation=(4, 1)) == (2, 2, 4, 4)
    assert borders("valid", (4, 2), stride=3) == (0, 0, 0, 0)
    assert borders((1, 2), (4, 2), stride=3) == (2, 2, 1, 1)


# Identities.


@given(layers(dilated=True))
def test_with_one_group_it_is_the_standard_convolution(layer: Layer) -> None:
    layer = replace(layer, dilation=1, padding=2)
    arguments = layer.input, layer.weight, layer.bias, layer.stride, layer.padding
    assert_equal(call(grouped_conv2d, layer), conv2d(*arguments))


def test_with_a_group_for_each_channel_it_is_the_depthwise_convolution() -> None:
    input, weight = whole_numbers((2, 5, 7, 6), 1), whole_numbers((15, 1, 3, 2), 2)
    bias, options = whole_numbers((15,), 3), ((2, 1), (1, 2), (1, 3))
    output = grouped_conv2d(input, weight, bias, *options, groups=5)
    assert_equal(output, depthwise_conv2d(input, weight, bias, *options))


def test_it_is_a_standard_convolution_of_each_group_side_by_side() -> None:
    layer = asymmetric(groups=3)
    inputs, weights = layer.input.chunk(3, dim=1), layer.weight.chunk(3)
    assert layer.bias is not None
    parts = zip(inputs, weights, layer.bias.chunk(3), strict=True)
    apart = [conv2d(x, w, b, layer.stride, layer.padding) for x, w, b in parts]
    assert_equal(call(grouped_conv2d, layer), torch.cat(apart, dim=1))


def test_it_is_the_standard_convolution_with_zeros_between_the_groups() -> None:
    layer = asymmetric(groups=3)
    full = torch.zeros(12, 15, 3, 2, dtype=torch.float64)
    for o, c in product(range(12), range(5)):
        full[o, 5 * (o // 4) + c] = layer.weight[o, c]
    standard = conv2d(layer.input, full, layer.bias, layer.stride, layer.padding)
    assert_equal(call(grouped_conv2d, layer), standard)


def test_the_plain_gather_and_contraction_give_the_same() -> None:
    layer = asymmetric((1, 2), groups=3)
    gathered = windows(layer.input, (3, 2), layer.stride, layer.padding, layer.dilation)
    expected = call(grouped_conv2d, replace(layer, bias=None))
    assert_equal(contract_groups(gathered, layer.weight, 3), expected)


def test_its_matrix_has_blocks_on_the_diagonal_and_nothing_else() -> None:
    weight = whole_numbers((6, 2, 2, 2), seed=1) + 3  # none is 0
    matrix = as_matrix(lambda x: grouped_conv2d(x, weight, groups=3), (6, 3, 4))
    blocks = matrix.reshape(3, 2 * 2 * 3, 3, 2 * 3 * 4)
    for g, h in np.ndindex(3, 3):
        block = blocks[g, :, h]
        count = 2 * 2 * 3 * (2 * 2 * 2) if g == h else 0  # 12 outputs, 8 weights each
        assert block.count_nonzero() == count


def test_no_input_reaches_an_output_of_another_group() -> None:
    layer = replace(asymmetric(groups=3), weight=torch.ones(12, 5, 3, 2).double())
    layer = layer.map(torch.Tensor.requires_grad_)
    for o in range(12):
        output = call(grouped_conv2d, layer)
        (gradient,) = torch.autograd.grad(output[:, o].sum(), layer.input)
        reached = gradient.abs().sum((0, 2, 3)) > 0
        assert reached.tolist() == [c // 5 == o // 4 for c in range(15)]


def test_its_adjoint_is_its_gradient() -> None:
    """<conv x, y> = <x, adjoint y>, and torch computes the adjoint as a transposed convolution."""
    layer = replace(asymmetric((1, 2), groups=3), bias=None)
    output = call(grouped_conv2d, layer)
    y = whole_numbers(output.shape, seed=5)
    options: Any = ((2, 1), (1, 2), 0, 3, (1, 2))
    adjoint = F.conv_transpose2d(y, layer.weight, None, *options)
    assert adjoint.shape == layer.input.shape
    assert_equal((output * y).sum(), (layer.input * adjoint).sum())


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    layer = asymmetric(groups=2)
    ints = call(function, layer, stride=2, padding=3, dilation=2)
    pairs = call(function, layer, stride=(2, 2), padding=(3, 3), dilation=(2, 2))
    assert_equal(ints, pairs)


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """A sum is at most 30 products of 4 and a bias of 2: 122, and bfloat16 counts to 256."""
    layer = asymmetric((1, 2), groups=3)
    output = call(grouped_conv2d, layer.map(lambda t: t.to(device, dtype)))
    assert_equal(output, call(F.conv2d, layer).to(device, dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_stays_within_its_bound(dtype: torch.dtype) -> None:
    """29 additions to the other terms, and one to the bias."""
    ours, exact = partial(call, grouped_conv2d), partial(call, F.conv2d)
    assert_rounding_within_bound(
        ours, exact, asymmetric(groups=3), dtype, additions=29 + 1
    )


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    layer = asymmetric(groups=3).map(LAYOUTS[layout])
    expected = call(F.conv2d, layer.map(torch.Tensor.contiguous))
    assert_equal(call(function, layer), expected)


def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero() -> None:
    layer = asymmetric(groups=3)
    layer = replace(layer, input=layer.input[:0])
    assert_equal(call(grouped_conv2d_loops, layer), call(F.conv2d, layer))
    layer = layer.map(torch.Tensor.requires_grad_)
    output = call(grouped_conv2d, layer)
    assert_equal(output, call(F.conv2d, layer))
    gradients = torch.autograd.grad(output.sum(), layer.tensors)
    for gradient, tensor in zip(gradients, layer.tensors, strict=True):
        assert_equal(gradient, torch.zeros_like(tensor))


def test_on_the_meta_device_it_tells_shapes_without_computing() -> None:
    with torch.device("meta"):
        input, weight = torch.empty(1, 8, 32, 32), torch.empty(8, 2, 3, 3)
        output = grouped_conv2d(input, weight, torch.empty(8), groups=4)
        layer = GroupedConv2d(8, 8, 3, groups=4)
        assert channel_shuffle(output, 4).shape == output.shape
    assert output.shape == layer(input).shape == (1, 8, 30, 30)  # source S1's example
    assert output.is_meta


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    layer = asymmetric(groups=2)
    call(function, layer)
    for tensor, untouched in zip(
        layer.tensors, asymmetric(groups=2).tensors, strict=True
    ):
        assert_equal(tensor, untouched)


@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 1)])
def test_the_output_is_no_view_of_the_input(kernel_size: tuple[int, int]) -> None:
    input = torch.ones(1, 2, 4, 5)
    grouped_conv2d(input, torch.ones(2, 1, *kernel_size), groups=2).zero_()
    assert_equal(input, torch.ones(1, 2, 4, 5))


def test_the_loops_take_lists_and_compute_in_float64() -> None:
    layer = asymmetric((1, 2), groups=3)
    expected = call(F.conv2d, layer).numpy()
    lists = dict(
        zip(vars(layer), map(torch.Tensor.tolist, layer.tensors), strict=False)
    )
    output = call(grouped_conv2d_loops, layer, **lists)
    np.testing.assert_array_equal(output, expected, strict=True)


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 6, 5, 7),
    "weight": torch.ones(4, 3, 3, 2, dtype=torch.float64),
    "bias": torch.ones(4, dtype=torch.float64),
    "groups": 2,
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0, dilation=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    if name == "padding" and isinstance(value, str) and function is grouped_conv2d:
        return  # there padding may be a name
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        function(**LARGE | {name: value})


@each(("name", "value", "error"), bad_integers(groups=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_number_of_groups_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        function(**LARGE | {name: value})
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        GroupedConv2d(6, 4, 3, groups=value)
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        channel_shuffle(LARGE["input"], value)


@pytest.mark.parametrize("groups", [3, 4])
@pytest.mark.parametrize("function", FORMS)
def test_groups_that_do_not_divide_the_channels_are_named(
    function: Callable[..., Any], groups: int
) -> None:
    with rejects(ValueError, f"groups={groups}: expected a divisor of the 6 channels"):
        function(**LARGE | {"groups": groups})


@each(
    ("name", "shape", "expected"),
    [
        ("input", (5, 7), "(N, C_in, H, W)"),
        ("input", (1, 1, 6, 5, 7), "(N, C_in, H, W)"),
        ("weight", (3, 3, 2), "(C_out, C_in, K_h, K_w)"),
        ("weight", (4, 6, 3, 2), "(C_out, 3, K_h, K_w)"),
        ("weight", (4, 1, 3, 2), "(C_out, 3, K_h, K_w)"),
        ("weight", (4, 3, 0, 2), "sizes of at least 1"),
        ("bias", (2,), "(4,)"),
        ("bias", (), "(4,)"),
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
    [  # The padded input is 5 + 2 by 7 + 4; the dilated kernel spans 9, then 13.
        ((5, 1), ("(4, 3, 5, 1) with", "spans 9×1", "at most 7×11", "padding=(1, 2)")),
        ((1, 5), ("(4, 3, 1, 5) with", "spans 1×13", "at most 7×11", "padding=(1, 2)")),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any], kernel_size: tuple[int, int], said: tuple[str, ...]
) -> None:
    weight = torch.ones(4, 3, *kernel_size, dtype=torch.float64)
    options: Any = {"padding": (1, 2), "dilation": (2, 3)}
    with rejects(ValueError, *said):
        function(**LARGE | {"weight": weight}, **options)


@each(
    ("name", "value", "said"),
    [
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("weight", None, "weight=None: expected a tensor"),
        ("input", LARGE["input"][:1].int(), "torch.int32: expected a floating-point"),
        ("weight", LARGE["weight"].float(), "torch.float32 on cpu: expected"),
        ("bias", LARGE["bias"].to("meta"), "on meta: expected torch.float64 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        grouped_conv2d(**LARGE | {name: value})


def test_padding_by_a_wrong_name_or_with_a_stride_is_named() -> None:
    with rejects(ValueError, "padding='full': expected 'same', 'valid' or numbers"):
        grouped_conv2d(**LARGE, padding="full")
    with rejects(ValueError, "stride=(1, 2): expected 1, as padding='same' needs"):
        grouped_conv2d(**LARGE, padding="same", stride=(1, 2))
    with rejects(ValueError, "dilation=0: expected"):
        grouped_conv2d(**LARGE, padding="same", dilation=0)
    with rejects(ValueError, "stride=0: expected an int"):
        grouped_conv2d(**LARGE, padding="same", stride=0)


# The channel shuffle.


@pytest.mark.parametrize("shape", [(2, 12, 3, 4), (1, 12, 5), (0, 12, 3, 4)])
@pytest.mark.parametrize("groups", [1, 2, 3, 12])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_the_shuffle_is_torchs(
    shape: tuple[int, ...], groups: int, dtype: torch.dtype
) -> None:
    input = whole_numbers(shape, largest=50).to(dtype)
    output = channel_shuffle(input, groups)
    assert_equal(output, torch.channel_shuffle(input, groups))
    assert_equal(output, nn.ChannelShuffle(groups)(input))


def test_the_shuffle_worked_by_hand_and_undone() -> None:
    cards = torch.arange(6)[None, :, None]
    shuffled = channel_shuffle(cards, groups=2)
    assert shuffled.flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(shuffled, groups=3).flatten().tolist() == [*range(6)]


def test_the_shuffle_of_any_layout_and_its_derivative() -> None:
    input = whole_numbers((2, 6, 3, 4))
    for layout in ("transposed", "channels last", "sliced"):
        stored = LAYOUTS[layout](input)
        assert_equal(channel_shuffle(stored, 3), torch.channel_shuffle(input, 3))
    assert gradcheck(lambda x: channel_shuffle(x, 3), [input.requires_grad_()])


def test_after_a_shuffle_two_layers_of_groups_see_every_channel() -> None:
    def reach(shuffled: bool) -> list[int]:
        x = torch.zeros(1, 9, 1, 1, dtype=torch.float64, requires_grad=True)
        hidden = grouped_conv2d(x, ones, groups=3)
        hidden = channel_shuffle(hidden, 3) if shuffled else hidden
        grouped_conv2d(hidden, ones, groups=3)[0, 4].sum().backward()
        assert x.grad is not None
        return x.grad.flatten().nonzero().flatten().tolist()

    ones = torch.ones(9, 3, 1, 1, dtype=torch.float64)
    assert reach(shuffled=False) == [3, 4, 5]
    assert reach(shuffled=True) == [*range(9)]


def test_what_cannot_be_shuffled_is_named() -> None:
    with rejects(TypeError, "input is a list: expected a torch.Tensor"):
        channel_shuffle([[[1.0]]], 1)  # type: ignore[arg-type]
    with rejects(ValueError, "input of shape (2, 6): expected (N, C, ...)"):
        channel_shuffle(torch.ones(2, 6), 2)
    with rejects(ValueError, "groups=4: expected a divisor of channels=6"):
        channel_shuffle(LARGE["input"], 4)


# The layer.

ARGUMENTS: list[dict[str, Any]] = [
    {"kernel_size": 3, "groups": 4},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"kernel_size": (2, 3), "padding": "same", "groups": 2, "bias": False},
    {"kernel_size": (2, 3), "stride": 2, "padding": "valid", "dtype": torch.float64},
]
MODES = ["zeros", "reflect", "replicate", "circular"]


def twins(seed: int, arguments: dict[str, Any]) -> tuple[nn.Conv2d, GroupedConv2d]:
    """Return torch's layer and the package's, from equal seeds."""
    torch.manual_seed(seed)
    torchs = nn.Conv2d(8, 12, **arguments)
    torch.manual_seed(seed)
    return torchs, GroupedConv2d(8, 12, **arguments)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("padding_mode", MODES)
@pytest.mark.parametrize("shape", [(2, 8, 7, 6), (8, 7, 6), (0, 8, 7, 6)])
def test_the_layer_is_torchs_layer(
    arguments: dict[str, Any], padding_mode: str, shape: tuple[int, ...]
) -> None:
    arguments = arguments | {"padding_mode": padding_mode}
    torchs, ours = twins(1, arguments)
    assert repr(ours) == repr(torchs).replace("Conv2d", "GroupedConv2d")
    _, other = twins(2, arguments)
    assert ours.state_dict().keys() == torchs.state_dict().keys()
    for mine, theirs in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert_equal(mine, theirs)
    other.load_state_dict(torchs.state_dict())
    torchs.load_state_dict(other.state_dict())
    input = whole_numbers(shape).to(torchs.weight.dtype)
    for layer in (ours, other):
        torch.testing.assert_close(layer(input), torchs(input))


def test_the_layer_learns_as_torchs_does() -> None:
    torchs, ours = twins(0, {"kernel_size": 3, "groups": 4, "padding_mode": "reflect"})
    input = whole_numbers((2, 8, 7, 6)).float()
    for layer in (torchs, ours):
        layer(input).square().sum().backward()
    for mine, theirs in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-3)


@each(
    ("name", "value", "error"),
    [
        *bad_integers(in_channels=1, out_channels=1),
        *bad_pairs(kernel_size=1, stride=1, dilation=1),
        ("in_channels", 6, ValueError),
        ("out_channels", 6, ValueError),
        ("bias", 1, TypeError),
        ("padding", -1, ValueError),
        ("padding", 1.5, TypeError),
        ("padding", "full", ValueError),
        ("padding_mode", "mirror", ValueError),
        ("padding_mode", None, ValueError),
    ],
)
def test_the_layer_names_an_impossible_argument(
    name: str, value: Any, error: type[Exception]
) -> None:
    arguments: Any = {
        "in_channels": 8,
        "out_channels": 8,
        "kernel_size": 3,
        "groups": 4,
    }
    message = f"{name}={value!r}: expected"
    if value == 6:
        message = f"groups=4: expected a divisor of {name}=6"
    with rejects(error, message):
        GroupedConv2d(**arguments | {name: value})
    if name in {"in_channels", "out_channels", "kernel_size", "stride", "dilation"}:
        with rejects(error, message):
            grouped_conv2d_cost(**arguments | {"input_size": 9, name: value})


def test_the_layer_names_a_stride_that_padding_same_does_not_allow() -> None:
    with rejects(ValueError, "stride=2: expected 1, as padding='same' needs"):
        GroupedConv2d(8, 8, 3, stride=2, padding="same")


@pytest.mark.parametrize(
    ("padding_mode", "padding", "fits"),
    [
        ("reflect", (4, 5), True),
        ("reflect", (5, 5), False),
        ("reflect", (4, 6), False),
        ("circular", (5, 6), True),
        ("circular", (6, 6), False),
        ("circular", (5, 7), False),
        ("replicate", 9, True),
    ],
)
def test_a_border_that_the_image_cannot_fill_is_named(
    padding_mode: Any, padding: Any, fits: bool
) -> None:
    layer = GroupedConv2d(2, 2, 3, padding=padding, padding_mode=padding_mode)
    image = torch.ones(1, 2, 5, 6)
    if fits:
        assert layer(image).shape[2:] == tuple(
            size + 2 * border - 2
            for size, border in zip((5, 6), both(padding), strict=True)
        )
        return
    said = (f"padding={both(padding)}: expected", f"'{padding_mode}'", "5×6")
    with rejects(ValueError, *said):
        layer(image)


@pytest.mark.parametrize("padding_mode", MODES)
def test_the_layer_names_an_input_that_is_no_image(padding_mode: Any) -> None:
    layer = GroupedConv2d(2, 2, 3, padding=1, padding_mode=padding_mode)
    with rejects(TypeError, "input is a list: expected a torch.Tensor"):
        layer([[[[1.0]]]])
    with rejects(ValueError, "input of shape (5, 6): expected"):
        layer(torch.ones(5, 6))
    with rejects(ValueError, "input of shape (1, 2, 0, 6): expected"):
        layer(torch.ones(1, 2, 0, 6))
    with rejects(ValueError, "input of shape (1, 3, 5, 6): expected 2 channels"):
        layer(torch.ones(1, 3, 5, 6))


# The cost.


def cost_of(layer: Layer) -> Cost:
    return grouped_conv2d_cost(
        layer.input.shape[1],
        layer.weight.shape[0],
        both(layer.weight.shape[2:]),
        both(layer.input.shape[2:]),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias is not None,
    )


@given(any_layer)
def test_macs_are_the_multiplications_of_a_plain_loop_nest(layer: Layer) -> None:
    N, C_out, H_out, W_out = call(F.conv2d, layer).shape
    G, (_, C_group, K_h, K_w) = layer.groups, layer.weight.shape
    loops = (N, G, C_out // G, C_group, H_out, W_out, K_h, K_w)
    macs = sum(1 for _ in np.ndindex(loops))
    assert cost_of(layer).macs * N == macs


@given(any_layer)
def test_cost_is_what_torch_counts(layer: Layer) -> None:
    """One multiply-accumulate is two of the floating-point operations that torch counts."""
    image = layer.input[:1]
    with FlopCounterMode(display=False) as counter:
        output = call(F.conv2d, replace(layer, input=image))
    params = sum(tensor.numel() for tensor in layer.tensors[1:])
    assert cost_of(layer) == Cost(
        params=params,
        macs=counter.get_total_flops() // 2,
        elements_moved=image.numel() + params + output.numel(),
    )


def test_a_quarter_of_the_weights_and_macs_with_four_groups() -> None:
    """Sources S1 and S4: both are divided by the number of groups."""
    standard, grouped = (
        grouped_conv2d_cost(8, 8, 3, input_size=32, groups=groups) for groups in (1, 4)
    )
    assert grouped.params == 3**2 * 8 * 8 // 4 == 144
    assert grouped.macs == 144 * 30 * 30 == standard.macs // 4
    assert grouped.elements_moved == 8 * 32 * 32 + 144 + 8 * 30 * 30


def test_alexnet_of_2012_has_its_60_965_224_parameters() -> None:
    """Krizhevsky et al. 2012; without the two groups they would be 62,378,344."""

    def parameters(groups: int) -> int:
        layers = [(3, 96, 11, 1), (96, 256, 5, groups), (256, 384, 3, 1)]
        layers += [(384, 384, 3, groups), (384, 256, 3, groups)]
        layers += [(256, 4096, 6, 1), (4096, 4096, 1, 1), (4096, 1000, 1, 1)]
        return sum(
            grouped_conv2d_cost(i, o, k, input_size=k, groups=g, bias=True).params
            for i, o, k, g in layers
        )

    assert parameters(groups=2) == 60_965_224
    assert parameters(groups=1) == 62_378_344


def test_cost_names_groups_that_do_not_divide_and_a_bias_that_is_none() -> None:
    with rejects(ValueError, "groups=3: expected a divisor of in_channels=8"):
        grouped_conv2d_cost(8, 9, 3, 5, groups=3)
    with rejects(TypeError, "bias=1: expected True or False"):
        grouped_conv2d_cost(8, 8, 3, 5, bias=1)  # type: ignore[arg-type]
