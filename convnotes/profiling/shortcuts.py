"""Functions of torch that need not run, because arithmetic says what they would return.

A shortcut takes what the function takes. It declines, with None, what it is not sure of,
arguments that do not fit above all: then torch runs, and says what is wrong.
"""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convnotes.costs import Cost
from convnotes.profiling.arithmetic import convolved, each, kind_of, linear, scattered
from convnotes.profiling.report import Shape
from convnotes.shapes import conv_output_size


class Layer(NamedTuple):
    """What a call of a layer's function comes to.

    >>> Layer("linear", (5, 2), Cost(params=8, macs=30)).kind
    'linear'
    """

    kind: str
    output_shape: Shape
    cost: Cost


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Layer | None:
    """Stand in for ``torch.conv2d`` and its like.

    >>> convolution(torch.ones(1, 3, 8, 9), torch.ones(4, 3, 3, 3)).output_shape
    (1, 4, 6, 7)
    """
    of_input, of_weight = tuple(input.shape), tuple(weight.shape)
    axes = len(of_weight) - 2
    if not (
        len(of_input) in (axes + 1, axes + 2)
        and fits(input, weight, bias, of_weight[0])
        and of_weight[0] % groups == 0
    ):
        return None
    if of_input[-axes - 1] != of_weight[1] * groups:
        raise ValueError(
            f"input of shape {of_input}: expected {of_weight[1] * groups} channels, "
            f"for weight of shape {of_weight} and groups={groups}"
        )
    if padding == "same" and any(step != 1 for step in each(stride, axes)):
        return None
    options = stride, padding, dilation, groups
    made = convolved(of_input, of_weight, bias is not None, *options)
    return Layer(kind_of(of_weight, groups, dilation), *made)


def transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Layer | None:
    """Stand in for ``torch.conv_transpose2d`` and its like.

    >>> transposed_convolution(torch.ones(3, 8, 9), torch.ones(3, 4, 3, 3)).output_shape
    (4, 10, 11)
    """
    of_input, of_weight = tuple(input.shape), tuple(weight.shape)
    axes = len(of_weight) - 2
    if not (
        len(of_input) in (axes + 1, axes + 2)
        and fits(input, weight, bias, of_weight[1] * groups)
        and of_weight[0] % groups == 0
    ):
        return None
    if of_input[-axes - 1] != of_weight[0]:
        raise ValueError(
            f"input of shape {of_input}: expected {of_weight[0]} channels, "
            f"for weight of shape {of_weight}"
        )
    options = stride, padding, output_padding, groups, dilation
    made = scattered(of_input, of_weight, bias is not None, *options)
    return Layer("transposed", *made)


def linear_layer(
    input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Layer | None:
    """Stand in for ``F.linear``.

    >>> linear_layer(torch.ones(2, 5, 3), torch.ones(4, 3)).output_shape
    (2, 5, 4)
    """
    of_input, of_weight = tuple(input.shape), tuple(weight.shape)
    if len(of_weight) != 2 or not fits(input, weight, bias, of_weight[0]):
        return None
    if of_input[-1:] != of_weight[1:]:
        raise ValueError(
            f"input of shape {of_input}: expected {of_weight[1]} as its last size, "
            f"for weight of shape {of_weight}"
        )
    return Layer("linear", *linear(of_input, of_weight, bias is not None))


def fits(input: Tensor, weight: Tensor, bias: Tensor | None, channels: int) -> bool:
    """Say whether dtypes agree, and the bias has a value for each of the output's channels.

    >>> fits(torch.ones(1), torch.ones(1), torch.ones(4), channels=5)
    False
    """
    return input.dtype == weight.dtype and (
        bias is None or (bias.dtype == input.dtype and bias.shape == (channels,))
    )


LAYERS: dict[Any, Callable[..., Layer | None]] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), convolution),
    **dict.fromkeys(
        (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
        transposed_convolution,
    ),
    F.linear: linear_layer,
}


def _same(input: Tensor, *rest: Any, **options: Any) -> Shape | None:
    """Return the shape of what has the input's: activations, for example."""
    return None if options.get("dtype") else tuple(input.shape)


def _batch_norm(input: Tensor, *rest: Any, **options: Any) -> Shape | None:
    each = [*rest[:2], options.get("weight"), options.get("bias")]
    channels = input.shape[1:2]
    fit = all(one is None or one.shape == channels for one in each)
    return tuple(input.shape) if fit else None


def _layer_norm(
    input: Tensor, normalized_shape: Any, *rest: Any, **options: Any
) -> Any:
    last = tuple(normalized_shape)
    return tuple(input.shape) if input.shape[-len(last) :] == last else None


def elementwise(input: Any, other: Any, **options: Any) -> Shape | None:
    """Return the shape of a sum or a product of two tensors, one repeated along axes of size 1.

    >>> elementwise(torch.ones(2, 3, 5, 7), torch.ones(3, 1, 1))
    (2, 3, 5, 7)
    """
    both = isinstance(input, Tensor) and isinstance(other, Tensor)
    if options or not both or input.dtype != other.dtype:
        return None
    sizes = list(zip_longest(input.shape[::-1], other.shape[::-1], fillvalue=1))
    if any(one != two and 1 not in (one, two) for one, two in sizes):
        return None
    return tuple(two if one == 1 else one for one, two in sizes)[::-1]


def pooling(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    *rest: Any,
    **options: Any,
) -> Shape | None:
    """Return the shape of pooling over two axes.

    >>> pooling(torch.ones(3, 9, 7), 3, 2, padding=1)
    (3, 5, 4)
    """
    unusual = ("dilation", 1), ("ceil_mode", False), ("return_indices", False)
    if rest or any(options.get(name, usual) != usual for name, usual in unusual):
        return None
    kernel, steps, borders = (
        each(one, 2) for one in (kernel_size, stride or kernel_size, padding)
    )
    if any(2 * border > size for size, border in zip(kernel, borders, strict=True)):
        return None
    along = zip(input.shape[-2:], kernel, steps, borders, strict=True)
    return (*input.shape[:-2], *(conv_output_size(*one) for one in along))


def _adaptive_pooling(input: Tensor, output_size: Any) -> Shape | None:
    sizes = each(output_size, 2)
    return None if None in sizes else (*input.shape[:-2], *sizes)


SHAPES: dict[Any, Callable[..., Shape | None]] = {
    **dict.fromkeys(
        (
            *(F.relu, F.relu6, F.hardtanh, F.hardswish, F.hardsigmoid, F.leaky_relu),
            *(F.silu, F.gelu, F.elu, F.dropout, F.softmax, F.local_response_norm),
        ),
        _same,
    ),
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    **dict.fromkeys(
        (torch.add, Tensor.add, Tensor.add_, torch.mul, Tensor.mul), elementwise
    ),
    **dict.fromkeys((F.max_pool2d, F.avg_pool2d), pooling),
    F.adaptive_avg_pool2d: _adaptive_pooling,
}
"""Functions that are not counted: the shape of what they return, of their input's dtype."""

QUESTIONS = frozenset(
    (
        *("dim", "ndimension", "size", "stride", "numel", "nelement", "element_size"),
        *(
            "is_floating_point",
            "is_complex",
            "is_contiguous",
            "is_signed",
            "get_device",
        ),
        *("is_same_size", "storage_offset", "item", "tolist", "numpy", "__bool__"),
        *("__int__", "__float__", "__index__", "__len__", "__hash__"),
        *("__repr__", "__str__", "__format__"),
    )
)
"""Methods that ask a tensor something, its values too: one that has them may answer."""

FACTORIES = frozenset(
    (
        *("empty", "zeros", "ones", "full", "arange", "linspace", "eye"),
        *("rand", "randn", "randint"),
    )
)
"""Functions that make a tensor from nothing: here one without values."""

MOVES = frozenset(("to", "cpu", "cuda"))
"""Methods that bring a tensor to a device: here all stay where they are."""


def makes(name: str) -> bool:
    """Say whether a function only makes a tensor, perhaps like another one.

    >>> makes("zeros"), makes("new_zeros"), makes("zeros_like"), makes("add")
    (True, True, True, False)
    """
    return name in FACTORIES or name.startswith("new_") or name.endswith("_like")
