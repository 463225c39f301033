"""The pointwise convolution: one position, all channels mixed.

    output[n, o, i, j] = bias[o] + sum over c of
                         weight[o, c, 0, 0] * input[n, c, S_h * i, S_w * j]

A kernel of one position looks at no neighbour. What is left of the weights is one
matrix, (C_out, C_in), that mixes the channels of each pixel: a linear layer over the
channels, the same at every position (Lin, Chen and Yan, *Network in network*,
arXiv:1312.4400).
"""

from typing import Any

import numpy as np
from torch import Tensor, nn

from convnotes.arguments import (
    IntOrPair,
    arrays,
    axes,
    flag,
    integer,
    layer_input,
    layer_shapes,
    pair,
    placement,
    tensors,
)
from convnotes.costs import Cost, convolution_cost
from convnotes.shapes import layer_output_size


def pointwise_conv2d_loops(
    input: Any, weight: Any, bias: Any = None, stride: IntOrPair = 1
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, 1, 1), ``bias`` (C_out,);
    the result is (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> pointwise_conv2d_loops(np.ones((1, 2, 1, 3)), [[[[2]], [[3]]]])
    array([[[[5., 5., 5.]]]])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    _pointwise_shapes(input, weight, bias)
    N, C_in = input.shape[:2]
    S_h, S_w = pair("stride", stride, minimum=1)
    H_out, W_out = layer_output_size(input, weight, stride)

    output = np.zeros((N, len(weight), H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for c in range(C_in):
            output[n, o, i, j] += weight[o, c, 0, 0] * input[n, c, S_h * i, S_w * j]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def pointwise_conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1
) -> Tensor:
    """Compute the pointwise convolution: gather single pixels, mix their channels.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in, 1, 1), ``bias`` (C_out,); the
    result is (N, C_out, H_out, W_out), differentiable, of the input's dtype and on its
    device. The arguments are those of ``torch.nn.functional.conv2d`` without
    ``padding``, which would only frame the output with the bias, ``dilation``, which
    spreads nothing, and ``groups``.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> pointwise_conv2d(torch.ones(1, 2, 1, 3), torch.tensor([[[[2.0]], [[3.0]]]]))
    tensor([[[[5., 5., 5.]]]])
    """
    tensors(input=input, weight=weight, bias=bias)
    _pointwise_shapes(input, weight, bias)
    S_h, S_w = pair("stride", stride, minimum=1)
    pixels = input[:, :, ::S_h, ::S_w]
    matrix = weight.flatten(1).expand(len(input), -1, -1)  # the same for every image
    output = matrix @ pixels.flatten(2)
    if bias is not None:
        output = output + bias[:, None]
    return output.unflatten(2, pixels.shape[2:])


def _pointwise_shapes(input: Any, weight: Any, bias: Any) -> None:
    axes("weight", weight, "(C_out, C_in, 1, 1)")
    if tuple(weight.shape[2:]) != (1, 1):
        raise ValueError(
            f"weight of shape {tuple(weight.shape)}: expected (C_out, C_in, 1, 1)"
        )
    layer_shapes(input, weight, bias)


class PointwiseConv2d(nn.Conv2d):
    """A 1×1 convolution as a layer, computed by ``pointwise_conv2d``.

    It is an ``nn.Conv2d`` with ``kernel_size=1`` and without padding: same parameters,
    same initial values, same ``state_dict``. Raises ``ValueError`` or ``TypeError`` for
    a wrong argument.

    >>> PointwiseConv2d(16, 32)
    PointwiseConv2d(16, 32, kernel_size=(1, 1), stride=(1, 1))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: IntOrPair = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            integer("in_channels", in_channels, minimum=1),
            integer("out_channels", out_channels, minimum=1),
            kernel_size=1,
            stride=pair("stride", stride, minimum=1),
            bias=flag("bias", bias),
            **placement(device, dtype),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (N, in_channels, H, W), or one image (in_channels, H, W)."""
        layer_input(input, self.in_channels)
        if input.ndim == 3:
            return self(input[None])[0]
        return pointwise_conv2d(input, self.weight, self.bias, self.stride)


def pointwise_conv2d_cost(
    in_channels: int,
    out_channels: int,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    bias: bool = False,
) -> Cost:
    """Count what a pointwise convolution costs for one image.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_out * C_in``; MACs are the weights times the output positions. ``elements_moved``
    counts the whole input, also the pixels that a stride leaves out.

    Raises ``ValueError`` if an argument is too small, ``TypeError`` if it is of a wrong
    type.

    >>> pointwise_conv2d_cost(256, 64, input_size=56)
    Cost(params=16384, macs=51380224, elements_moved=1019904)
    """
    return convolution_cost(
        in_channels, out_channels, 1, input_size, stride=stride, bias=bias
    )
