"""The deformable convolution looks where its offsets say, and learns where that should be.

Offsets here are quarters and masks halves of small whole numbers, unless a test says
otherwise: then every product and sum is exact in float64 and in float32, and the tests
compare for equality.
"""

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
    bad_integers,
    bad_pairs,
    both,
    each,
    int_or_pair,
    rejects,
    whole_numbers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import gradcheck

from benchmarks import onnx_runtime
from convnotes import deformable
from convnotes.costs import Cost
from convnotes.deformable import (
    DeformConv2d,
    DeformConv2dPack,
    bilinear,
    deform_conv2d,
    deform_conv2d_cost,
    deform_conv2d_loops,
    deformed_windows,
    parameter_groups,
    sampling_positions,
)
from convnotes.dilated import dilated_conv2d
from convnotes.grouped import contract_groups, grouped_conv2d, grouped_conv2d_cost
from convnotes.matrices import as_matrix
from convnotes.standard import conv2d
from convnotes.windows import windows

FORMS = [deform_conv2d_loops, deform_conv2d]


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Call:
    """The arguments of one call, in torchvision's order."""

    input: Tensor
    offset: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    mask: Tensor | None = None

    def of(self, function: Callable[..., Any], **changed: Any) -> Any:
        return function(*(vars(self) | changed).values())

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> "Call":
        changed: Any = {k: function(v) for k, v in self.tensors.items()}
        return replace(self, **changed)


def sized(
    shape: tuple[int, int, int, int],
    filters: tuple[int, int, int, int],
    options: tuple[Pair, Pair, Pair],
    offset_groups: int = 1,
    modulated: bool = True,
    seed: int = 0,
) -> Call:
    """Return a call with random numbers, with an ``input`` and a ``weight`` of these shapes."""
    input, weight = whole_numbers(shape, seed), whole_numbers(filters, seed + 1)
    like = torch.empty(1, 1, *shape[2:]), torch.empty(1, 1, *filters[2:]), None
    size = F.conv2d(*like, *options).shape[2:]
    samples = offset_groups * filters[2] * filters[3]
    return Call(
        input,
        whole_numbers((shape[0], 2 * samples, *size), seed + 2, largest=11) / 4,
        weight,
        whole_numbers((filters[0],), seed + 3),
        *options,
        whole_numbers((shape[0], samples, *size), seed + 4) / 2 if modulated else None,
    )


def asymmetric(modulated: bool = True) -> Call:
    """Return a call in which no two axes are alike: 2 groups of weights, 3 of offsets."""
    options: Any = ((2, 1), (1, 2), (1, 2))
    return sized((2, 6, 7, 5), (4, 3, 3, 2), options, 3, modulated)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Any small call whose kernel fits."""
    kernel_size = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    options = draw(int_or_pair(1, 2)), draw(int_or_pair(0, 2)), draw(int_or_pair(1, 2))
    height, width = (
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, p, d in zip(kernel_size, both(options[1]), both(options[2]), strict=True)
    )
    groups, offset_groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    C_in = groups * offset_groups * draw(st.integers(1, 2))
    call = sized(
        (draw(st.integers(1, 2)), C_in, height + (height == width), width),
        (groups * draw(st.integers(1, 2)), C_in // groups, *kernel_size),
        options,
        offset_groups,
        draw(st.booleans()),
        draw(st.integers(0, 2**16)),
    )
    return replace(call, bias=call.bias if draw(st.booleans()) else None)


# Four oracles: numbers worked by hand, ONNX Runtime, the definition, and differences.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand_four_pixels_make_a_sample(
    function: Callable[..., Any],
) -> None:
    input = tensor([[[[1, 2, 3], [4, 5, 6]]]])
    offset = torch.zeros(1, 2, 2, 3, dtype=torch.float64)
    offset[0, :, 0, 0] = tensor([0.5, 1.25])  # between rows 0 and 1, columns 1 and 2
    offset[0, :, 0, 1] = tensor([0, -0.5])
    offset[0, :, 0, 2] = tensor([0, 0.75])  # fades: a quarter of the 3 is left
    offset[0, :, 1, 0] = tensor([-1, 2])
    offset[0, :, 1, 1] = tensor([1, 0])  # a whole pixel below the border
    offset[0, :, 1, 2] = tensor([-1.5, -1.5])
    by_hand = [
        [0.5 * (0.75 * 2 + 0.25 * 3) + 0.5 * (0.75 * 5 + 0.25 * 6), 1.5, 0.25 * 3],
        [3, 0, 0.5 * (0.5 * 1 + 0.5 * 2)],
    ]
    assert by_hand == [[3.75, 1.5, 0.75], [3, 0, 0.75]]
    output = function(input, offset, tensor([[[[10]]]]), tensor([1]))
    assert_equal(output, 10 * tensor(by_hand)[None, None] + 1)


@given(calls())
@settings(max_examples=30)
def test_the_loops_equal_onnx_runtime(call: Call) -> None:
    arrays = call.map(torch.Tensor.float)
    given: Any = [
        value.numpy() if isinstance(value, Tensor) else value
        for value in vars(arrays).values()
    ]
    given[4:7] = map(both, given[4:7])
    output = onnx_runtime.deform_conv2d(*given)()
    assert_equal(call.of(deform_conv2d_loops), tensor(output))


@given(calls())
def test_the_fast_form_equals_the_loops(call: Call) -> None:
    assert_equal(call.of(deform_conv2d), call.of(deform_conv2d_loops))


def gradients(call: Call, cotangent: Tensor) -> dict[str, Tensor]:
    call = call.map(lambda t: t.clone().requires_grad_())
    output = call.of(deform_conv2d)
    of = torch.autograd.grad(output, list(call.tensors.values()), cotangent)
    return dict(zip(call.tensors, of, strict=True))


@given(calls())
@settings(max_examples=25)
def test_the_offsets_gradients_are_differences_to_below_and_to_the_right(
    call: Call,
) -> None:
    """Within a cell of pixels an output is linear in each coordinate, so they are exact.

    A step of an eighth from a quarter stays within the cell, and leads from a whole
    position into the cell below or to the right: torchvision's convention. Offsets are as
    far as 2.75 pixels, so that many of the samples are at the border or outside.
    """
    once = tensor(call.of(deform_conv2d_loops))
    cotangent = whole_numbers(once.shape)
    gradient = gradients(call, cotangent)["offset"]
    for channel in range(call.offset.shape[1]):
        moved = call.offset.clone()
        moved[:, channel] += (
            1 / 8
        )  # each position's offset reaches its own output alone
        change = tensor(call.of(deform_conv2d_loops, offset=moved)) - once
        assert_equal(gradient[:, channel], 8 * (cotangent * change).sum(1))


@pytest.mark.parametrize("far", [0.0, 1.0, -2.0, 0.5, 40.0])
def test_the_offsets_gradients_where_all_offsets_are_alike(far: float) -> None:
    call = asymmetric()
    assert call.mask is not None
    alike = torch.full_like(call.offset[:1], far)
    call = replace(call, input=call.input[:1], offset=alike, mask=call.mask[:1])
    once = tensor(call.of(deform_conv2d_loops))
    cotangent = whole_numbers(once.shape)
    gradient = gradients(call, cotangent)["offset"]
    assert (gradient.count_nonzero() > 0) == (far != 40)
    for channel in range(0, 36, 5):
        moved = call.offset.clone()
        moved[:, channel] += 1 / 8
        change = tensor(call.of(deform_conv2d_loops, offset=moved)) - once
        assert_equal(gradient[:, channel], 8 * (cotangent * change).sum(1))


@given(calls(), st.sampled_from(["input", "weight", "mask"]))
@settings(max_examples=25)
def test_the_other_gradients_are_the_adjoint(call: Call, name: str) -> None:
    """The output is linear in each: <cotangent, f(step)> = <gradient, step>."""
    call = replace(call, bias=None)
    if name not in call.tensors:
        return
    step = whole_numbers(call.tensors[name].shape, seed=7)
    change = tensor(call.of(deform_conv2d_loops, **{name: step}))
    cotangent = whole_numbers(change.shape, seed=8)
    gradient = gradients(call, cotangent)[name]
    assert_equal((gradient * step).sum(), (cotangent * change).sum())


def test_derivatives_are_the_numerical_ones() -> None:
    call = asymmetric()
    call = replace(call, offset=call.offset + 1 / 8)  # nowhere near a cell's border
    call = call.map(torch.Tensor.requires_grad_)

    def function(*given: Tensor) -> Tensor:
        return call.of(deform_conv2d, **dict(zip(call.tensors, given, strict=True)))

    assert gradcheck(function, list(call.tensors.values()), fast_mode=True)


def test_with_deterministic_algorithms_it_computes_and_learns_the_same() -> None:
    call, cotangent = asymmetric(), whole_numbers((2, 4, 4, 7))
    expected = call.of(deform_conv2d), gradients(call, cotangent)
    torch.set_deterministic_debug_mode("error")
    try:
        output, again = call.of(deform_conv2d), gradients(call, cotangent)
    finally:
        torch.set_deterministic_debug_mode("default")
    assert_equal(output, expected[0])
    for name, gradient in again.items():
        assert_equal(gradient, expected[1][name])


def test_a_second_derivative_is_refused_not_wrong() -> None:
    call = asymmetric().map(torch.Tensor.requires_grad_)
    sums = call.of(deform_conv2d).sum()
    (gradient,) = torch.autograd.grad(sums, call.offset, create_graph=True)
    with pytest.raises(RuntimeError, match="not implemented"):
        gradient.sum().backward()


# Identities.


def still(call: Call) -> Call:
    return replace(call, offset=torch.zeros_like(call.offset), mask=None)


def everywhere(displacement: Any, call: Call) -> Tensor:
    """Return offsets that are the same at each output position, from (D, K_h, K_w, 2)."""
    one = tensor(displacement).reshape(1, -1, 1, 1)
    return one.expand_as(call.offset)


@given(calls())
def test_offsets_of_zero_make_the_grouped_convolution(call: Call) -> None:
    call = still(call)
    groups = call.input.shape[1] // call.weight.shape[1]
    options = call.stride, call.padding, call.dilation
    expected = grouped_conv2d(call.input, call.weight, call.bias, *options, groups)
    assert_equal(call.of(deform_conv2d), expected)


def test_offsets_of_zero_gather_the_windows() -> None:
    call, options = still(asymmetric()), ((3, 2), (2, 1), (1, 2), (1, 2))
    seen = deformed_windows(call.input, call.offset, *options)
    assert_equal(seen, windows(call.input, *options))


def test_it_is_a_learned_gather_and_the_contraction_of_the_grouped_convolution() -> (
    None
):
    call = asymmetric()
    options = (3, 2), (2, 1), (1, 2), (1, 2)
    seen = deformed_windows(call.input, call.offset, *options, call.mask)
    assert call.bias is not None
    output = contract_groups(seen, call.weight, 2) + call.bias[:, None, None]
    assert_equal(output, call.of(deform_conv2d))


def test_whole_offsets_shift_the_image() -> None:
    call = sized((2, 3, 6, 9), (4, 3, 3, 2), (1, 0, 1), modulated=False)
    offset = everywhere([[[[2, -1]] * 2] * 3], call)
    shifted = F.pad(call.input, (1, -1, -2, 2))  # the image, up by 2 and right by 1
    expected = conv2d(shifted, call.weight, call.bias)
    assert_equal(call.of(deform_conv2d, offset=offset), expected)


def test_offsets_that_spread_from_the_centre_are_dilation() -> None:
    call = sized((2, 3, 6, 9), (4, 3, 3, 3), (1, 2, 1), modulated=False)
    spread = [[[[u - 1, 2 * (v - 1)] for v in range(3)] for u in range(3)]]
    output = call.of(deform_conv2d, offset=everywhere(spread, call))
    expected = dilated_conv2d(call.input, call.weight, call.bias, 1, (3, 4), (2, 3))
    assert_equal(output[..., :, :], expected)


def test_a_mask_of_ones_is_none_and_one_of_zeros_leaves_the_bias() -> None:
    call = asymmetric()
    assert call.mask is not None
    assert call.bias is not None
    without = call.of(deform_conv2d, mask=None)
    assert_equal(call.of(deform_conv2d, mask=torch.ones_like(call.mask)), without)
    dark = call.of(deform_conv2d, mask=torch.zeros_like(call.mask))
    assert_equal(dark, call.bias[:, None, None].expand_as(dark))


@pytest.mark.parametrize("function", FORMS)
def test_offsets_are_in_the_order_group_row_column_then_dy_before_dx(
    function: Callable[..., Any],
) -> None:
    """Move one sample of one group along one axis, by a pixel, and see which value is read."""
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    ramp = (10 * rows + columns).double()
    input = torch.stack([1000 + ramp, 2000 + ramp])[None]
    for group, u, v, axis in product(range(2), range(3), range(2), range(2)):
        weight = torch.zeros(1, 2, 3, 2, dtype=torch.float64)
        weight[0, group, u, v] = 1  # the output is this sample of this group
        offset = torch.zeros(1, 2 * 2 * 3 * 2, 3, 6, dtype=torch.float64)
        before = function(input, offset, weight)
        offset[:, ((group * 3 + u) * 2 + v) * 2 + axis] = 1
        step = torch.as_tensor(function(input, offset, weight) - before)
        inner = step[..., :2, :5]  # the samples that stay on the image
        assert_equal(inner, torch.full_like(inner, [10, 1][axis]))


def test_each_offset_group_is_a_deformable_convolution_of_its_channels() -> None:
    call = sized((2, 6, 7, 5), (4, 6, 3, 2), ((2, 1), (1, 2), (1, 2)), 3)
    call = replace(call, bias=None)
    assert call.mask is not None
    parts = [
        call.of(deform_conv2d, input=x, offset=o, weight=w, mask=m)
        for x, o, w, m in zip(
            call.input.chunk(3, 1),
            call.offset.chunk(3, 1),
            call.weight.chunk(3, 1),
            call.mask.chunk(3, 1),
            strict=True,
        )
    ]
    assert_equal(sum(parts), call.of(deform_conv2d))


def test_with_its_offsets_given_it_is_a_matrix_with_four_entries_a_sample() -> None:
    offset = torch.full((1, 2 * 4, 3, 4), 0.25, dtype=torch.float64)
    weight = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    matrix = as_matrix(
        lambda x: deform_conv2d(x, offset.expand(len(x), -1, -1, -1), weight), (1, 4, 5)
    )
    x = whole_numbers((1, 1, 4, 5))
    by_matrix = (matrix @ x.flatten()).reshape(1, 1, 3, 4)
    assert_equal(by_matrix, deform_conv2d(x, offset, weight))
    assert (
        matrix[0].count_nonzero() == 9
    )  # four samples share some of their four pixels


# Beyond the image.


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("far", [1e3, -1e3, 1e30, -1e300, np.inf, -np.inf])
def test_a_sample_far_outside_is_zero_and_gets_no_gradient(
    function: Callable[..., Any], far: float
) -> None:
    call = asymmetric()
    offset = call.offset.clone()
    offset[:, ::7] = far
    assert call.mask is not None
    dark = call.mask.clone()
    dark[:, [channel // 2 for channel in range(0, 36, 7)]] = 0
    output = call.of(function, offset=offset)
    expected = call.of(deform_conv2d_loops, mask=dark)
    assert_equal(output, tensor(expected))
    if function is deform_conv2d:
        found = gradients(replace(call, offset=offset), whole_numbers(output.shape))
        assert found["offset"][:, ::7].count_nonzero() == 0
        assert all(gradient.isfinite().all() for gradient in found.values())


@pytest.mark.parametrize("function", FORMS)
def test_an_offset_that_is_nan_spoils_the_outputs_it_enters_and_no_other(
    function: Callable[..., Any],
) -> None:
    call = asymmetric()
    offset = call.offset.clone()
    offset[1, 5, 2, 3] = (
        np.nan
    )  # dx of a sample of the first offset group, channels 0, 1
    output = torch.as_tensor(call.of(function, offset=offset))
    spoilt = torch.zeros_like(output, dtype=torch.bool)
    spoilt[1, :2, 2, 3] = True  # the filters that read channels 0 to 2
    assert torch.equal(output.isnan(), spoilt)
    expected = torch.as_tensor(call.of(function))
    assert_equal(output[~spoilt], expected[~spoilt])


def test_between_pixels_and_at_the_border() -> None:
    image = np.array([[0.0, 4.0, 1.0], [8.0, 12.0, 2.0]])
    expected = {
        (0, 1): 4,
        (0.5, 0.25): 0.5 * (0.75 * 0 + 0.25 * 4) + 0.5 * (0.75 * 8 + 0.25 * 12),
        (-0.5, 1): 2,  # halfway out
        (-1, 1): 0,  # a pixel out
        (1.75, 1): 3,
        (2, 1): 0,
        (1, 2.5): 1,
        (-0.5, 2.5): 0.25,
        (9e99, -9e99): 0,
    }
    assert {at: bilinear(image, *at) for at in expected} == expected


def test_what_is_no_image_or_no_position_is_named() -> None:
    image = np.ones((2, 3))
    with rejects(TypeError, "image=[[1.0]]: expected", "(H, W)"):
        bilinear([[1.0]], 0, 0)  # type: ignore[arg-type]
    with rejects(ValueError, "image of shape (1, 2, 3): expected (H, W)"):
        bilinear(image[None], 0, 0)
    with rejects(TypeError, "y='0': expected a real number"):
        bilinear(image, "0", 0)  # type: ignore[arg-type]
    with rejects(TypeError, "x=None: expected a real number"):
        bilinear(image, 0, None)  # type: ignore[arg-type]


# Chunks, dtypes, devices, layouts.


@pytest.mark.parametrize("at_once", [1, 600, 3000, 2**18])
def test_some_rows_or_some_images_at_a_time_give_the_same(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A row of the output has 252 samples here, and an image 1008."""
    monkeypatch.setattr(deformable, "AT_ONCE", at_once)
    options: Any = ((2, 1), (1, 2), (1, 2))
    for modulated in (True, False):
        call = sized((5, 6, 7, 5), (4, 3, 3, 2), options, 3, modulated)
        assert_equal(call.of(deform_conv2d), call.of(deform_conv2d_loops))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_stays_within_its_bound(device: str, dtype: torch.dtype) -> None:
    """A sample is rounded a few times more than a value; eight of them are allowed for."""
    call = asymmetric().map(lambda t: (t / 3 + t**2 / 64).to(dtype))
    output = call.map(lambda t: t.to(device)).of(deform_conv2d)
    assert output.dtype == dtype
    exact = call.map(torch.Tensor.double)
    error = output.double().cpu() - tensor(exact.of(deform_conv2d_loops))
    absolute = exact.map(torch.abs)
    bound = exact.of(
        deform_conv2d_loops,
        **{k: absolute.tensors[k] for k in ("input", "weight", "bias", "mask")},
    )
    n_u = (1 + 18 + 1 + 8) * torch.finfo(dtype).eps / 2
    bound = n_u / (1 - n_u) * tensor(bound)
    if dtype == torch.float32 or dtype == torch.float64:
        bound = bound + 64 * torch.finfo(dtype).eps  # the position itself is rounded
    assert (error.abs() <= bound).all()


def test_in_bfloat16_the_rows_of_a_large_image_are_counted_exactly() -> None:
    """bfloat16 counts to 256; pixel 301 is found all the same, as positions are float32."""
    input = torch.zeros(1, 1, 400, 1, dtype=torch.bfloat16)
    input[0, 0, 301] = 1
    offset = torch.zeros(1, 2, 400, 1, dtype=torch.bfloat16)
    output = deform_conv2d(input, offset, torch.ones(1, 1, 1, 1, dtype=torch.bfloat16))
    assert_equal(output, input)
    position = sampling_positions(offset, 1)
    assert position.dtype == torch.float32
    assert_equal(position[0, 0, 0, 0, 0, :, 0], torch.arange(400.0))


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    call = asymmetric().map(LAYOUTS[layout])
    expected = call.map(torch.Tensor.contiguous).of(deform_conv2d_loops)
    assert_equal(call.of(function), tensor(expected))


@pytest.mark.parametrize("modulated", [True, False])
def test_a_batch_of_no_images_gives_no_outputs_and_gradients_of_zero(
    modulated: bool,
) -> None:
    call = asymmetric(modulated)
    empty: Any = {
        k: t[:0] for k, t in call.tensors.items() if t.ndim == 4 and k != "weight"
    }
    call = replace(call, **empty)
    output = call.of(deform_conv2d)
    assert_equal(output, torch.empty(0, 4, 4, 7, dtype=torch.float64))
    assert call.of(deform_conv2d_loops).shape == output.shape
    for name, gradient in gradients(call, output).items():
        assert_equal(gradient, torch.zeros_like(call.tensors[name]))


def test_on_the_meta_device_it_tells_shapes_without_computing() -> None:
    with torch.device("meta"):
        layer = DeformConv2dPack(8, 12, 3, stride=(2, 1), groups=4, modulated=True)
        output = layer(torch.empty(2, 8, 32, 21))
    assert output.is_meta
    assert output.shape == (2, 12, 15, 19)


@pytest.mark.parametrize("function", FORMS)
def test_the_arguments_are_left_as_they_were(function: Callable[..., Any]) -> None:
    call, untouched = asymmetric(), asymmetric()
    call.of(function)
    for name, value in call.tensors.items():
        assert_equal(value, untouched.tensors[name])


@pytest.mark.parametrize("function", FORMS)
def test_an_int_stands_for_a_pair(function: Callable[..., Any]) -> None:
    call = sized((1, 2, 6, 5), (1, 2, 3, 2), (2, 1, 1))
    pairs = call.of(function, stride=(2, 2), padding=(1, 1), dilation=(1, 1))
    assert_equal(call.of(function), pairs)


def test_the_loops_take_lists_and_compute_in_float64() -> None:
    call = asymmetric()
    lists = {name: value.tolist() for name, value in call.tensors.items()}
    output = call.of(deform_conv2d_loops, **lists)
    np.testing.assert_array_equal(output, call.of(deform_conv2d).numpy(), strict=True)


# Errors. LARGE is so large that to compute anything with it first is a memory error.


def large(*shape: int) -> Tensor:
    return torch.ones((), dtype=torch.float64).expand(10**12, *shape)


LARGE: dict[str, Any] = {
    "input": large(6, 5, 7),
    "offset": large(36, 3, 6),  # three offset groups
    "weight": torch.ones(4, 3, 3, 2, dtype=torch.float64),
    "bias": torch.ones(4, dtype=torch.float64),
    "mask": large(18, 3, 6),
}


@each(("name", "value", "error"), bad_pairs(stride=1, padding=0, dilation=1))
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    message = f"{name}={value!r}: expected an int or a (height, width) pair"
    with rejects(error, message):
        function(**LARGE | {name: value})
    if function is deform_conv2d:
        with rejects(error, message):
            deformed_windows(LARGE["input"], LARGE["offset"], (3, 2), **{name: value})


@each(
    ("name", "shape", "expected"),
    [
        ("input", (5, 7), "(N, C_in, H, W)"),
        ("input", (1, 1, 6, 5, 7), "(N, C_in, H, W)"),
        ("input", (1, 6, 0, 7), "sizes of at least 1"),
        ("weight", (3, 3, 2), "(C_out, C_in / groups, K_h, K_w)"),
        ("weight", (4, 4, 3, 2), "(C_out, C_in / groups, K_h, K_w) with C_in = 6"),
        ("weight", (4, 0, 3, 2), "(C_out, C_in / groups, K_h, K_w) with C_in = 6"),
        ("weight", (4, 12, 3, 2), "(C_out, C_in / groups, K_h, K_w) with C_in = 6"),
        ("weight", (4, 3, 0, 2), "sizes of at least 1"),
        ("bias", (2,), "(4,)"),
        ("bias", (4, 1), "(4,)"),
        ("offset", (36, 3, 6), "(N, 2 * offset_groups * K_h * K_w, H_out, W_out)"),
        ("offset", (1, 35, 3, 6), "a multiple of 2 * 3 * 2 channels"),
        ("offset", (1, 6, 3, 6), "a multiple of 2 * 3 * 2 channels"),
        ("offset", (1, 0, 3, 6), "a multiple of 2 * 3 * 2 channels"),
        ("offset", (1, 36, 3, 6), "(1000000000000, 36, 3, 6)"),
        ("offset", (10**12, 36, 6, 3), "(1000000000000, 36, 3, 6)"),
        ("offset", (10**12, 36, 5, 7), "(1000000000000, 36, 3, 6)"),
        ("mask", (1, 18, 3, 6), "(1000000000000, 18, 3, 6)"),
        ("mask", (10**12, 6, 3, 6), "(1000000000000, 18, 3, 6)"),
        ("mask", (10**12, 18, 6, 3), "(1000000000000, 18, 3, 6)"),
        ("mask", (18, 3, 6), "(1000000000000, 18, 3, 6)"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    value = torch.ones((), dtype=torch.float64).expand(shape)
    given = LARGE | {name: value}
    if function is deform_conv2d_loops:
        given = smaller(given)
        expected = expected.replace("1000000000000", "2")
        shape = tuple(given[name].shape)
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**given)


def smaller(given: dict[str, Any]) -> dict[str, Any]:
    """Return two images in the place of 10¹², which the loops would have to convert."""
    return {
        name: value[:2] if len(value.shape) > 0 and value.shape[0] == 10**12 else value
        for name, value in given.items()
    }


@pytest.mark.parametrize("function", FORMS)
def test_groups_that_do_not_divide_the_channels_are_named(
    function: Callable[..., Any],
) -> None:
    given = smaller(LARGE)
    four = torch.ones(2, 48, 3, 6, dtype=torch.float64)
    said = "has 4 offset groups: expected a divisor of the 6 channels of input"
    with rejects(ValueError, "offset of shape (2, 48, 3, 6)", said):
        function(**given | {"offset": four, "mask": None})
    odd = torch.ones(5, 3, 3, 2, dtype=torch.float64)
    with rejects(ValueError, "groups=2: expected a divisor of", "5 filters"):
        function(**given | {"weight": odd, "bias": None})


@pytest.mark.parametrize("function", FORMS)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    function: Callable[..., Any],
) -> None:
    given = smaller(LARGE)
    with rejects(ValueError, "kernel_size=3", "spans 9", "at most 7", "padding=1"):
        function(**given, padding=1, dilation=4)


@each(
    ("name", "value", "said"),
    [
        ("input", [[[[1.0]]]], "a list: expected a torch.Tensor"),
        ("weight", None, "weight=None: expected a tensor"),
        ("offset", None, "offset=None: expected a tensor"),
        ("offset", LARGE["offset"][:1].int(), "torch.int32: expected a floating-point"),
        ("weight", LARGE["weight"].float(), "torch.float32 on cpu: expected"),
        ("mask", LARGE["mask"][:1].float(), "torch.float32 on cpu: expected"),
        ("bias", LARGE["bias"].to("meta"), "on meta: expected torch.float64 on cpu"),
    ],
)
def test_what_is_no_fitting_tensor_is_named(name: str, value: Any, said: str) -> None:
    with rejects(TypeError, name, said):
        deform_conv2d(**LARGE | {name: value})


# The layers.

ARGUMENTS: list[dict[str, Any]] = [
    {"kernel_size": 3, "groups": 4},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"kernel_size": (2, 3), "groups": 2, "bias": False, "dtype": torch.float64},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_the_layer_starts_as_torchs_standard_one(arguments: dict[str, Any]) -> None:
    torch.manual_seed(1)
    standard = nn.Conv2d(8, 12, **arguments)
    torch.manual_seed(1)
    layer = DeformConv2d(8, 12, **arguments)
    assert repr(layer) == repr(standard).replace("Conv2d", "DeformConv2d")
    assert layer.state_dict().keys() == standard.state_dict().keys()
    for mine, theirs in zip(layer.parameters(), standard.parameters(), strict=True):
        assert_equal(mine, theirs)
    input = whole_numbers((2, 8, 7, 6)).to(layer.weight.dtype)
    expected = standard(input)
    samples = layer.weight.shape[2] * layer.weight.shape[3]
    offset = input.new_zeros(2, 2 * samples, *expected.shape[2:])
    torch.testing.assert_close(layer(input, offset), expected)
    mask = torch.full_like(offset[:, ::2], 0.5)
    half = nn.functional.conv2d(
        input / 2, layer.weight, layer.bias, *vars_of(layer), layer.groups
    )
    torch.testing.assert_close(layer(input, offset, mask), half)


def vars_of(layer: DeformConv2d) -> tuple[Any, Any, Any]:
    return layer.stride, layer.padding, layer.dilation


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_the_pack_starts_as_the_standard_layer_or_as_half_of_it(
    arguments: dict[str, Any], modulated: bool, offset_groups: int
) -> None:
    torch.manual_seed(1)
    standard = nn.Conv2d(8, 12, **arguments)
    torch.manual_seed(1)
    options: Any = {"offset_groups": offset_groups, "modulated": modulated}
    layer = DeformConv2dPack(8, 12, **arguments, **options)
    input = whole_numbers((2, 8, 7, 6)).to(layer.weight.dtype)
    starts = standard(input / 2 if modulated else input)
    torch.testing.assert_close(layer(input), starts)


@pytest.mark.parametrize("modulated", [False, True])
def test_the_packs_offsets_and_mask_are_those_of_its_layer(modulated: bool) -> None:
    options: Any = {"offset_groups": 2, "modulated": modulated, "dtype": torch.float64}
    layer = DeformConv2dPack(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, **options)
    assert sorted(layer.state_dict()) == [
        "bias",
        "conv_offset.bias",
        "conv_offset.weight",
        "weight",
    ]
    for parameter in layer.conv_offset.parameters():
        assert not parameter.any()
        nn.init.normal_(parameter)
    input = whole_numbers((2, 4, 7, 5))
    made = layer.conv_offset(input)
    offset = made[:, :24]
    mask = 1 / (1 + torch.exp(-made[:, 24:])) if modulated else None
    expected = deform_conv2d(
        input, offset, layer.weight, layer.bias, *vars_of(layer), mask
    )
    torch.testing.assert_close(layer(input), expected)
    layer(input).sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()


def test_what_a_pack_is_is_said() -> None:
    layer = DeformConv2dPack(4, 6, 3, padding=1, offset_groups=2, modulated=True)
    said = layer.extra_repr()
    assert said.endswith("padding=(1, 1), offset_groups=2, modulated=True")
    assert "offset_groups" not in DeformConv2dPack(4, 6, 3).extra_repr()


def test_offsets_learn_more_slowly() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.Sequential(DeformConv2dPack(2, 3, 3), nn.ReLU())
    )
    groups = parameter_groups(network, lr=0.5)
    assert [group["lr"] for group in groups] == [0.5, 0.05]
    slow = {id(parameter) for parameter in groups[1]["params"]}
    of_offsets = {
        id(parameter)
        for name, parameter in network.named_parameters()
        if "conv_offset" in name
    }
    assert slow == of_offsets
    assert len(groups[0]["params"]) + len(slow) == len(list(network.parameters()))
    torch.optim.SGD(groups)
    torch.optim.SGD(parameter_groups(nn.Conv2d(1, 1, 1), lr=0.1))  # no offsets to slow


def test_what_is_no_network_or_no_rate_is_named() -> None:
    network: Any = nn.Conv2d(1, 1, 1)
    with rejects(TypeError, "network=[]: expected an nn.Module"):
        parameter_groups([], lr=0.1)  # type: ignore[arg-type]
    for rate in ("0.1", None, True):
        with rejects(TypeError, f"lr={rate!r}: expected a real number >= 0"):
            parameter_groups(network, lr=rate)  # type: ignore[arg-type]
        with rejects(TypeError, f"factor={rate!r}: expected a real number >= 0"):
            parameter_groups(network, lr=1, factor=rate)  # type: ignore[arg-type]
    with rejects(ValueError, "factor=-0.1: expected a real number >= 0"):
        parameter_groups(network, lr=1, factor=-0.1)


@each(
    ("name", "value", "error"),
    [
        *bad_integers(in_channels=1, out_channels=1, groups=1),
        *bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
        ("in_channels", 6, ValueError),
        ("out_channels", 6, ValueError),
        ("bias", 1, TypeError),
    ],
)
def test_a_layer_names_an_impossible_argument(
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
    for layer in (DeformConv2d, DeformConv2dPack):
        with rejects(error, message):
            layer(**arguments | {name: value})
    with rejects(error, message):
        deform_conv2d_cost(**arguments | {"input_size": 9, name: value})


@each(
    ("name", "value", "error"),
    [
        ("device", "nowhere", ValueError),
        ("dtype", "float32", TypeError),
        ("dtype", torch.int32, TypeError),
    ],
)
def test_a_layer_names_a_place_where_it_cannot_be(
    name: str, value: Any, error: type[Exception]
) -> None:
    for layer in (DeformConv2d, DeformConv2dPack):
        arguments: Any = {name: value}
        with rejects(error, f"{name}={value!r}: expected"):
            layer(8, 8, 3, **arguments)


@each(
    ("name", "value", "error"),
    [
        *bad_integers(offset_groups=1),
        ("offset_groups", 3, ValueError),
        ("modulated", 1, TypeError),
        ("modulated", None, TypeError),
    ],
)
def test_a_pack_names_an_impossible_argument(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected"):
        DeformConv2dPack(8, 8, 3, **{name: value})
    with rejects(error, f"{name}={value!r}: expected"):
        deform_conv2d_cost(8, 8, 3, 9, **{name: value})


def test_a_layer_names_what_it_cannot_convolve() -> None:
    for layer in (DeformConv2d(3, 4, 1), DeformConv2dPack(3, 4, 1)):
        offsets = [torch.zeros(1, 2, 5, 6)] * (type(layer) is DeformConv2d)
        with rejects(ValueError, "input of shape (1, 2, 5, 6): expected 3 channels"):
            layer(torch.zeros(1, 2, 5, 6), *offsets)
        with rejects(ValueError, "input of shape (3, 5, 6): expected (N, C_in, H, W)"):
            layer(torch.zeros(3, 5, 6), *offsets)
        with rejects(TypeError, "input is a list: expected a torch.Tensor"):
            layer([1.0], *offsets)


def test_a_pack_names_an_input_that_its_offset_layer_cannot_take() -> None:
    layer = DeformConv2dPack(3, 4, 5, padding=1)
    with rejects(TypeError, "weight is torch.float32", "expected torch.float64"):
        layer(torch.zeros(1, 3, 5, 6, dtype=torch.float64))
    with rejects(ValueError, "spans 5×5", "at most 4×8", "padding=(1, 1)"):
        layer(torch.zeros(1, 3, 2, 6))
    with rejects(ValueError, "input of shape (1, 3, 0, 6): expected sizes"):
        layer(torch.zeros(1, 3, 0, 6))


# The cost.


@given(calls())
def test_the_cost_counts_what_is_there(call: Call) -> None:
    output = torch.as_tensor(call.of(deform_conv2d))[0]
    input, weight = call.input[0], call.weight
    groups = input.shape[0] // weight.shape[1]
    offset_groups = call.offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
    given: Any = {
        "in_channels": input.shape[0],
        "out_channels": weight.shape[0],
        "kernel_size": tuple(weight.shape[2:]),
        "input_size": tuple(input.shape[1:]),
        "stride": call.stride,
        "padding": call.padding,
        "dilation": call.dilation,
        "groups": groups,
        "bias": call.bias is not None,
    }
    modulated = call.mask is not None
    cost = deform_conv2d_cost(**given, offset_groups=offset_groups, modulated=modulated)
    contraction = grouped_conv2d_cost(**given)
    gathered = input.shape[0] * call.offset[0].numel() // (2 * offset_groups)
    fields = call.offset[0].numel() + (0 if call.mask is None else call.mask[0].numel())
    assert cost == contraction + Cost(
        macs=(5 if modulated else 4) * gathered, elements_moved=fields
    )
    given_weights = [t for t in (weight, call.bias) if t is not None]
    assert cost.params == sum(t.numel() for t in given_weights)
    assert contraction.macs == output.numel() * weight[0].numel()


def test_the_cost_of_one_layer_by_hand() -> None:
    plain = deform_conv2d_cost(64, 64, 3, 56, padding=1)
    modulated = deform_conv2d_cost(64, 64, 3, 56, padding=1, modulated=True)
    samples = 64 * 9 * 56 * 56
    assert samples == 1_806_336
    assert plain.macs == 115_605_504 + 4 * samples
    assert modulated.macs == 115_605_504 + 5 * samples
    assert modulated.elements_moved - plain.elements_moved == 9 * 56 * 56
