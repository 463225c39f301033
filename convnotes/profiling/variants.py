"""How to read a call of this package's functions from their arguments: kind, shape, cost."""

from collections.abc import Callable
from types import CodeType
from typing import Any

from convnotes import arguments
from convnotes.deformable import deform_conv2d, deform_conv2d_cost
from convnotes.depthwise import depthwise_conv2d
from convnotes.depthwise_separable import depthwise_separable_conv2d
from convnotes.dilated import dilated_conv2d
from convnotes.grouped import grouped_conv2d
from convnotes.pointwise import pointwise_conv2d
from convnotes.profiling.arithmetic import convolved, each, of_all
from convnotes.profiling.report import Shape
from convnotes.profiling.shortcuts import Layer, convolution, transposed_convolution
from convnotes.separable import spatially_separable_conv2d
from convnotes.standard import conv2d
from convnotes.transposed import conv_transpose2d

Arguments = dict[str, Any]


def _as_torch(given: Arguments) -> Layer | None:
    """Read the call of a function that rebuilds ``F.conv2d``, or a part of it."""
    input, weight = given["input"], given["weight"]
    return convolution(
        input,
        weight,
        given["bias"],
        given["stride"],
        given.get("padding", 0),
        given.get("dilation", 1),
        given.get("groups", input.shape[-3] // weight.shape[1]),
    )


def _transposed(given: Arguments) -> Layer | None:
    names = (
        *("input", "weight", "bias", "stride", "padding"),
        *("output_padding", "groups", "dilation"),
    )
    return transposed_convolution(*(given[name] for name in names))


def _spatially_separable(given: Arguments) -> Layer:
    (S_h, S_w), (P_h, P_w) = (each(given[name], 2) for name in ("stride", "padding"))
    input, column, row = _shapes(given, "input", "column", "row")
    between, first = convolved(input, column, False, (S_h, 1), (P_h, 0))
    bias = given["bias"] is not None
    output, second = convolved(between, row, bias, (1, S_w), (0, P_w))
    return Layer("spatially separable", output, first + second)


def _depthwise_separable(given: Arguments) -> Layer:
    names = "input", "depthwise_weight", "pointwise_weight"
    input, depthwise, pointwise = _shapes(given, *names)
    options = given["stride"], given["padding"], given["dilation"], input[-3]
    between, first = convolved(input, depthwise, False, *options)
    output, second = convolved(between, pointwise, given["bias"] is not None)
    return Layer("depthwise separable", output, first + second)


def _deformable(given: Arguments) -> Layer | None:
    layer = _as_torch(given)
    if layer is None:
        return None
    input, offset, weight = _shapes(given, "input", "offset", "weight")
    groups = offset[1] // (2 * weight[2] * weight[3])
    modulated = given["mask"] is not None
    image = deform_conv2d_cost(
        *(input[1], weight[0], weight[2:], input[2:]),
        **{name: given[name] for name in ("stride", "padding", "dilation")},
        groups=input[1] // weight[1],
        offset_groups=groups,
        modulated=modulated,
        bias=given["bias"] is not None,
    )
    return Layer("deformable", layer.output_shape, of_all(input[0], image))


def _shapes(given: Arguments, *names: str) -> list[Shape]:
    return [tuple(given[name].shape) for name in names]


VARIANTS: dict[CodeType, Callable[[Arguments], Layer | None]] = {
    conv2d.__code__: _as_torch,
    dilated_conv2d.__code__: _as_torch,
    depthwise_conv2d.__code__: _as_torch,
    pointwise_conv2d.__code__: _as_torch,
    grouped_conv2d.__code__: _as_torch,
    conv_transpose2d.__code__: _transposed,
    deform_conv2d.__code__: _deformable,
    spatially_separable_conv2d.__code__: _spatially_separable,
    depthwise_separable_conv2d.__code__: _depthwise_separable,
}
ARGUMENT_CHECK = arguments.tensors.__code__  # what each of them calls first
