"""A convolution's matrix is its Jacobian, and does to the flattened image what the layer does."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import (
    Layer,
    assert_equal,
    asymmetric,
    bad_integers,
    bad_pairs,
    each,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from torch import Tensor

from convnotes import matrices
from convnotes.deformable import DeformConv2dPack, deform_conv2d
from convnotes.depthwise import depthwise_conv2d
from convnotes.depthwise_separable import depthwise_separable_conv2d
from convnotes.dilated import dilated_conv2d
from convnotes.grouped import grouped_conv2d
from convnotes.matrices import as_matrix, conv2d_matrix, family, taps
from convnotes.pointwise import pointwise_conv2d
from convnotes.separable import spatially_separable_conv2d
from convnotes.standard import conv2d
from convnotes.transposed import conv_transpose2d


def without_bias(layer: Layer) -> Any:
    return lambda x: conv2d(x, layer.weight, None, layer.stride, layer.padding)


@given(layers())
def test_it_does_to_the_flattened_image_what_torch_does_to_the_image(
    layer: Layer,
) -> None:
    matrix = as_matrix(without_bias(layer), tuple(layer.input.shape[1:]))
    expected = F.conv2d(layer.input, layer.weight, None, layer.stride, layer.padding)
    assert_equal(layer.input.flatten(1) @ matrix.T, expected.flatten(1))


def test_it_is_the_jacobian_that_torch_computes() -> None:
    layer = asymmetric()
    image = layer.input[:1]
    jacobian = torch.autograd.functional.jacobian(without_bias(layer), image)
    matrix = as_matrix(without_bias(layer), tuple(image.shape[1:]))
    assert_equal(matrix, jacobian.flatten(4).flatten(0, 3))


def test_worked_by_hand() -> None:
    weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)
    by_hand = [
        # row 0    row 1    row 2 of the image, three pixels each
        [1, 2, 0, 3, 4, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 4, 0, 0, 0],
        [0, 0, 0, 1, 2, 0, 3, 4, 0],
        [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]
    matrix = as_matrix(lambda x: conv2d(x, weight), (1, 3, 3))
    assert_equal(matrix, torch.tensor(by_hand, dtype=torch.float64))


def test_the_transposed_matrix_is_torchs_transposed_convolution() -> None:
    weight = whole_numbers((4, 3, 3, 2))
    matrix = as_matrix(lambda x: conv2d(x, weight, None, (2, 1), (1, 2)), (3, 7, 6))
    transposed = as_matrix(
        lambda y: F.conv_transpose2d(y, weight, None, (2, 1), (1, 2)), (4, 4, 9)
    )
    assert_equal(matrix.T, transposed)


def test_one_after_the_other_is_the_product() -> None:
    first, second = (
        whole_numbers((4, 3, 3, 2), seed=1),
        whole_numbers((2, 4, 2, 3), seed=2),
    )
    product = as_matrix(lambda x: conv2d(x, second), (4, 5, 5)) @ as_matrix(
        lambda x: conv2d(x, first), (3, 7, 6)
    )
    assert_equal(
        as_matrix(lambda x: conv2d(conv2d(x, first), second), (3, 7, 6)), product
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float64"], ids=str)
def test_a_dtype_that_no_matrix_can_have_is_named(dtype: Any) -> None:
    with rejects(TypeError, f"dtype={dtype!r}: expected None or a floating-point"):
        as_matrix(torch.relu, (1, 2, 3), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_is_of_the_dtype_asked_for(dtype: torch.dtype) -> None:
    layer = asymmetric()
    weight = layer.weight.to(dtype)
    matrix = as_matrix(lambda x: conv2d(x, weight), (5, 7, 6), dtype=dtype)
    assert_equal(
        matrix, as_matrix(lambda x: conv2d(x, layer.weight), (5, 7, 6)).to(dtype)
    )


def test_a_vector_is_an_image_too() -> None:
    assert_equal(as_matrix(lambda x: x.flip(1), (3,)), torch.eye(3).flip(0).double())


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_sparse_one_stores_what_is_not_zero(layout: torch.layout) -> None:
    weight = 1 + torch.rand(2, 3, 3, 2, dtype=torch.float64)
    dense = as_matrix(lambda x: F.conv2d(x, weight), (3, 7, 6))
    sparse = as_matrix(lambda x: F.conv2d(x, weight), (3, 7, 6), layout=layout)
    assert sparse.layout == layout
    assert sparse.values().numel() == dense.count_nonzero() == 2 * 25 * 18
    assert_equal(sparse.to_dense(), dense)


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo])
def test_no_batch_is_larger_than_it_may_be(
    layout: torch.layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrices, "BATCH", 5 * 126)
    sizes = []

    def layer(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return F.conv2d(x, weight)

    weight = whole_numbers((4, 3, 3, 2))
    matrix = as_matrix(layer, (3, 7, 6), layout=layout)
    assert sizes == [*[5] * 25, 1, 1, 1]  # the last two try whether it is linear
    assert_equal(matrix.to_dense(), conv2d_matrix(weight, (7, 6)))


def test_it_is_differentiable_in_the_weights() -> None:
    weight = whole_numbers((4, 3, 3, 2)).requires_grad_()
    as_matrix(lambda x: F.conv2d(x, weight), (3, 7, 6)).sum().backward()
    assert_equal(weight.grad, torch.full_like(weight, 25))  # used at 5 × 5 positions


def never(_: Tensor) -> Tensor:
    raise AssertionError("the function was called before the shape was checked")


@pytest.mark.parametrize(
    ("size", "error"),
    [(0, ValueError), (-1, ValueError), (2.0, TypeError), (None, TypeError)],
)
def test_an_impossible_shape_is_named(size: Any, error: type[Exception]) -> None:
    with rejects(error, f"input_shape={size!r}: expected an integer >= 1"):
        as_matrix(never, (3, size, 6))


@pytest.mark.parametrize(
    "function",
    [lambda x: x + 1, lambda x: x / 0, torch.exp, torch.relu, torch.abs, torch.tanh],
)
def test_a_function_that_is_not_linear_has_no_matrix(function: Any) -> None:
    with rejects(ValueError, f"function={function!r}: expected a linear function"):
        as_matrix(function, (2, 3))


def test_rounding_is_no_reason_to_call_a_function_not_linear() -> None:
    weight = torch.randn(16, 32, 3, 3, generator=torch.Generator().manual_seed(0))
    as_matrix(lambda x: F.conv2d(x, weight), (32, 12, 12), dtype=torch.float32)


def test_a_function_with_small_values_is_checked_as_any_other() -> None:
    with rejects(ValueError, "expected a linear function"):
        as_matrix(lambda x: 1e-12 * torch.relu(x), (2, 3))


def test_of_a_bias_it_is_said_that_it_moves_zero() -> None:
    with rejects(ValueError, "expected a linear function, but it moves zero"):
        as_matrix(torch.nn.Conv2d(1, 2, 3), (1, 5, 4), dtype=torch.float32)


def test_a_function_that_gives_no_batch_and_a_layout_that_is_none_are_named() -> None:
    with rejects(TypeError, "expected a batch of 6 for a batch of 6, not shape (3, 6)"):
        as_matrix(lambda x: x.T[:3], (6,))
    with rejects(TypeError, "not a tuple"):
        as_matrix(lambda x: (x, x), (6,))  # type: ignore[arg-type,return-value]
    with rejects(ValueError, "layout=torch.sparse_csc: expected one of"):
        as_matrix(never, (6,), layout=torch.sparse_csc)


@pytest.mark.parametrize(("shape", "error"), [(3, TypeError), ((), ValueError)])
def test_what_is_no_shape_is_named(shape: Any, error: type[Exception]) -> None:
    with rejects(error, f"input_shape={shape!r}: expected"):
        as_matrix(lambda x: x, shape)


# The formula: channels ⊗ (rows ⊗ columns), summed over the kernel's positions.


@given(layers(dilated=True, grouped=True))
def test_the_formulas_matrix_is_the_one_that_is_found(layer: Layer) -> None:
    options = (layer.stride, layer.padding, layer.dilation, layer.groups)
    image = tuple(layer.input.shape[1:])
    found = as_matrix(lambda x: F.conv2d(x, layer.weight, None, *options), image)
    assert_equal(conv2d_matrix(layer.weight, image[1:], *options), found)


def test_the_formula_is_a_sum_of_kronecker_products() -> None:
    weight = whole_numbers((4, 3, 3, 2))
    E, F_ = taps(7, 3, 2, 1, 2), taps(6, 2, 1, 2, 3)
    by_kronecker = sum(
        torch.kron(weight[:, :, u, v], torch.kron(E[u], F_[v]))
        for u in range(3)
        for v in range(2)
    )
    found = conv2d_matrix(weight, (7, 6), (2, 1), (1, 2), (2, 3))
    assert_equal(found, by_kronecker)


def test_taps_worked_by_hand() -> None:
    # Position i reads 2·i + 3·k − 1 of 5 pixels: for k = 0 −1, 1, 3; for k = 1 2, 4, 6.
    assert taps(5, 2, stride=2, padding=2, dilation=3).argmax(2).tolist() == [
        [0, 0, 2],
        [1, 3, 0],
    ]
    assert taps(5, 2, stride=2, padding=2, dilation=3).sum(2).tolist() == [
        [0, 1, 1],
        [1, 1, 0],
    ]


# What each variant does to the two factors. SIZE is not square, and no two sizes agree.

SIZE = (5, 4)
WEIGHT = whole_numbers((6, 4, 3, 2), seed=3, largest=9)


def identity(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


def test_standard_is_toeplitz_twice() -> None:
    matrix = as_matrix(lambda x: conv2d(x, WEIGHT, padding=(1, 0)), (4, *SIZE))
    M = matrix.reshape(6, 5, 3, 4, 5, 4)
    assert_equal(M[:, 1:, :, :, 1:], M[:, :-1, :, :, :-1])  # a row further down
    assert_equal(
        M[:, :, 1:, :, :, 1:], M[:, :, :-1, :, :, :-1]
    )  # a column to the right


def test_dilated_has_holes() -> None:
    matrix = as_matrix(lambda x: dilated_conv2d(x, WEIGHT, dilation=(2, 3)), (4, *SIZE))
    M = matrix.reshape(6, 1, 1, 4, 5, 4)[:, 0, 0]
    assert_equal(M[:, :, ::2, ::3], WEIGHT)
    assert M.count_nonzero() == WEIGHT.count_nonzero()


def test_transposed_is_the_transpose() -> None:
    options: Any = {"stride": (2, 1), "padding": (1, 0)}
    back = as_matrix(lambda y: conv_transpose2d(y, WEIGHT, **options), (6, 3, 3))
    assert_equal(back, conv2d_matrix(WEIGHT, SIZE, **options).T)


def test_separable_is_a_product_of_one_axis_each() -> None:
    column, row = (
        whole_numbers((3, 4, 3, 1), seed=4),
        whole_numbers((6, 3, 1, 2), seed=5),
    )
    both = as_matrix(lambda x: spatially_separable_conv2d(x, column, row), (4, *SIZE))
    down, along = conv2d_matrix(column, SIZE), conv2d_matrix(row, (3, 4))
    assert_equal(both, along @ down)
    # Of the columns, the first leaves all as they are; of the rows, the second.
    assert_equal(
        down,
        sum(
            torch.kron(column[:, :, u, 0], torch.kron(taps(5, 3)[u], identity(4)))
            for u in range(3)
        ),
    )
    assert_equal(
        along,
        sum(
            torch.kron(row[:, :, 0, v], torch.kron(identity(3), taps(4, 2)[v]))
            for v in range(2)
        ),
    )


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_and_depthwise_are_block_diagonal(groups: int) -> None:
    weight = whole_numbers((8, 4 // groups, 3, 2))
    matrix = as_matrix(
        partial(grouped_conv2d, weight=weight, groups=groups), (4, *SIZE)
    )
    parts = [conv2d_matrix(part, SIZE) for part in weight.chunk(groups)]
    assert_equal(matrix, torch.block_diag(*parts))
    if groups == 4:
        depthwise = partial(depthwise_conv2d, weight=weight)
        assert_equal(as_matrix(depthwise, (4, *SIZE)), matrix)


def test_pointwise_is_a_kronecker_product_with_the_identity() -> None:
    weight = WEIGHT[:, :, :1, :1]
    matrix = as_matrix(lambda x: pointwise_conv2d(x, weight), (4, *SIZE))
    assert_equal(matrix, torch.kron(weight[..., 0, 0], identity(20)))


def test_depthwise_separable_is_pointwise_times_depthwise() -> None:
    depth, point = whole_numbers((8, 1, 3, 2)), whole_numbers((6, 8, 1, 1), seed=6)
    whole = as_matrix(lambda x: depthwise_separable_conv2d(x, depth, point), (4, *SIZE))
    first = conv2d_matrix(depth, SIZE, groups=4)
    assert_equal(whole, torch.kron(point[..., 0, 0], identity(9)) @ first)


def test_deformable_is_another_matrix_for_other_offsets() -> None:
    def layer(x: Tensor, offset: Tensor, weight: Tensor = WEIGHT) -> Tensor:
        return deform_conv2d(x, offset.expand(len(x), -1, -1, -1), weight)

    def matrix(offset: Tensor) -> Tensor:
        return as_matrix(partial(layer, offset=offset), (4, *SIZE))

    assert_equal(matrix(torch.zeros(1, 12, 3, 3).double()), conv2d_matrix(WEIGHT, SIZE))
    offset = torch.rand(1, 12, 3, 3, generator=torch.manual_seed(0)).double() - 0.5
    one_each = identity(6).reshape(6, 1, 3, 2)
    sampled = as_matrix(partial(layer, offset=offset, weight=one_each), (1, *SIZE))
    of_tap = sampled.view(3, 2, 9, 20)  # in the place of E[u] ⊗ F[v]
    assert of_tap.count_nonzero(dim=3).max() == 4  # the pixels around a point
    by_formula = sum(
        torch.kron(WEIGHT[:, :, u, v], of_tap[u, v]) for u in range(3) for v in range(2)
    )
    torch.testing.assert_close(matrix(offset), by_formula)


def test_a_deformable_layer_that_finds_its_own_offsets_has_no_matrix() -> None:
    layer = DeformConv2dPack(2, 3, (3, 2), bias=False).double()
    expected = conv2d_matrix(layer.weight, SIZE)
    assert_equal(as_matrix(layer, (2, *SIZE)), expected)  # offsets start as 0
    torch.nn.init.constant_(layer.conv_offset.weight, 0.3)
    with rejects(ValueError, "expected a linear function"):
        as_matrix(layer, (2, *SIZE))


@each(
    ("name", "value", "error"),
    [
        *bad_pairs(input_size=1, stride=1, padding=0, dilation=1),
        *bad_integers(groups=1),
    ],
)
def test_an_impossible_argument_of_the_formula_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    with rejects(error, f"{name}={value!r}: expected"):
        conv2d_matrix(**{"weight": WEIGHT, "input_size": 5, name: value})


def test_an_impossible_weight_of_the_formula_is_named() -> None:
    with rejects(
        ValueError, "weight of shape (6, 4, 3): expected (C_out, C_in, K_h, K_w)"
    ):
        conv2d_matrix(WEIGHT[..., 0], 5)
    with rejects(TypeError, "weight is torch.int64: expected a floating-point tensor"):
        conv2d_matrix(WEIGHT.long(), 5)
    with rejects(ValueError, "groups=4: expected a divisor of weight's C_out=6"):
        conv2d_matrix(WEIGHT, 5, groups=4)


# The family portrait.


@pytest.mark.parametrize(
    ("groups", "error"), [(0, ValueError), (3, ValueError), (2.0, TypeError)]
)
def test_groups_that_do_not_divide_the_portraits_channels_are_named(
    groups: Any, error: type[Exception]
) -> None:
    with rejects(error, f"groups={groups!r}: expected"):
        family(groups=groups)


def test_the_portrait_numbers_each_variants_weights() -> None:
    matrices = family((2, 5), channels=6, groups=3)
    assert list(matrices) == [
        *("standard", "dilated", "transposed", "deformable", "grouped", "depthwise"),
        *("pointwise", "spatially separable", "depthwise separable"),
    ]
    for name, factors in matrices.items():
        assert [matrix.shape for matrix in factors] == [(60, 60)] * len(factors), name
    [grouped], (second, first) = matrices["grouped"], matrices["depthwise separable"]
    numbers = torch.arange(1.0, 109).double().reshape(6, 2, 3, 3)
    assert_equal(grouped, conv2d_matrix(numbers, (2, 5), padding=1, groups=3))
    assert_equal(second, matrices["pointwise"][0])
    assert_equal(first, matrices["depthwise"][0])
    assert_equal(matrices["transposed"][0], matrices["standard"][0].T)


def test_in_the_portrait_a_deformable_entry_is_a_share_of_a_weight() -> None:
    matrices = family()
    [deformable], [standard] = matrices["deformable"], matrices["standard"]
    weights = deformable.ceil()
    assert [weights.min().item(), weights.max().item()] == [0, 144]
    channels = [set(block[block > 0].tolist()) for block in weights.split(12)]
    assert not set.intersection(*channels)  # a filter's weights stay in its rows
    assert weights.count_nonzero() > standard.count_nonzero()
