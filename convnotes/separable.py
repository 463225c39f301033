"""The spatially separable convolution: a column of neighbours, then a row of what came out.

::

    middle[n, m, i, x] = sum over c and u of
        column[m, c, u, 0] * input[n, c, S_h * i + u - P_h, x]
    output[n, o, i, j] = bias[o] + sum over m and v of
        row[o, m, 0, v] * middle[n, m, i, S_w * j + v - P_w]

These are two standard convolutions, each along one axis, with all channels mixed in
both. Together they are one, whose kernel from channel c to channel o is the sum over m
of the products of ``column[m, c, :, 0]`` and ``row[o, m, 0, :]``.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from convnotes.arguments import IntOrPair, arrays, axes, integer, pair, tensors
from convnotes.costs import Cost, convolution_cost
from convnotes.shapes import conv_output_size, layer_output_size
from convnotes.standard import conv2d


def spatially_separable_conv2d_loops(
    input: Any,
    column: Any,
    row: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``column`` (C_mid, C_in, K_h, 1), ``row``
    (C_out, C_mid, 1, K_w), ``bias`` (C_out,); the result is (N, C_out, H_out, W_out) in
    float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> spatially_separable_conv2d_loops(
    ...     np.ones((1, 1, 3, 4)), [[[[1], [2], [1]]]], [[[[1, 1, 1]]]]
    ... )
    array([[[[12., 12.]]]])
    """
    input, column, row, bias = arrays(input=input, column=column, row=row, bias=bias)
    H_out, W_out = _output_size(input, column, row, bias, stride, padding)
    N, C_in, H, W = input.shape
    C_mid, _, K_h, _ = column.shape
    C_out, _, _, K_w = row.shape
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)

    middle = np.zeros((N, C_mid, H_out, W))
    for n, m, i, x in np.ndindex(middle.shape):
        for c, u in np.ndindex(C_in, K_h):
            y = S_h * i + u - P_h
            if 0 <= y < H:
                middle[n, m, i, x] += column[m, c, u, 0] * input[n, c, y, x]

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for m, v in np.ndindex(C_mid, K_w):
            x = S_w * j + v - P_w
            if 0 <= x < W:
                output[n, o, i, j] += row[o, m, 0, v] * middle[n, m, i, x]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def spatially_separable_conv2d(
    input: Tensor,
    column: Tensor,
    row: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Tensor:
    """Compute the spatially separable convolution as two standard ones.

    ``input`` is (N, C_in, H, W), ``column`` (C_mid, C_in, K_h, 1), ``row``
    (C_out, C_mid, 1, K_w), ``bias`` (C_out,); the result is (N, C_out, H_out, W_out).
    The column pass takes the vertical stride and padding, the row pass the horizontal
    ones and the bias. Nothing stands between the passes, so together they are linear.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> column = torch.tensor([1.0, 2.0, 1.0]).reshape(1, 1, 3, 1)
    >>> row = torch.tensor([1.0, 1.0, 1.0]).reshape(1, 1, 1, 3)
    >>> spatially_separable_conv2d(torch.ones(1, 1, 3, 4), column, row, padding=(0, 1))
    tensor([[[[ 8., 12., 12.,  8.]]]])
    """
    tensors(input=input, column=column, row=row, bias=bias)
    _output_size(input, column, row, bias, stride, padding)
    (S_h, S_w), (P_h, P_w) = pair("stride", stride, 1), pair("padding", padding, 0)
    middle = conv2d(input, column, stride=(S_h, 1), padding=(P_h, 0))
    return conv2d(middle, row, bias, stride=(1, S_w), padding=(0, P_w))


def _output_size(
    input: Any,
    column: Any,
    row: Any,
    bias: Any,
    stride: IntOrPair,
    padding: IntOrPair,
) -> tuple[int, int]:
    """Return (H_out, W_out), after checking that everything fits together."""
    axes("input", input, "(N, C_in, H, W)")
    axes("column", column, "(C_mid, C_in, K_h, 1)")
    axes("row", row, "(C_out, C_mid, 1, K_w)")
    for name, array in {"input": input, "column": column, "row": row}.items():
        shape = tuple(array.shape)
        if 0 in shape[name == "input" :]:  # a batch may be empty
            raise ValueError(f"{name} of shape {shape}: expected sizes of at least 1")
    C_in, C_mid, C_out = input.shape[1], column.shape[0], row.shape[0]
    if (column.shape[1], column.shape[3]) != (C_in, 1):
        raise ValueError(
            f"column of shape {tuple(column.shape)}: expected (C_mid, {C_in}, K_h, 1) "
            f"for input of shape {tuple(input.shape)}"
        )
    if tuple(row.shape[1:3]) != (C_mid, 1):
        raise ValueError(
            f"row of shape {tuple(row.shape)}: expected (C_out, {C_mid}, 1, K_w) "
            f"for column of shape {tuple(column.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (C_out,):
        raise ValueError(
            f"bias of shape {tuple(bias.shape)}: expected ({C_out},), "
            f"one value for each of row's output channels"
        )
    H_out, _ = layer_output_size(input, column, stride, padding, name="column")
    _, W_out = layer_output_size(input, row, stride, padding, name="row")
    return H_out, W_out


def separate(kernel: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
    """Write a kernel as a sum of ``rank`` columns times rows, as nearly as can be.

    ``kernel`` is one (K_h, K_w) matrix. The result is ``columns`` (rank, K_h) and
    ``rows`` (rank, K_w), of the kernel's dtype; ``columns.T @ rows`` is the matrix of
    that rank with the least sum of squared differences to the kernel (Eckart and Young,
    1936), by a singular value decomposition in float64.

    The pairs come strongest first. Within a pair, column and row have the same norm, the
    square root of the singular value, and the column's largest entry is positive (the
    first of them, where several are as large up to rounding). Singular values within the
    rounding of the kernel's dtype, by the tolerance of ``numpy.linalg.matrix_rank``, count
    as 0, and their pairs are zeros. Where singular values are equal, the best sum may not
    be the only one. No gradient flows back to ``kernel``.

    Raises ``ValueError`` if ``kernel`` is no finite matrix or ``rank`` is not between 1
    and its smaller side, ``TypeError`` if it is no floating-point tensor.

    >>> columns, rows = separate(torch.full((2, 8), 2.0))
    >>> columns, rows
    (tensor([[2., 2.]]), tensor([[1., 1., 1., 1., 1., 1., 1., 1.]]))
    """
    tensors(kernel=kernel)
    axes("kernel", kernel, "(K_h, K_w)")
    shape = tuple(kernel.shape)
    if 0 in shape:
        raise ValueError(f"kernel of shape {shape}: expected sizes of at least 1")
    rank = integer("rank", rank, minimum=1)
    if rank > min(shape):
        raise ValueError(
            f"rank={rank}: expected at most {min(shape)}, "
            f"the smaller side of kernel of shape {shape}"
        )
    matrix = kernel.detach().cpu().double()
    if not matrix.isfinite().all():
        raise ValueError(f"kernel of shape {shape}: expected finite numbers in it")

    U, S, V = torch.linalg.svd(matrix, full_matrices=False)
    if not S.isfinite().all():
        raise ValueError(f"kernel of shape {shape}: expected smaller numbers in it")
    columns, rows, strength = U.T[:rank], V[:rank], S[:rank, None]
    size = columns.abs()
    as_large = size > 0.9999 * size.amax(dim=1, keepdim=True)
    first = as_large.int().argmax(dim=1, keepdim=True)
    sign = columns.gather(1, first).sign()
    rounding = S[0] * max(shape) * torch.finfo(kernel.dtype).eps
    scale = torch.where(strength > rounding, strength, 0).sqrt() * sign
    # Adding 0 makes a 0 of -0.
    return (columns * scale + 0.0).to(kernel), (rows * scale + 0.0).to(kernel)


def spatially_separable_conv2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    bias: bool = False,
    mid_channels: int | None = None,
) -> Cost:
    """Count what a spatially separable convolution costs for one image: two layers, added.

    ``input_size`` is the image's (height, width) in pixels; ``mid_channels=None`` means
    ``out_channels``. The column pass has ``C_mid * C_in * K_h`` weights, used at each of
    ``H_out * W`` positions: it has not yet stepped along the width. The row pass has
    ``C_out * C_mid * K_w``, used at ``H_out * W_out``. The map between them,
    ``C_mid * H_out * W`` elements, is written by the one and read by the other, so
    ``elements_moved`` counts it twice.

    Raises ``ValueError`` if an argument is too small or the kernel does not fit.

    >>> spatially_separable_conv2d_cost(1, 1, kernel_size=3, input_size=5)
    Cost(params=6, macs=72, elements_moved=70)
    """
    out_channels = integer("out_channels", out_channels, minimum=1)
    mid_channels = out_channels if mid_channels is None else mid_channels
    mid_channels = integer("mid_channels", mid_channels, minimum=1)
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    H, W = pair("input_size", input_size, minimum=1)
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    H_out = conv_output_size(H, K_h, S_h, P_h)

    columns = convolution_cost(
        in_channels,
        mid_channels,
        (K_h, 1),
        (H, W),
        stride=(S_h, 1),
        padding=(P_h, 0),
    )
    rows = convolution_cost(
        mid_channels,
        out_channels,
        (1, K_w),
        (H_out, W),
        stride=(1, S_w),
        padding=(0, P_w),
        bias=bias,
    )
    return columns + rows
