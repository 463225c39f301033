"""Two steps: torch's two layers, one standard layer of bounded rank, and what they cost."""

from collections import OrderedDict
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
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost
from convnotes.depthwise import depthwise_conv2d, depthwise_conv2d_cost
from convnotes.depthwise_separable import (
    DepthwiseSeparableConv2d,
    composed_weight,
    depthwise_separable_conv2d,
    depthwise_separable_conv2d_cost,
    depthwise_separable_conv2d_loops,
    nearest_weights,
)
from convnotes.matrices import as_matrix
from convnotes.pointwise import pointwise_conv2d, pointwise_conv2d_cost
from convnotes.standard import conv2d_cost

FORMS = [depthwise_separable_conv2d_loops, depthwise_separable_conv2d]


@dataclass(frozen=True)
class Steps:
    """The arguments of one call."""

    input: Tensor
    depthwise: Tensor
    pointwise: Tensor
    bias: Tensor | None
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1

    @property
    def multiplier(self) -> int:
        return self.depthwise.shape[0] // self.input.shape[1]

    @property
    def tensors(self) -> list[Tensor]:
        given = (self.input, self.depthwise, self.pointwise, self.bias)
        return [tensor for tensor in given if tensor is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Steps":
        input, depthwise, pointwise, *bias = map(function, self.tensors)
        return replace(
            self,
            input=input,
            depthwise=depthwise,
            pointwise=pointwise,
            bias=bias[0] if bias else None,
        )


def asymmetric() -> Steps:
    """Return steps in which no two axes are alike; what they add up is at most 146."""
    return Steps(
        input=whole_numbers((2, 3, 8, 7), seed=1),
        depthwise=whole_numbers((3 * 2, 1, 3, 2), seed=2),
        pointwise=whole_numbers((5, 3 * 2, 1, 1), seed=3, largest=1),
        bias=whole_numbers((5,), seed=4),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 3),
    )


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    """Any small layer whose kernel fits."""
    layer = draw(layers(dilated=True))
    C_out, C_in, *kernel_size = layer.weight.shape
    C_mid, seed = C_in * draw(st.integers(1, 3)), draw(st.integers(0, 2**16))
    return Steps(
        input=layer.input,
        depthwise=whole_numbers((C_mid, 1, *kernel_size), seed),
        pointwise=whole_numbers((C_out, C_mid, 1, 1), seed + 1),
        bias=layer.bias,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
    )


def call(function: Callable[..., Any], steps: Steps) -> Any:
    return function(
        steps.input,
        steps.depthwise,
        steps.pointwise,
        steps.bias,
        steps.stride,
        steps.padding,
        steps.dilation,
    )


def torchs(steps: Steps) -> Tensor:
    """Return what torch's two layers give."""
    hidden = F.conv2d(
        steps.input,
        steps.depthwise,
        None,
        steps.stride,
        steps.padding,
        steps.dilation,
        groups=steps.input.shape[1],
    )
    return F.conv2d(hidden, steps.pointwise, steps.bias)


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand(function: Callable[..., Any]) -> None:
    input = tensor([[[[1, 2, 3], [0, 1, 4]], [[2, 0, 1], [1, 1, 0]]]])
    depthwise = tensor([[[[1, 2], [0, 3]]], [[[1, 0], [4, 1]]]])
    pointwise = tensor([[10, 1], [0, 5], [2, -1]]).reshape(3, 2, 1, 1)
    first = [1 * 1 + 2 * 2 + 0 * 0 + 3 * 1, 1 * 2 + 2 * 3 + 0 * 1 + 3 * 4]
    second = [1 * 2 + 0 * 0 + 4 * 1 + 1 * 1, 1 * 0 + 0 * 1 + 4 * 1 + 1 * 0]
    assert (first, second) == ([8, 20], [7, 4])
    by_hand = [
        [[10 * 8 + 1 * 7, 10 * 20 + 1 * 4]],
        [[0 * 8 + 5 * 7, 0 * 20 + 5 * 4]],
        [[2 * 8 - 1 * 7, 2 * 20 - 1 * 4]],
    ]
    assert by_hand == [[[87, 204]], [[35, 20]], [[9, 36]]]
    assert_equal(function(input, depthwise, pointwise), tensor([by_hand]))


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_with_multiplier_bias_stride_padding_and_dilation(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3, 4]], [[5, 6, 7, 8]]]])  # two channels of one row
    # Kernels 0 and 1 read channel 0, kernels 2 and 3 channel 1.
    depthwise = tensor([[1, 1], [0, 1], [1, 0], [2, 1]]).reshape(4, 1, 1, 2)
    pointwise = tensor([1000, 100, 10, 1]).reshape(1, 4, 1, 1)
    # Padded: 0 1 2 3 4 0 and 0 5 6 7 8 0. A dilation of 2 reads places 0 and 2; after a
    # stride of 3, places 3 and 5.
    hidden = [[0 + 2, 3 + 0], [2, 0], [0, 7], [2 * 0 + 6, 2 * 7 + 0]]
    by_hand = [
        1000 * 2 + 100 * 2 + 10 * 0 + 1 * 6 + 7,
        1000 * 3 + 100 * 0 + 10 * 7 + 1 * 14 + 7,
    ]
    assert hidden == [[2, 3], [2, 0], [0, 7], [6, 14]]
    assert by_hand == [2213, 3091]
    output = function(input, depthwise, pointwise, tensor([7]), (1, 3), (0, 1), (1, 2))
    assert_equal(output, tensor([[[by_hand]]]))


@given(steps())
def test_the_loops_equal_torchs_two_layers(steps: Steps) -> None:
    assert_equal(call(depthwise_separable_conv2d_loops, steps), torchs(steps))


@given(steps())
def test_the_fast_form_equals_the_loops(steps: Steps) -> None:
    expected = call(depthwise_separable_conv2d_loops, steps)
    assert_equal(call(depthwise_separable_conv2d, steps), expected)


@given(steps())
def test_the_fast_form_and_its_gradients_equal_torchs(steps: Steps) -> None:
    steps = steps.map(torch.Tensor.requires_grad_)
    output, expected = call(depthwise_separable_conv2d, steps), torchs(steps)
    assert_same_gradients(output, expected, steps.tensors)


def test_first_and_second_derivatives_are_the_numerical_ones() -> None:
    def function(
        input: Tensor, depthwise: Tensor, pointwise: Tensor, bias: Tensor
    ) -> Tensor:
        options: tuple[Pair, Pair, Pair] = (2, 1), (1, 2), (1, 2)
        return depthwise_separable_conv2d(input, depthwise, pointwise, bias, *options)

    assert_numerical_derivatives(
        function, (1, 2, 4, 3), (4, 1, 3, 2), (3, 4, 1, 1), (3,)
    )


# Identities.


@given(steps())
def test_the_two_steps_are_the_composed_standard_convolution(steps: Steps) -> None:
    weight = composed_weight(steps.depthwise, steps.pointwise, steps.multiplier)
    options = steps.stride, steps.padding, steps.dilation
    expected = F.conv2d(steps.input, weight, steps.bias, *options)
    assert_equal(call(depthwise_separable_conv2d, steps), expected)


def test_the_composed_weight_worked_by_hand() -> None:
    depthwise = tensor([[1, 2], [0, 1], [3, 0], [1, 1]]).reshape(4, 1, 1, 2)
    pointwise = tensor([[1, 10, 2, 5], [0, 1, 0, 0]]).reshape(2, 4, 1, 1)
    # Channel 0 has kernels 0 and 1, channel 1 has kernels 2 and 3.
    by_hand = [
        [[1 * 1 + 10 * 0, 1 * 2 + 10 * 1], [2 * 3 + 5 * 1, 2 * 0 + 5 * 1]],
        [[0, 1], [0, 0]],
    ]
    assert by_hand == [[[1, 12], [11, 5]], [[0, 1], [0, 0]]]
    expected = tensor(by_hand).unsqueeze(2)
    assert_equal(composed_weight(depthwise, pointwise, 2), expected)


@given(steps())
def test_for_each_input_channel_the_composed_kernels_have_a_rank_of_at_most_m(
    steps: Steps,
) -> None:
    M = steps.multiplier
    weight = composed_weight(steps.depthwise, steps.pointwise, M)
    ranks = torch.linalg.matrix_rank(weight.transpose(0, 1).flatten(2))
    assert ranks.max() <= M


def test_the_bound_on_the_rank_is_reached() -> None:
    for M in (1, 2, 4, 6):
        depthwise = whole_numbers((3 * M, 1, 3, 2), seed=M, largest=50)
        pointwise = whole_numbers((7, 3 * M, 1, 1), seed=M + 10, largest=50)
        weight = composed_weight(depthwise, pointwise, M)
        ranks = torch.linalg.matrix_rank(weight.transpose(0, 1).flatten(2))
        assert ranks.tolist() == [M, M, M]


def test_with_an_identity_for_one_step_it_is_the_other() -> None:
    given = asymmetric()
    identity = torch.eye(6, dtype=torch.float64).reshape(6, 6, 1, 1)
    options = given.stride, given.padding, given.dilation
    assert_equal(
        depthwise_separable_conv2d(
            given.input, given.depthwise, identity, None, *options
        ),
        depthwise_conv2d(given.input, given.depthwise, None, *options),
    )
    ones, weight = torch.ones(3, 1, 1, 1).double(), given.pointwise[:, :3]
    assert_equal(
        depthwise_separable_conv2d(given.input, ones, weight, given.bias),
        pointwise_conv2d(given.input, weight, given.bias),
    )


def test_as_a_matrix_it_is_a_mixing_matrix_times_blocks_on_a_diagonal() -> None:
    given = asymmetric()
    options = given.stride, given.padding, given.dilation
    whole = as_matrix(
        lambda x: depthwise_separable_conv2d(
            x, given.depthwise, given.pointwise, None, *options
        ),
        (3, 8, 7),
    )
    blocks = []
    for c in range(3):  # two filters, stacked, read channel c alone
        filters = given.depthwise[2 * c : 2 * c + 2]
        blocks.append(
            as_matrix(lambda x, f=filters: F.conv2d(x, f, None, *options), (1, 8, 7))  # type: ignore[misc]
        )
    positions = whole.shape[0] // 5
    mixing = torch.kron(
        given.pointwise.flatten(1), torch.eye(positions, dtype=torch.float64)
    )
    assert_equal(mixing @ torch.block_diag(*blocks), whole)


def test_a_bias_between_the_steps_is_a_bias_after_them() -> None:
    given = asymmetric()
    between = whole_numbers((6,), seed=7)
    options = given.stride, given.padding, given.dilation
    hidden = depthwise_conv2d(given.input, given.depthwise, between, *options)
    folded = given.pointwise.flatten(1) @ between
    assert_equal(
        pointwise_conv2d(hidden, given.pointwise),
        depthwise_separable_conv2d(
            given.input, given.depthwise, given.pointwise, folded, *options
        ),
    )


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    given = asymmetric()
    ints = replace(given, stride=2, padding=1, dilation=2)
    pairs = replace(given, stride=(2, 2), padding=(1, 1), dilation=(2, 2))
    assert_equal(call(function, ints), call(function, pairs))


# The nearest layer.


def distance(weight: Tensor, M: int) -> float:
    return (composed_weight(*nearest_weights(weight, M), M) - weight).norm().item()


def test_the_nearest_to_two_kernels_of_one_length_is_their_mean() -> None:
    vertical = tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    diagonal = tensor([[0, -1, -2], [1, 0, -1], [2, 1, 0]])
    # Both have squares of 12 in sum and a scalar product of 8, so the matrix of their
    # scalar products has the eigenvalues 12 + 8 (of their sum) and 12 - 8 (of their difference).
    assert (vertical**2).sum() == (diagonal**2).sum() == 12
    assert (vertical * diagonal).sum() == 8
    weight = torch.stack([vertical, diagonal]).unsqueeze(1)
    composed = composed_weight(*nearest_weights(weight))
    mean = (vertical + diagonal) / 2
    torch.testing.assert_close(composed, mean.expand(2, 1, 3, 3))
    assert distance(weight, 1) == pytest.approx((12 - 8) ** 0.5)
    assert distance(weight, 2) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("shape", [(7, 3, 3, 2), (4, 2, 3, 3), (1, 2, 2, 3)])
def test_the_distance_is_that_of_the_singular_values_left_out(
    shape: tuple[int, ...],
) -> None:
    weight = whole_numbers(shape, seed=3, largest=9)
    matrices = weight.numpy().transpose(1, 0, 2, 3).reshape(shape[1], shape[0], -1)
    sizes = np.linalg.svd(matrices, compute_uv=False)
    for M in range(1, sizes.shape[1] + 1):
        depthwise, pointwise = nearest_weights(weight, M)
        assert depthwise.shape == (shape[1] * M, 1, *shape[2:])
        assert pointwise.shape == (shape[0], shape[1] * M, 1, 1)
        expected = float((sizes[:, M:] ** 2).sum() ** 0.5)
        assert distance(weight, M) == pytest.approx(expected, abs=1e-12)


def test_with_the_largest_multiplier_every_weight_is_met_exactly() -> None:
    for shape in [(7, 3, 3, 2), (4, 2, 3, 3)]:
        weight = whole_numbers(shape, seed=4, largest=9)
        most = min(shape[0], shape[2] * shape[3])
        composed = composed_weight(*nearest_weights(weight, most), most)
        torch.testing.assert_close(composed, weight)


def test_no_other_layer_is_nearer() -> None:
    weight = whole_numbers((6, 2, 3, 3), seed=5, largest=9)
    generator = torch.Generator().manual_seed(0)
    for M in (1, 2, 4):
        nearest, found = distance(weight, M), nearest_weights(weight, M)
        for size in (1e-3, 1e-1, 1):
            for _ in range(20):
                other = [
                    t + size * torch.randn(t.shape, generator=generator).double()
                    for t in found
                ]
                off = composed_weight(other[0], other[1], M) - weight
                assert off.norm().item() > nearest


def test_the_nearest_to_a_layer_of_the_family_is_that_layer() -> None:
    given = asymmetric()
    weight = composed_weight(given.depthwise, given.pointwise, 2)
    again = composed_weight(*nearest_weights(weight, 2), 2)
    torch.testing.assert_close(again, weight)
    zeros = torch.zeros_like(weight)
    assert_equal(composed_weight(*nearest_weights(zeros, 2), 2), zeros)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_nearest_weights_are_of_the_weights_dtype(dtype: torch.dtype) -> None:
    weight = whole_numbers((4, 3, 3, 2), seed=6).to(dtype)
    depthwise, pointwise = nearest_weights(weight, 4)
    assert depthwise.dtype == pointwise.dtype == dtype
    wide = torch.promote_types(dtype, torch.float32)  # in which it was computed
    tolerance = 8 * torch.finfo(dtype).eps + 200 * torch.finfo(wide).eps
    composed = composed_weight(depthwise.double(), pointwise.double(), 4)
    torch.testing.assert_close(
        composed, weight.double(), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_weights_may_lie_in_memory_in_any_order(layout: str) -> None:
    given = asymmetric().map(LAYOUTS[layout])
    plain = given.map(torch.Tensor.contiguous)
    weight = composed_weight(given.depthwise, given.pointwise, 2)
    assert_equal(weight, composed_weight(plain.depthwise, plain.pointwise, 2))
    torch.testing.assert_close(
        composed_weight(*nearest_weights(LAYOUTS["transposed"](weight), 2), 2), weight
    )


# Dtypes, devices, layouts.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype_on_every_device(
    device: str, dtype: torch.dtype
) -> None:
    """The sums are at most 6 · (6 · 2 · 2) · 1 + 2 = 146, and bfloat16 counts to 256."""
    given = asymmetric()
    output = call(depthwise_separable_conv2d, given.map(lambda t: t.to(device, dtype)))
    assert_equal(output, torchs(given).to(device, dtype))


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    given = asymmetric().map(LAYOUTS[layout])
    expected = torchs(given.map(torch.Tensor.contiguous))
    assert_equal(call(function, given), expected)


def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero() -> None:
    given = asymmetric()
    given = replace(given, input=given.input[:0])
    assert_equal(call(depthwise_separable_conv2d_loops, given), torchs(given))
    given = given.map(torch.Tensor.requires_grad_)
    output = call(depthwise_separable_conv2d, given)
    assert_equal(output, torchs(given))
    for gradient, tensor in zip(
        torch.autograd.grad(output.sum(), given.tensors), given.tensors, strict=True
    ):
        assert_equal(gradient, torch.zeros_like(tensor))


def test_on_the_meta_device_it_tells_shapes_without_computing() -> None:
    with torch.device("meta"):
        layer = DepthwiseSeparableConv2d(
            16, 33, (3, 5), (2, 1), (4, 2), (3, 1), channel_multiplier=2
        )
        output = layer(torch.empty(20, 16, 50, 100))
    assert output.is_meta
    assert output.shape == (20, 33, 26, 100)


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    given = asymmetric()
    call(function, given)
    for tensor, untouched in zip(given.tensors, asymmetric().tensors, strict=True):
        assert_equal(tensor, untouched)


def test_the_loops_take_arrays_lists_and_tensors_and_give_float64() -> None:
    given = asymmetric()
    expected = torchs(given).numpy()
    for convert in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.float):
        converted = given.map(convert)  # type: ignore[arg-type]
        output = call(depthwise_separable_conv2d_loops, converted)
        np.testing.assert_array_equal(output, expected, strict=True)


# The layer.


def pair_of_layers(
    in_channels: int, out_channels: int, multiplier: int, bias: bool, **depthwise: Any
) -> nn.Sequential:
    """Return torch's own two layers, under the names that the layer here uses."""
    middle = in_channels * multiplier
    first = nn.Conv2d(in_channels, middle, **depthwise, groups=in_channels, bias=False)
    second = nn.Conv2d(middle, out_channels, kernel_size=1, bias=bias)
    return nn.Sequential(OrderedDict(depthwise=first, pointwise=second))


OPTIONS: dict[str, Any] = {
    "kernel_size": (3, 2),
    "stride": (2, 1),
    "padding": (1, 2),
    "dilation": (1, 2),
}


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_state_dict_moves_to_and_from_a_pair_of_torchs_layers(
    multiplier: int, bias: bool
) -> None:
    ours = DepthwiseSeparableConv2d(
        3, 5, **OPTIONS, bias=bias, channel_multiplier=multiplier
    )
    theirs = pair_of_layers(3, 5, multiplier, bias, **OPTIONS)
    input = torch.randn(2, 3, 8, 7)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for source, target in [(ours, theirs), (theirs, ours)]:
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.copy_(torch.randn(parameter.shape))
        target.load_state_dict(source.state_dict())
        torch.testing.assert_close(ours(input), theirs(input))


def test_equal_seeds_give_torchs_initial_values() -> None:
    torch.manual_seed(3)
    ours = DepthwiseSeparableConv2d(3, 5, **OPTIONS, channel_multiplier=2)
    torch.manual_seed(3)
    theirs = pair_of_layers(3, 5, 2, bias=True, **OPTIONS)
    for name, value in theirs.state_dict().items():
        assert_equal(ours.state_dict()[name], value)


def test_the_layer_is_the_function_of_its_parameters() -> None:
    given = asymmetric()
    layer = DepthwiseSeparableConv2d(
        3, 5, (3, 2), (2, 1), (1, 2), (1, 3), True, 2, "zeros", "cpu", torch.float64
    )
    with torch.no_grad():
        layer.depthwise.weight.copy_(given.depthwise)
        layer.pointwise.weight.copy_(given.pointwise)
        assert layer.pointwise.bias is not None
        layer.pointwise.bias.copy_(given.bias)  # type: ignore[arg-type]
    assert_equal(layer(given.input), torchs(given))


def test_the_layer_tells_its_parts() -> None:
    layer = DepthwiseSeparableConv2d(4, 6, kernel_size=3, channel_multiplier=2)
    assert layer.depthwise.bias is None
    said = repr(layer)
    assert "(depthwise): DepthwiseConv2d(4, 8, kernel_size=(3, 3)" in said
    assert "(pointwise): PointwiseConv2d(8, 6" in said


# Costs.


def cost_of(steps: Steps) -> Cost:
    height, width = steps.input.shape[2:]
    return depthwise_separable_conv2d_cost(
        steps.input.shape[1],
        steps.pointwise.shape[0],
        (steps.depthwise.shape[2], steps.depthwise.shape[3]),
        (height, width),
        stride=steps.stride,
        padding=steps.padding,
        dilation=steps.dilation,
        channel_multiplier=steps.multiplier,
        bias=steps.bias is not None,
    )


@given(steps())
def test_macs_are_the_multiplications_of_two_plain_loop_nests(steps: Steps) -> None:
    starts = [
        range(-padding, size + padding - dilation * (kernel_size - 1), stride)
        for size, kernel_size, stride, padding, dilation in zip(
            steps.input.shape[2:],
            steps.depthwise.shape[2:],
            both(steps.stride),
            both(steps.padding),
            both(steps.dilation),
            strict=True,
        )
    ]
    C_out, C_mid = steps.pointwise.shape[:2]
    macs = 0
    for _ in product(*starts):
        for _k, _u, _v in product(range(C_mid), *map(range, steps.depthwise.shape[2:])):
            macs += 1
        for _o, _k in product(range(C_out), range(C_mid)):
            macs += 1
    assert cost_of(steps).macs == macs


@given(steps())
def test_cost_is_what_torch_counts(steps: Steps) -> None:
    """One multiply-accumulate is two of the floating-point operations that torch counts."""
    one = replace(steps, input=steps.input[:1])
    with FlopCounterMode(display=False) as counter:
        output = torchs(one)
    params = sum(tensor.numel() for tensor in one.tensors[1:])
    hidden = one.depthwise.shape[0] * output[0, 0].numel()
    assert cost_of(steps) == Cost(
        params=params,
        macs=counter.get_total_flops() // 2,
        elements_moved=one.input.numel() + params + 2 * hidden + output.numel(),
    )


def test_cost_is_the_sum_of_the_two_steps() -> None:
    options: dict[str, Any] = {"stride": (2, 1), "padding": (4, 2), "dilation": (3, 1)}
    cost = depthwise_separable_conv2d_cost(
        16, 33, (3, 5), (50, 100), **options, channel_multiplier=2, bias=True
    )
    first = depthwise_conv2d_cost(
        16, (3, 5), (50, 100), **options, channel_multiplier=2
    )
    assert cost == first + pointwise_conv2d_cost(32, 33, (26, 100), bias=True)
    assert cost.macs == (16 * 2 * 3 * 5 + 33 * 16 * 2) * (26 * 100)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "multiplier", "depthwise", "pointwise", "standard"),
    [
        (256, 256, 4, 9_216, 262_144, 589_824),
        (16, 32, 1, 144, 512, 4_608),
        (3, 4, 1, 27, 12, 108),
    ],
)
def test_the_sources_examples(
    in_channels: int,
    out_channels: int,
    multiplier: int,
    depthwise: int,
    pointwise: int,
    standard: int,
) -> None:
    cost = depthwise_separable_conv2d_cost(
        in_channels, out_channels, 3, 64, padding=1, channel_multiplier=multiplier
    )
    assert depthwise == in_channels * multiplier * 3 * 3
    assert pointwise == in_channels * multiplier * out_channels
    assert cost.params == depthwise + pointwise
    assert cost.macs == (depthwise + pointwise) * 64 * 64
    assert conv2d_cost(in_channels, out_channels, 3, 64).params == standard


def test_the_published_costs_of_a_layer_of_mobilenet() -> None:
    """Howard et al. 2017, table 3: 512 to 512 channels, 3×3, on 14×14; in millions."""

    def millions(cost: Cost) -> tuple[float, float]:
        return round(cost.macs / 1e6, 1), round(cost.params / 1e6, 2)

    def separable(channels: int, size: int) -> Cost:
        return depthwise_separable_conv2d_cost(channels, channels, 3, size, padding=1)

    standard = conv2d_cost(512, 512, 3, 14, padding=1)
    assert (round(standard.macs / 1e6), round(standard.params / 1e6, 2)) == (462, 2.36)
    assert millions(separable(512, 14)) == (52.3, 0.27)
    assert millions(separable(384, 14)) == (29.6, 0.15)
    assert millions(separable(384, 10)) == (15.1, 0.15)


def test_the_share_of_a_standard_layer_is_one_over_outputs_plus_one_over_kernel() -> (
    None
):
    for C_in, C_out, K_h, K_w in [(16, 32, 3, 3), (7, 5, 1, 4), (1, 1, 2, 2)]:
        ours = depthwise_separable_conv2d_cost(C_in, C_out, (K_h, K_w), (9, 8))
        theirs = conv2d_cost(C_in, C_out, (K_h, K_w), (9, 8))
        share = 1 / C_out + 1 / (K_h * K_w)
        assert ours.params / theirs.params == pytest.approx(share)
        assert ours.macs / theirs.macs == pytest.approx(share)


# Errors. LARGE is so large that to compute anything with it first is a memory error.

LARGE: dict[str, Any] = {
    "input": torch.ones((), dtype=torch.float64).expand(10**12, 3, 5, 7),
    "depthwise_weight": torch.ones(6, 1, 3, 2, dtype=torch.float64),
    "pointwise_weight": torch.ones(4, 6, 1, 1, dtype=torch.float64),
    "bias": torch.ones(4, dtype=torch.float64),
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0, dilation=1))
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
        ("input", (2, 0, 5, 7), "sizes of at least 1"),
        ("input", (2, 3, 0, 7), "sizes of at least 1"),
        ("input", (2, 3, 5, 0), "sizes of at least 1"),
        ("depthwise_weight", (6, 3, 2), "(C_in * M, 1, K_h, K_w)"),
        ("depthwise_weight", (6, 2, 3, 2), "(C_in * M, 1, K_h, K_w)"),
        ("depthwise_weight", (6, 1, 0, 2), "(C_in * M, 1, K_h, K_w)"),
        ("depthwise_weight", (6, 1, 3, 0), "(C_in * M, 1, K_h, K_w)"),
        ("depthwise_weight", (0, 1, 3, 2), "(C_in * M, 1, K_h, K_w)"),
        ("pointwise_weight", (4, 6), "(C_out, C_in * M, 1, 1)"),
        ("pointwise_weight", (4, 3, 1, 1), "(C_out, 6, 1, 1)"),
        ("pointwise_weight", (4, 6, 3, 1), "(C_out, 6, 1, 1)"),
        ("pointwise_weight", (4, 6, 1, 2), "(C_out, 6, 1, 1)"),
        ("pointwise_weight", (0, 6, 1, 1), "(C_out, 6, 1, 1)"),
        ("bias", (6,), "(4,)"),
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


@pytest.mark.parametrize("function", FORMS)
def test_kernels_that_do_not_share_out_among_the_channels_are_told_so(
    function: Callable[..., Any],
) -> None:
    weights = {
        "depthwise_weight": torch.ones(4, 1, 3, 2, dtype=torch.float64),
        "pointwise_weight": torch.ones(4, 4, 1, 1, dtype=torch.float64),
    }
    said = "depthwise_weight of shape (4, 1, 3, 2): expected (3 * M, 1, K_h, K_w)"
    with rejects(ValueError, said, "for input of shape (1000000000000, 3, 5, 7)"):
        function(**LARGE | weights)


@pytest.mark.parametrize(
    ("kernel_size", "said"),
    [  # The padded input is 5 + 2 by 7 + 4.
        (
            (8, 1),
            ("depthwise_weight of shape (6, 1, 8, 1) spans 8×1", "at most 7×11"),
        ),
        (
            (1, 12),
            ("depthwise_weight of shape (6, 1, 1, 12) spans 1×12", "at most 7×11"),
        ),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any], kernel_size: tuple[int, int], said: tuple[str, ...]
) -> None:
    weight = torch.ones(6, 1, *kernel_size, dtype=torch.float64)
    with rejects(ValueError, *said):
        function(**LARGE | {"depthwise_weight": weight}, padding=(1, 2))


@each(
    ("name", "value", "said"),
    [
        ("input", None, "input=None: expected a tensor"),
        ("depthwise_weight", None, "depthwise_weight=None: expected a tensor"),
        ("pointwise_weight", None, "pointwise_weight=None: expected a tensor"),
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("depthwise_weight", np.ones((6, 1, 3, 2)), "a ndarray: expected a torch"),
        ("bias", [1.0, 2.0, 3.0, 4.0], "a list: expected a torch.Tensor"),
        ("input", LARGE["input"][:1].int(), "torch.int32: expected a floating-point"),
        (
            "pointwise_weight",
            LARGE["pointwise_weight"].float(),
            "torch.float32 on cpu: expected torch.float64",
        ),
        ("bias", LARGE["bias"].to("meta"), "on meta: expected torch.float64 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        depthwise_separable_conv2d(**LARGE | {name: value})


@pytest.mark.parametrize("value", [None, "image", [[[["1"]]]], [[[[1j]]]]], ids=repr)
@pytest.mark.parametrize("name", ["input", "depthwise_weight", "pointwise_weight"])
def test_the_loops_name_what_is_no_array_of_numbers(name: str, value: Any) -> None:
    names, one = ("input", "depthwise_weight", "pointwise_weight"), [[[[1.0]]]]
    given: dict[str, Any] = {key: value if key == name else one for key in names}
    with rejects(TypeError, name, "expected"):
        depthwise_separable_conv2d_loops(**given)


@each(
    ("name", "value", "error"),
    bad_integers(in_channels=1, out_channels=1, channel_multiplier=1),
)
def test_the_layer_and_its_cost_name_an_impossible_count(
    name: str, value: Any, error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {"in_channels": 3, "out_channels": 4, "kernel_size": 3}
    said = f"{name}={value!r}: expected an integer >= 1"
    with rejects(error, said):
        depthwise_separable_conv2d_cost(**arguments | {name: value}, input_size=8)
    with rejects(error, said):
        DepthwiseSeparableConv2d(**arguments | {name: value})


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
)
def test_the_layer_and_its_cost_name_an_impossible_pair(
    name: str, value: Any, error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {"in_channels": 3, "out_channels": 4, "kernel_size": 3}
    said = f"{name}={value!r}: expected an int or a (height, width) pair"
    with rejects(error, said):
        depthwise_separable_conv2d_cost(**arguments | {name: value}, input_size=8)
    if isinstance(value, str) and name == "padding":  # the layer knows two names
        value, error = "full", ValueError
        said = "padding='full': expected 'same', 'valid' or numbers"
    with rejects(error, said):
        DepthwiseSeparableConv2d(**arguments | {name: value})


def test_the_layer_takes_padding_by_name_and_one_image() -> None:
    options: dict[str, Any] = {"padding": "same", "padding_mode": "reflect"}
    ours = DepthwiseSeparableConv2d(3, 4, 3, **options).double()
    theirs = nn.Conv2d(3, 3, 3, groups=3, bias=False, **options).double()
    for layer in (ours, theirs):
        for parameter in layer.parameters():
            parameter.data = whole_numbers(parameter.shape)
    image = whole_numbers((3, 6, 7), seed=1)
    expected = F.conv2d(theirs(image), ours.pointwise.weight, ours.pointwise.bias)
    assert_equal(ours(image), expected)


@each(
    ("name", "value", "error"),
    [("input_size", 0, ValueError), ("input_size", (8, 1.5), TypeError)],
)
def test_the_cost_names_an_impossible_input_size(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected"):
        depthwise_separable_conv2d_cost(3, 4, 3, value)


@pytest.mark.parametrize("value", [1, None, "yes", torch.ones(4)], ids=repr)
def test_a_bias_that_is_neither_true_nor_false_is_named(value: Any) -> None:
    with rejects(TypeError, "bias=", "expected True or False"):
        DepthwiseSeparableConv2d(3, 4, 3, bias=value)
    with rejects(TypeError, "bias=", "expected True or False"):
        depthwise_separable_conv2d_cost(3, 4, 3, 8, bias=value)


def test_a_kernel_that_does_not_fit_has_no_cost() -> None:
    with rejects(ValueError, "kernel_size=3 with dilation=4 spans 9 pixels"):
        depthwise_separable_conv2d_cost(3, 4, 3, (20, 8), dilation=4)


@pytest.mark.parametrize(
    ("shapes", "multiplier", "said"),
    [
        (((6, 1, 3), (4, 6, 1, 1)), 1, "depthwise_weight of shape (6, 1, 3)"),
        (((6, 2, 3, 2), (4, 6, 1, 1)), 1, "depthwise_weight of shape (6, 2, 3, 2)"),
        (((6, 1, 3, 2), (4, 5, 1, 1)), 1, "pointwise_weight of shape (4, 5, 1, 1)"),
        (((6, 1, 3, 2), (4, 6, 1, 2)), 1, "pointwise_weight of shape (4, 6, 1, 2)"),
        (((6, 1, 3, 2), (4, 6, 1, 1)), 4, "channel_multiplier=4: expected a divisor"),
        (((6, 1, 3, 2), (4, 6, 1, 1)), 0, "channel_multiplier=0: expected an integer"),
    ],
)
def test_what_cannot_be_composed_is_named(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], multiplier: int, said: str
) -> None:
    with rejects(ValueError, said):
        composed_weight(torch.ones(shapes[0]), torch.ones(shapes[1]), multiplier)


def test_tensors_that_cannot_be_composed_are_named() -> None:
    with rejects(TypeError, "depthwise_weight is torch.int64"):
        composed_weight(torch.ones(6, 1, 3, 2).long(), torch.ones(4, 6, 1, 1))
    with rejects(TypeError, "pointwise_weight is torch.float64 on cpu"):
        composed_weight(torch.ones(6, 1, 3, 2), torch.ones(4, 6, 1, 1).double())


@pytest.mark.parametrize(
    ("shape", "multiplier", "said"),
    [
        ((4, 3, 3), 1, "weight of shape (4, 3, 3): expected (C_out, C_in, K_h, K_w)"),
        ((4, 0, 3, 3), 1, "weight of shape (4, 0, 3, 3): expected sizes of at least 1"),
        ((4, 2, 3, 3), 5, "channel_multiplier=5: expected at most 4"),
        ((9, 2, 3, 2), 7, "channel_multiplier=7: expected at most 6"),
        ((4, 2, 3, 3), 0, "channel_multiplier=0: expected an integer >= 1"),
    ],
)
def test_what_has_no_nearest_layer_is_named(
    shape: tuple[int, ...], multiplier: int, said: str
) -> None:
    with rejects(ValueError, said):
        nearest_weights(torch.ones(shape), multiplier)


def test_a_weight_of_whole_numbers_has_no_nearest_layer() -> None:
    with rejects(TypeError, "weight is torch.int64: expected a floating-point tensor"):
        nearest_weights(torch.ones(4, 3, 3, 3).long())
