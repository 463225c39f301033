"""The standard convolution: a full grid of neighbours, all channels mixed.

    output[n, o, i, j] = bias[o] + sum over c, u, v of
                         weight[o, c, u, v] * input[n, c, S_h * i + u - P_h, S_w * j + v - P_w]

where the input counts as 0 outside its borders. Nothing is flipped: deep
learning's convolution is what signal processing calls cross-correlation.
"""

from typing import Any

import numpy as np
from torch import Tensor

from convnotes.arguments import IntOrPair, arrays, layer_shapes, pair, tensors
from convnotes.costs import Cost, convolution_cost
from convnotes.shapes import layer_output_size
from convnotes.windows import contract, windows


def conv2d_loops(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``bias`` (C_out,);
    the result is (N, C_out, H_out, W_out) in float64. Slow on purpose: it is what the
    fast form is tested against.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> conv2d_loops(np.ones((1, 2, 3, 4)), np.ones((1, 2, 3, 3)))
    array([[[[18., 18.]]]])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias)
    N, C_in, H, W = input.shape
    C_out, _, K_h, K_w = weight.shape
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    H_out, W_out = layer_output_size(input, weight, stride, padding)

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for c, u, v in np.ndindex(C_in, K_h, K_w):
            y, x = S_h * i + u - P_h, S_w * j + v - P_w
            if 0 <= y < H and 0 <= x < W:
                output[n, o, i, j] += weight[o, c, u, v] * input[n, c, y, x]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Tensor:
    """Compute the standard convolution as one gather and one contraction.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``bias`` (C_out,);
    the result is (N, C_out, H_out, W_out), differentiable, of the input's dtype and on
    its device. The arguments are those of ``torch.nn.functional.conv2d``; the ones
    missing here, ``dilation`` and ``groups``, have chapters of their own.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> conv2d(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 3), padding=(0, 1))
    tensor([[[[12., 18., 18., 12.]]]])
    """
    tensors(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias)
    layer_output_size(input, weight, stride, padding)  # the kernel has to fit
    gathered = windows(input, weight.shape[2:], stride, padding)
    return contract(gathered, weight, bias)


def conv2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    bias: bool = False,
) -> Cost:
    """Count what a standard convolution costs for one image.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_out * C_in * K_h * K_w``; MACs are the weights times the ``H_out * W_out``
    output positions, padded zeros multiplied like any other value.

    Raises ``ValueError`` if an argument is too small or the kernel does not fit.

    >>> conv2d_cost(3, 4, kernel_size=3, input_size=64, padding=1)
    Cost(params=108, macs=442368, elements_moved=28780)
    """
    return convolution_cost(
        in_channels,
        out_channels,
        kernel_size,
        input_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=bias,
    )
