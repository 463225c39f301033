"""Shapes and costs of layers of one to three axes: integers in, integers out."""

from collections.abc import Sequence
from math import prod
from typing import Any

from convnotes.costs import Cost, layer_cost
from convnotes.profiling.report import Shape
from convnotes.shapes import conv_output_size, conv_transpose_output_size


def convolved(
    input_shape: Shape,
    weight_shape: Shape,
    bias: bool = False,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> tuple[Shape, Cost]:
    """Return the output's shape and the cost of a convolution of one to three axes.

    ``input_shape`` is (N, C_in, ...) or (C_in, ...), ``weight_shape``
    (C_out, C_in / groups, ...). The cost is that of all N images.

    >>> convolved((3, 64, 48), (4, 3, 3, 3), padding="same")
    ((4, 64, 48), Cost(params=108, macs=331776, elements_moved=21612))
    """
    axes = len(weight_shape) - 2
    size = input_shape[-axes:]
    if padding == "same":
        positions = size
    else:
        padding = 0 if padding == "valid" else padding
        kernel, options = weight_shape[2:], (stride, padding, dilation)
        along = zip(size, kernel, *(each(one, axes) for one in options), strict=True)
        positions = tuple(conv_output_size(*one) for one in along)
    return _layer(
        input_shape, weight_shape, weight_shape[0], positions, positions, bias
    )


def scattered(
    input_shape: Shape,
    weight_shape: Shape,
    bias: bool = False,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> tuple[Shape, Cost]:
    """Return the output's shape and the cost of a transposed convolution.

    ``weight_shape`` is (C_in, C_out / groups, ...), and every weight is used at each of the
    *input's* positions.

    >>> scattered((8, 16, 12), (8, 4, 3, 3), stride=2)
    ((4, 33, 25), Cost(params=288, macs=55296, elements_moved=5124))
    """
    axes = len(weight_shape) - 2
    size, options = input_shape[-axes:], (stride, padding, output_padding, dilation)
    kernel = weight_shape[2:]
    along = zip(size, kernel, *(each(one, axes) for one in options), strict=True)
    output_size = tuple(conv_transpose_output_size(*one) for one in along)
    channels = weight_shape[1] * groups
    return _layer(input_shape, weight_shape, channels, size, output_size, bias)


def each(value: Any, axes: int) -> Sequence[int]:
    """Return an option of a convolution for each of its axes.

    >>> each(2, axes=3), each((1, 2), axes=2)
    ((2, 2, 2), (1, 2))
    """
    if isinstance(value, int):
        return (value,) * axes
    return value if len(value) == axes else tuple(value) * axes


def _layer(
    input_shape: Shape,
    weight_shape: Shape,
    channels: int,
    positions: Any,
    output_size: Shape,
    bias: bool,
) -> tuple[Shape, Cost]:
    batch = input_shape[: len(input_shape) - len(weight_shape) + 1]
    shape: Any = (channels, *output_size)
    image: Any = input_shape[len(batch) :]
    return (*batch, *shape), of_all(
        prod(batch), layer_cost(weight_shape, positions, image, shape, bias)
    )


def of_all(images: int, cost: Cost) -> Cost:
    """Return the cost of a batch: the parameters are moved once, all else for each image.

    >>> of_all(2, Cost(params=10, macs=100, elements_moved=30))
    Cost(params=10, macs=200, elements_moved=50)
    """
    moved = images * (cost.elements_moved - cost.params) + cost.params
    return Cost(cost.params, images * cost.macs, moved)


def kind_of(
    weight_shape: Shape, groups: Any = 1, dilation: Any = 1, transposed: bool = False
) -> str:
    """Return the book's name of a convolution.

    >>> kind_of((8, 1, 3, 3), groups=8), kind_of((8, 4, 1, 1)), kind_of((8, 4, 3, 3), dilation=2)
    ('depthwise', 'pointwise', 'dilated')
    """
    if transposed:
        return "transposed"
    if groups > 1:
        return "depthwise" if weight_shape[1] == 1 else "grouped"
    if all(size == 1 for size in weight_shape[2:]):
        return "pointwise"
    dilated = any(one > 1 for one in each(dilation, len(weight_shape) - 2))
    return "dilated" if dilated else "standard"


def linear(
    input_shape: Shape, weight_shape: Shape, bias: bool = False
) -> tuple[Shape, Cost]:
    """Return the output's shape and the cost of a linear layer over the last axis.

    >>> linear((1, 7, 5, 3), (4, 3), bias=True)
    ((1, 7, 5, 4), Cost(params=16, macs=420, elements_moved=261))
    """
    output = *input_shape[:-1], weight_shape[0]
    params = prod(weight_shape) + (weight_shape[0] if bias else 0)
    macs = prod(weight_shape) * prod(input_shape[:-1])
    return output, Cost(params, macs, prod(input_shape) + params + prod(output))
