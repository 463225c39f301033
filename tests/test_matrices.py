"""A convolution's matrix is its Jacobian, and does to the flattened image what the layer does."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import (
    Layer,
    assert_equal,
    asymmetric,
    layers,
    rejects,
    whole_numbers,
)
from hypothesis import given
from torch import Tensor

from convnotes.matrices import as_matrix
from convnotes.standard import conv2d


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


@pytest.mark.parametrize(("shape", "error"), [(3, TypeError), ((), ValueError)])
def test_what_is_no_shape_is_named(shape: Any, error: type[Exception]) -> None:
    with rejects(error, f"input_shape={shape!r}: expected"):
        as_matrix(lambda x: x, shape)
