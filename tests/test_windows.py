"""The gather is a view of the right pixels, and the contraction one weighted sum of them."""

from itertools import product
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
    asymmetric,
    bad_pairs,
    both,
    each,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from torch import Tensor

from convnotes.windows import contract, windows


def gather(layer: Layer) -> Tensor:
    return windows(
        layer.input, layer.weight.shape[2:], layer.stride, layer.padding, layer.dilation
    )


@given(layers(dilated=True))
def test_each_value_is_the_one_its_formula_names(layer: Layer) -> None:
    seen = gather(layer)
    (S_h, S_w), (D_h, D_w) = both(layer.stride), both(layer.dilation)
    P_h, P_w = both(layer.padding)
    padded = F.pad(layer.input, (P_w, P_w, P_h, P_h))
    expected = torch.full_like(seen, torch.nan)
    K_h, K_w, H_out, W_out = seen.shape[2:]
    for u, v, i, j in product(*map(range, (K_h, K_w, H_out, W_out))):
        expected[:, :, u, v, i, j] = padded[:, :, S_h * i + D_h * u, S_w * j + D_w * v]
    assert_equal(seen, expected)


@given(layers(dilated=True))
def test_flattened_they_are_torchs_unfold(layer: Layer) -> None:
    kernel_size = layer.weight.shape[2:]
    expected = F.unfold(
        layer.input, kernel_size, layer.dilation, layer.padding, layer.stride
    )
    assert_equal(gather(layer).flatten(1, 3).flatten(2), expected)


@given(layers(dilated=True))
def test_the_gradient_folds_them_back(layer: Layer) -> None:
    """The adjoint of a gather is a scatter: every pixel sums over the windows it appears in."""
    input = layer.input.requires_grad_()
    seen = gather(layer)
    cotangent = whole_numbers(seen.shape)
    (gradient,) = torch.autograd.grad(seen, input, cotangent)
    expected = F.fold(
        cotangent.flatten(1, 3).flatten(2),
        tuple(input.shape[2:]),
        layer.weight.shape[2:],
        layer.dilation,
        layer.padding,
        layer.stride,
    )
    assert_equal(gradient, expected)


def test_dilated_windows_are_slices_of_the_windows_they_span() -> None:
    input = asymmetric().input
    spread = windows(input, (3, 2), (2, 1), (1, 2), dilation=(2, 3))
    spanned = windows(input, (5, 4), (2, 1), (1, 2))
    assert_equal(spread, spanned[:, :, ::2, ::3])


def test_strided_windows_are_every_few_of_the_windows() -> None:
    input = asymmetric().input
    strided, all_of_them = windows(input, (3, 2), stride=(2, 3)), windows(input, (3, 2))
    assert_equal(strided, all_of_them[..., ::2, ::3])


def test_a_shifted_input_has_shifted_windows() -> None:
    input = asymmetric().input
    assert_equal(
        windows(input[:, :, 2:, 1:], (3, 2)), windows(input, (3, 2))[..., 2:, 1:]
    )


def test_an_int_stands_for_a_pair() -> None:
    input = asymmetric().input
    assert_equal(
        windows(input, 2, 2, 1, 3), windows(input, (2, 2), (2, 2), (1, 1), (3, 3))
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_they_are_a_view_of_any_layout(layout: str) -> None:
    input = LAYOUTS[layout](asymmetric().input)
    seen = windows(input, (3, 2), stride=(2, 1), dilation=(1, 3))
    assert seen.untyped_storage().data_ptr() == input.untyped_storage().data_ptr()
    N, C, H, W = input.stride()
    assert seen.stride() == (N, C, H * 1, W * 3, H * 2, W * 1)
    assert_equal(
        seen, windows(input.contiguous(), (3, 2), stride=(2, 1), dilation=(1, 3))
    )


def test_a_pixel_written_later_shows_in_every_window() -> None:
    input = torch.zeros(1, 1, 3, 4)
    seen = windows(input, 2)
    input[0, 0, 1, 1] = 7.0
    # It stands in the windows that start in row 0 or 1 and in column 0 or 1.
    assert (seen == 7.0).sum() == 4


def test_padding_stores_the_padded_image_once_and_no_more() -> None:
    seen = windows(torch.ones(2, 3, 7, 5, dtype=torch.float64), (3, 2), padding=(1, 2))
    assert seen.untyped_storage().nbytes() == 2 * 3 * (7 + 2) * (5 + 4) * 8


@pytest.mark.parametrize("device", [*DEVICES, "meta"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_device_are_kept(device: str, dtype: torch.dtype) -> None:
    input = asymmetric().input.to(device, dtype)
    seen = windows(input, (3, 2), stride=(2, 1), padding=(1, 2))
    assert (seen.device, seen.dtype) == (input.device, dtype)
    height, width = (7 + 2 - 3) // 2 + 1, 6 + 4 - 2 + 1
    assert seen.shape == (2, 5, 3, 2, height, width)


def test_a_batch_of_no_images_has_windows_of_no_images() -> None:
    assert windows(torch.ones(0, 3, 7, 6), (3, 2)).shape == (0, 3, 3, 2, 5, 5)


# An input so large that to compute anything with it is a memory error: errors must come before.
LARGE = torch.ones(()).expand(10**12, 3, 5, 7)


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
)
def test_an_impossible_argument_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        windows(LARGE, **{"kernel_size": 2, "padding": 1, name: value})


@pytest.mark.parametrize(
    ("input", "said"),
    [
        ([[[[1.0]]]], "input is a list: expected a torch.Tensor"),
        (LARGE.numpy(), "input is a ndarray: expected a torch.Tensor"),
        (
            torch.ones(1, 3, 5, 7).int(),
            "input is torch.int32: expected a floating-point",
        ),
        pytest.param(
            None,
            "input=None: expected",
        ),
    ],
    ids=["list", "array", "integers", "None"],
)
def test_what_is_no_floating_point_tensor_is_named(input: Any, said: str) -> None:
    with rejects(TypeError, said):
        windows(input, kernel_size=1, padding=1)


@pytest.mark.parametrize("input", [LARGE[0], LARGE[None]], ids=["3 axes", "5 axes"])
def test_an_input_needs_four_axes(input: Tensor) -> None:
    shape = tuple(input.shape)
    with rejects(ValueError, f"input of shape {shape}: expected (N, C_in, H, W)"):
        windows(input, kernel_size=1, padding=1)


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "said"),
    [  # The padded input is 5 + 2 by 7 + 4.
        ((8, 1), 1, ("kernel_size=(8, 1) spans 8×1", "at most 7×11")),
        (
            (1, 12),
            1,
            ("kernel_size=(1, 12) spans 1×12", "at most 7×11"),
        ),
        (
            (3, 1),
            (4, 1),
            ("kernel_size=(3, 1) with dilation=(4, 1) spans 9×1", "at most 7×11"),
        ),
        (
            (1, 3),
            (1, 6),
            ("kernel_size=(1, 3) with dilation=(1, 6) spans 1×13", "at most 7×11"),
        ),
    ],
)
def test_a_kernel_larger_than_the_padded_input_is_told_the_sizes(
    kernel_size: Pair, dilation: Pair, said: tuple[str, ...]
) -> None:
    with rejects(ValueError, *said):
        windows(LARGE, kernel_size, padding=(1, 2), dilation=dilation)


@given(layers(dilated=True))
def test_the_contraction_sums_over_channels_and_kernel_positions(layer: Layer) -> None:
    gathered = gather(layer)
    expected = torch.einsum("ncuvij,ocuv->noij", gathered, layer.weight)
    if layer.bias is not None:
        expected += layer.bias.reshape(1, -1, 1, 1)
    assert_equal(contract(gathered, layer.weight, layer.bias), expected)


def test_any_gather_serves_the_contraction() -> None:
    """Not only a view by ``windows``: deformable convolution gathers in a way of its own."""
    gathered, weight = whole_numbers((2, 3, 2, 4, 5, 6)), whole_numbers((7, 3, 2, 4))
    expected = (gathered[:, None] * weight[:, :, :, :, None, None]).sum((2, 3, 4))
    assert_equal(contract(gathered, weight), expected)


@pytest.mark.parametrize(
    "shape", [(4, 3, 2, 3), (4, 3, 3, 3), (4, 2, 3, 2), (4, 18)], ids=str
)
def test_the_contraction_refuses_a_weight_that_does_not_fit(
    shape: tuple[int, ...],
) -> None:
    gathered = windows(torch.ones(2, 3, 7, 6), (3, 2))
    with rejects(ValueError, f"weight of shape {shape}: expected (C_out, 3, 3, 2)"):
        contract(gathered, torch.ones(shape))
