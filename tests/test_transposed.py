"""The transposed convolution: torch's, the standard one's adjoint, and no inverse."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import (
    DTYPES,
    LAYOUTS,
    assert_equal,
    assert_numerical_derivatives,
    assert_same_gradients,
    bad_integers,
    bad_pairs,
    each,
    rejects,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from convnotes.matrices import as_matrix
from convnotes.standard import conv2d
from convnotes.transposed import (
    border,
    conv_transpose2d,
    conv_transpose2d_cost,
    conv_transpose2d_loops,
    phases,
)

FORMS = [conv_transpose2d_loops, conv_transpose2d]

# (stride, padding, output_padding, groups, dilation), no two axes alike.
OPTIONS: list[tuple[Any, ...]] = [
    (1, 0, 0, 1, 1),
    ((2, 3), (1, 0), (1, 2), 1, 1),
    ((3, 2), (0, 1), (0, 1), 2, (2, 1)),
    ((2, 1), (1, 2), (0, 1), 2, (4, 3)),
]


def tensors(groups: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return input (2, 4, 5, 6), weight (4, 3, 3, 2) and a bias that fit ``groups``."""
    return (
        whole_numbers((2, 4, 5, 6), seed=1),
        whole_numbers((4, 3, 3, 2), seed=2),
        whole_numbers((3 * groups,), seed=3),
    )


# Three oracles: numbers worked by hand, torch, and the definition itself.


@pytest.mark.parametrize("function", FORMS)
def test_worked_by_hand(function: Callable[..., Any]) -> None:
    input = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.float64)
    weight = torch.tensor([[[[1, 10, 100]]]], dtype=torch.float64)
    # Stride 2: copies of 1 10 100, 2 pixels apart, overlap in the middle; then 1 is cropped.
    rows = [[1, 10, 100 + 2 * 1, 20, 200], [3, 30, 300 + 4 * 1, 40, 400]]
    output = function(input, weight, stride=(1, 2), padding=(0, 1))
    cropped = torch.tensor([[[row[1:-1] for row in rows]]], dtype=torch.float64)
    assert_equal(output, cropped)


@given(st.data())
def test_the_forms_equal_torch(data: st.DataObject) -> None:
    def pairs(smallest: int, largest: int) -> tuple[int, int]:
        one = st.integers(smallest, largest)
        return data.draw(one), data.draw(one)

    stride, dilation = pairs(1, 3), pairs(1, 3)
    kernel_size, padding = pairs(1, 4), pairs(0, 3)
    extra = (
        data.draw(st.integers(0, max(stride[0], dilation[0]) - 1)),
        data.draw(st.integers(0, max(stride[1], dilation[1]) - 1)),
    )
    groups = data.draw(st.integers(1, 3))
    sizes = pairs(1, 5)
    input = whole_numbers((2, 2 * groups, *sizes))
    arguments: Any = (
        input,
        whole_numbers((2 * groups, 3, *kernel_size)),
        whole_numbers((3 * groups,)),
        *(stride, padding, extra, groups, dilation),
    )
    try:
        expected = F.conv_transpose2d(*arguments)
    except RuntimeError:  # the padding crops everything away
        for function in FORMS:
            with rejects(ValueError, "padding"):
                function(*arguments)
        return
    for function in FORMS:
        assert_equal(function(*arguments), expected)


def test_every_phase_is_right_along_one_axis() -> None:
    kernels, strides, crops, extras, gaps = (
        *[range(1, 5)] * 2,
        *[range(3)] * 2,
        range(1, 5),
    )
    input = whole_numbers((1, 1, 3, 4))
    for K, S, P, extra, D in product(kernels, strides, crops, extras, gaps):
        if extra < max(S, D) and (3 - 1) * S - 2 * P + D * (K - 1) + extra >= 0:
            options = (S, 1), (P, 0), (extra, 0), 1, (D, 1)
            weight = whole_numbers((1, 1, K, 2), seed=K)
            ours = conv_transpose2d(input, weight, None, *options)
            assert_equal(ours, F.conv_transpose2d(input, weight, None, *options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_gradients_equal_torchs(options: tuple[Any, ...]) -> None:
    given: Any = [tensor.requires_grad_() for tensor in tensors(options[3])]
    output, expected = (
        conv_transpose2d(*given, *options),
        F.conv_transpose2d(*given, *options),
    )
    assert_same_gradients(output, expected, given)


def test_first_and_second_derivatives_are_the_numerical_ones() -> None:
    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv_transpose2d(input, weight, bias, (2, 3), (1, 0), (1, 0), 2, (1, 2))

    assert_numerical_derivatives(function, (1, 2, 3, 2), (2, 1, 3, 2), (2,))


# Identities.


def test_it_is_the_adjoint_of_the_standard_convolution() -> None:
    weight = whole_numbers((4, 3, 3, 2), seed=2)  # 3 channels to 4, and back
    x, options = whole_numbers((2, 3, 9, 8), seed=1), ((2, 3), (1, 0))
    forward = conv2d(x, weight, None, *options)
    y = whole_numbers(forward.shape, seed=5)
    back = conv_transpose2d(y, weight, None, *options, output_padding=(0, 0))
    assert back.shape == x.shape
    assert_equal((forward * y).sum(), (x * back).sum())


def test_its_matrix_is_the_transpose() -> None:
    weight = whole_numbers((4, 3, 3, 2), seed=2)
    forward = as_matrix(lambda x: conv2d(x, weight, None, (2, 1), (1, 0)), (3, 6, 5))
    back = as_matrix(
        lambda y: conv_transpose2d(y, weight, None, (2, 1), (1, 0), (1, 0)), (4, 3, 4)
    )
    assert_equal(back, forward.T)


def test_it_is_a_standard_convolution_of_the_stuffed_input_with_the_flipped_kernel() -> (
    None
):
    input, weight, bias = tensors()
    stuffed = input.new_zeros(2, 4, 2 * 5 - 1, 3 * 6 - 2)
    stuffed[:, :, ::2, ::3] = input
    flipped = weight.transpose(0, 1).flip(2, 3)
    expected = conv2d(stuffed, flipped, bias, padding=(3 - 1, 2 - 1))
    assert_equal(conv_transpose2d(input, weight, bias, stride=(2, 3)), expected)


def test_each_tap_is_in_one_phase_and_no_two_phases_write_to_the_same_outputs() -> None:
    for kernel_size, stride, dilation in product(range(1, 6), range(1, 5), range(1, 5)):
        found = phases(4, kernel_size, stride, 0, 0, dilation)
        taps = [range(kernel_size)[phase.taps] for phase in found]
        assert [len(some) for some in taps] == [phase.sees.taps for phase in found]
        assert sorted(tap for some in taps for tap in some) == list(range(kernel_size))
        assert len({phase.first for phase in found}) == len(found) <= stride


def test_phases_that_see_the_same_windows_share_one_convolution() -> None:
    assert len({phase.sees for phase in phases(5, kernel_size=3, stride=3)}) == 1
    assert len({phase.sees for phase in phases(5, kernel_size=4, stride=2)}) == 1
    assert len({phase.sees for phase in phases(5, kernel_size=3, stride=2)}) == 2


@pytest.mark.parametrize("function", FORMS)
def test_a_stride_beyond_all_reason_takes_no_longer(
    function: Callable[..., Any],
) -> None:
    input, weight, bias = tensors()
    pixel = input[:, :, :1, :1]
    expected = F.conv_transpose2d(pixel, weight, bias)
    assert_equal(function(pixel, weight, bias, stride=10**9), expected)


# Dtypes, layouts, shapes.


@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_in_every_dtype(dtype: torch.dtype) -> None:
    given: Any = [tensor.to(dtype) for tensor in tensors(groups=2)]
    output = conv_transpose2d(*given, *OPTIONS[2])
    assert_equal(output, F.conv_transpose2d(*tensors(groups=2), *OPTIONS[2]).to(dtype))


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(
    function: Callable[..., Any], layout: str
) -> None:
    given: Any = [LAYOUTS[layout](tensor) for tensor in tensors(groups=2)]
    contiguous: Any = [tensor.contiguous() for tensor in given]
    expected = F.conv_transpose2d(*contiguous, *OPTIONS[2])
    assert_equal(function(*given, *OPTIONS[2]), expected)


@pytest.mark.parametrize("function", FORMS)
def test_a_batch_of_no_images_gives_no_outputs(function: Callable[..., Any]) -> None:
    input, weight, bias = tensors()
    output = function(input[:0], weight, bias, stride=(2, 1))
    assert_equal(output, torch.zeros(0, 3, 11, 7, dtype=torch.float64))


# Cost.


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_cost_is_what_torch_counts(options: tuple[Any, ...]) -> None:
    stride, padding, output_padding, groups, dilation = options
    input, weight, bias = tensors(groups)
    with FlopCounterMode(display=False) as counter:
        output = F.conv_transpose2d(input[:1], weight, bias, *options)
    cost = conv_transpose2d_cost(
        *(4, 3 * groups, (3, 2), (5, 6)),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
        bias=True,
    )
    assert 2 * cost.macs == counter.get_total_flops()
    assert cost.macs == weight.numel() * 5 * 6
    assert cost.params == weight.numel() + bias.numel()
    assert cost.elements_moved == input[0].numel() + cost.params + output[0].numel()


# Errors.

FITTING: dict[str, Any] = {
    "input": torch.ones(2, 4, 5, 6),
    "weight": torch.ones(4, 3, 3, 2),
    "bias": torch.ones(3),
}


@each(
    ("name", "value", "error"),
    [
        *bad_pairs(stride=1, padding=0, output_padding=0, dilation=1),
        *bad_integers(groups=1),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_argument_is_named(
    function: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected"):
        function(**FITTING, **{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output_padding": 1}, "output_padding=1: expected less than the larger of"),
        ({"padding": (4, 0)}, "padding=4: expected at most 3"),
        ({"groups": 3}, "groups=3: expected a divisor of in_channels=4"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_arguments_that_do_not_fit_are_named(
    function: Callable[..., Any], options: dict[str, Any], said: str
) -> None:
    with rejects(ValueError, said):
        function(**FITTING, **options)


@each(
    ("name", "shape", "expected"),
    [
        ("input", (4, 5, 6), "(N, C_in, H, W)"),
        ("input", (2, 4, 0, 6), "sizes of at least 1"),
        ("weight", (3, 4, 3, 2), "(4, C_out / groups, K_h, K_w)"),
        ("weight", (4, 3, 0, 2), "sizes of at least 1"),
        ("weight", (4, 3, 3), "(C_in, C_out / groups, K_h, K_w)"),
        ("bias", (4,), "(3,)"),
    ],
)
@pytest.mark.parametrize("function", FORMS)
def test_an_impossible_shape_is_named(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], expected: str
) -> None:
    with rejects(ValueError, f"{name} of shape {shape}: expected {expected}"):
        function(**FITTING | {name: torch.ones(shape)})


@each(("name", "value", "error"), bad_integers(stride=1))
def test_a_border_names_an_impossible_stride(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected an integer >= 1"):
        border(3, value)
