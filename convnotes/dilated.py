"""The dilated convolution: a grid of neighbours with gaps, all channels mixed.

    output[n, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] *
                         input[n, c, S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w]

D, the dilation, is the distance between neighbouring kernel positions; 1 means no gap.
Only the gather differs from the standard convolution. It is also called atrous.
"""

from typing import Any

import numpy as np
from torch import Tensor

from convnotes.arguments import IntOrPair, arrays, layer_shapes, pair, tensors
from convnotes.shapes import layer_output_size
from convnotes.windows import contract, windows


def dilated_conv2d_loops(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``bias`` (C_out,);
    the result is (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> row = np.array([1, 2, 3, 4, 5]).reshape(1, 1, 1, 5)
    >>> dilated_conv2d_loops(row, np.ones((1, 1, 1, 2)), dilation=3)
    array([[[[5., 7.]]]])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias)
    N, C_in, H, W = input.shape
    C_out, _, K_h, K_w = weight.shape
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    H_out, W_out = layer_output_size(input, weight, stride, padding, dilation)

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for c, u, v in np.ndindex(C_in, K_h, K_w):
            y, x = S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w
            if 0 <= y < H and 0 <= x < W:
                output[n, o, i, j] += weight[o, c, u, v] * input[n, c, y, x]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def dilated_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Compute the dilated convolution: gather with gaps, contract as ever.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``bias`` (C_out,);
    the result is (N, C_out, H_out, W_out), differentiable, of the input's dtype and on
    its device. The arguments are those of ``torch.nn.functional.conv2d``, without
    ``groups``. What it costs, ``convnotes.standard.conv2d_cost`` counts: as many MACs for
    an output value as without gaps.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> row = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 1, 5)
    >>> dilated_conv2d(row, torch.ones(1, 1, 1, 2), dilation=3)
    tensor([[[[5., 7.]]]])
    """
    tensors(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias)
    layer_output_size(input, weight, stride, padding, dilation)  # the kernel has to fit
    gathered = windows(input, weight.shape[2:], stride, padding, dilation)
    return contract(gathered, weight, bias)
