"""The transposed convolution: it scatters where the standard one gathers.

    output[n, o, S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w] +=
        weight[c, o, u, v] * input[n, c, i, j]      for all n, c, o, i, j, u, v

and a bias[o] everywhere. Its matrix is the transpose of the standard convolution's with
the same arguments: so it gives back that one's input *size*, not its input.
"""

from collections import defaultdict
from itertools import product
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convnotes.arguments import (
    IntOrPair,
    arrays,
    axes,
    divides,
    flag,
    integer,
    pair,
    tensors,
)
from convnotes.costs import Cost, layer_cost
from convnotes.grouped import contract_groups
from convnotes.shapes import conv_transpose_output_size
from convnotes.windows import windows


def conv_transpose2d_loops(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> np.ndarray:
    """Compute the definition, scattering one product at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_in, C_out / groups, K_h, K_w), ``bias``
    (C_out,); the result is (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> row = np.array([1, 2]).reshape(1, 1, 1, 2)
    >>> conv_transpose2d_loops(row, np.ones((1, 1, 1, 3)), stride=(1, 2))
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    groups = transposed_shapes(input, weight, bias, groups)
    N, C_in, H, W = input.shape
    _, C_group, K_h, K_w = weight.shape
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    extra_h, extra_w = pair("output_padding", output_padding, minimum=0)
    H_out = conv_transpose_output_size(H, K_h, S_h, P_h, extra_h, D_h)
    W_out = conv_transpose_output_size(W, K_w, S_w, P_w, extra_w, D_w)

    output = np.zeros((N, C_group * groups, H_out, W_out))
    for n, c, i, j in np.ndindex(input.shape):
        g = c // (C_in // groups)
        for o, u, v in np.ndindex(C_group, K_h, K_w):
            y, x = S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w
            if 0 <= y < H_out and 0 <= x < W_out:
                term = weight[c, o, u, v] * input[n, c, i, j]
                output[n, g * C_group + o, y, x] += term
    return output if bias is None else output + bias[:, None, None]


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Compute the transposed convolution by phases, each a small gather and contraction.

    The output pixels whose row is r modulo the stride are all reached by the same rows
    of the kernel: together they are a stride-1 convolution of the input with those rows,
    flipped. With columns alike there are at most ``S_h * S_w`` such phases, and no zero
    between pixels is ever multiplied (Shi et al., *Is the deconvolution layer the same as
    a convolutional layer?*, arXiv:1609.07009).

    ``input`` is (N, C_in, H, W), ``weight`` (C_in, C_out / groups, K_h, K_w), ``bias``
    (C_out,); the result is (N, C_out, H_out, W_out). The arguments are those of
    ``torch.nn.functional.conv_transpose2d``.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> row = torch.tensor([[[[1.0, 2.0]]]])
    >>> conv_transpose2d(row, torch.ones(1, 1, 1, 3), stride=(1, 2))
    tensor([[[[1., 1., 3., 2., 2.]]]])
    """
    tensors(input=input, weight=weight, bias=bias)
    groups = transposed_shapes(input, weight, bias, groups)
    S_h, S_w = strides = pair("stride", stride, minimum=1)
    down, across = zip(
        input.shape[2:],
        weight.shape[2:],
        strides,
        pair("padding", padding, minimum=0),
        pair("output_padding", output_padding, minimum=0),
        pair("dilation", dilation, minimum=1),
        strict=True,
    )
    H_out = conv_transpose_output_size(*down)
    W_out = conv_transpose_output_size(*across)
    rows, columns = phases(*down), phases(*across)

    # Phases that see the same windows are output channels of one convolution.
    alike = defaultdict(list)
    for row, column in product(rows, columns):
        alike[row.sees, column.sees].append((row, column))

    # The input with zeros around it, and a standard convolution's filters: flipped.
    edges = border(*across[1:]), border(*down[1:])
    padded = F.pad(input, [edge for edge in edges for _ in range(2)])
    filters = weight.unflatten(0, (groups, -1)).transpose(1, 2).flip(3, 4)
    all_reached = len(rows) == min(S_h, H_out) and len(columns) == min(S_w, W_out)
    new = input.new_empty if all_reached else input.new_zeros
    output = new(len(input), groups, weight.shape[1], H_out, W_out)

    for (tall, wide), found in alike.items():
        seen = padded[:, :, tall.begin : tall.end, wide.begin : wide.end]
        size, gaps = (tall.taps, wide.taps), (tall.gap, wide.gap)
        gathered = windows(seen, size, dilation=gaps)
        parts = [filters[..., row.taps, column.taps] for row, column in found]
        values = contract_groups(gathered, torch.cat(parts, 1).flatten(0, 1), groups)
        each = values.unflatten(1, (groups, len(found), -1)).unbind(2)
        for (row, column), phase in zip(found, each, strict=True):
            output[..., row.first :: S_h, column.first :: S_w] = phase
    output = output.flatten(1, 2)
    return output if bias is None else output + bias[:, None, None]


class Sight(NamedTuple):
    """What a phase sees: ``taps`` pixels, ``gap`` apart, of inputs ``begin`` to ``end``.

    Counted on the input with ``border`` zeros on both sides.

    >>> [phase.sees for phase in phases(4, kernel_size=2, stride=2)]
    [Sight(begin=0, end=4, taps=1, gap=1), Sight(begin=0, end=4, taps=1, gap=1)]
    """

    begin: int
    end: int
    taps: int
    gap: int


class Phase(NamedTuple):
    """How the outputs ``first``, ``first + stride``, ... along one axis come about.

    They are a stride-1 convolution of what the phase ``sees`` with ``taps``, a slice of
    the flipped kernel.

    >>> phases(4, kernel_size=2, padding=1)
    [Phase(first=0, taps=slice(0, None, 1), sees=Sight(begin=1, end=5, taps=2, gap=1))]
    """

    first: int
    taps: slice
    sees: Sight


def phases(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> list[Phase]:
    """Return the phases of a transposed convolution along one axis, at most ``stride``.

    Kernel position u adds input i to output y = stride * i + dilation * u - padding. So
    the remainder of dilation * u, divided by the stride, says to which outputs: a phase
    is the positions u of one remainder, and the outputs that they reach.

    Raises ``ValueError`` as ``convnotes.shapes.conv_transpose_output_size`` does.

    >>> [phase.taps for phase in phases(4, kernel_size=3, stride=2)]
    [slice(0, None, 2), slice(1, None, 2)]
    """
    output_size = conv_transpose_output_size(
        input_size, kernel_size, stride, padding, output_padding, dilation
    )
    zeros = border(kernel_size, stride, padding, output_padding, dilation)
    apart = stride // gcd(stride, dilation)  # from a tap to the phase's next tap
    gap = dilation // gcd(stride, dilation)
    found = []
    for u in range(min(apart, kernel_size)):
        last = u + (kernel_size - 1 - u) // apart * apart  # of the phase's taps
        first = (dilation * u - padding) % stride
        outputs = len(range(first, output_size, stride))
        if outputs:
            begin = zeros + (first + padding - dilation * last) // stride
            steps = (last - u) // apart
            sees = Sight(begin, begin + gap * steps + outputs, steps + 1, gap)
            taps = slice(kernel_size - 1 - last, None, apart)
            found.append(Phase(first, taps, sees))
    return found


def border(
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Return how many zeros beyond the input, along one axis, the phases read at most.

    Raises ``ValueError`` if ``stride`` is below 1.

    >>> border(kernel_size=3, stride=2), border(kernel_size=2, stride=2)
    (1, 0)
    """
    stride = integer("stride", stride, minimum=1)
    return (dilation * (kernel_size - 1) + output_padding) // stride


def transposed_shapes(input: Any, weight: Any, bias: Any, groups: Any) -> int:
    """Check that the arrays of a transposed layer fit together; return ``groups``.

    >>> transposed_shapes(np.ones((1, 4, 5, 6)), np.ones((3, 2, 3, 3)), None, 1)
    Traceback (most recent call last):
    ValueError: weight of shape (3, 2, 3, 3): expected (4, C_out / groups, K_h, K_w) \
for input of shape (1, 4, 5, 6)
    """
    axes("input", input, "(N, C_in, H, W)")
    axes("weight", weight, "(C_in, C_out / groups, K_h, K_w)")
    of_input, of_weight = tuple(input.shape), tuple(weight.shape)
    groups = integer("groups", groups, minimum=1)
    if 0 in of_input[1:]:
        raise ValueError(f"input of shape {of_input}: expected sizes of at least 1")
    if 0 in of_weight:
        raise ValueError(f"weight of shape {of_weight}: expected sizes of at least 1")
    if of_weight[0] != of_input[1]:
        raise ValueError(
            f"weight of shape {of_weight}: expected ({of_input[1]}, C_out / groups, K_h, K_w) "
            f"for input of shape {of_input}"
        )
    divides("groups", groups, in_channels=of_input[1])
    channels = of_weight[1] * groups
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(
            f"bias of shape {tuple(bias.shape)}: expected ({channels},), "
            f"one value for each output channel"
        )
    return groups


def conv_transpose2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
    bias: bool = False,
) -> Cost:
    """Count what a transposed convolution costs for one image.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_in * (C_out / groups) * K_h * K_w``; MACs are the weights times the *input's*
    positions, ``H * W``: every input value meets every weight of its channel once.
    Products that ``padding`` crops away are counted.

    Raises ``ValueError`` if an argument is too small, the output would be empty, or
    ``groups`` does not divide the channels.

    >>> conv_transpose2d_cost(8, 4, kernel_size=3, input_size=16, stride=2)
    Cost(params=288, macs=73728, elements_moved=6692)
    """
    in_channels = integer("in_channels", in_channels, minimum=1)
    out_channels = integer("out_channels", out_channels, minimum=1)
    groups = integer("groups", groups, minimum=1)
    divides("groups", groups, in_channels=in_channels, out_channels=out_channels)
    kernel_size = pair("kernel_size", kernel_size, minimum=1)
    input_size = pair("input_size", input_size, minimum=1)
    height, width = map(
        conv_transpose_output_size,
        input_size,
        kernel_size,
        pair("stride", stride, minimum=1),
        pair("padding", padding, minimum=0),
        pair("output_padding", output_padding, minimum=0),
        pair("dilation", dilation, minimum=1),
    )
    return layer_cost(
        weight_shape=(in_channels, out_channels // groups, *kernel_size),
        positions=input_size,
        input_shape=(in_channels, *input_size),
        output_shape=(out_channels, height, width),
        bias=flag("bias", bias),
    )
