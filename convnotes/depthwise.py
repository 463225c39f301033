"""The depthwise convolution: a full grid of neighbours, no channels mixed.

    output[n, o, i, j] = bias[o] + sum over u, v of
        weight[o, 0, u, v] * input[n, o // M, S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w]

Each input channel has M filters of its own, M being the channel multiplier, so the
sum over channels is gone. It is the grouped convolution with as many groups as input
channels.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
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
    tensors,
)
from convnotes.costs import Cost, convolution_cost
from convnotes.shapes import conv_output_size

AT_ONCE = 2**18
"""How many input elements ``depthwise_conv2d`` works on at once: a mebibyte in float32."""


def depthwise_conv2d_loops(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_in * M, 1, K_h, K_w), ``bias``
    (C_in * M,); the result is (N, C_in * M, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> depthwise_conv2d_loops(np.ones((1, 1, 1, 3)), [[[[1, 2]]], [[[3, 4]]]])
    array([[[[3., 3.]],
    <BLANKLINE>
            [[7., 7.]]]])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias, groups=None)
    N, C_in, H, W = input.shape
    C_out, _, K_h, K_w = weight.shape
    M = C_out // C_in
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    H_out = conv_output_size(H, K_h, S_h, P_h, D_h)
    W_out = conv_output_size(W, K_w, S_w, P_w, D_w)

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for u, v in np.ndindex(K_h, K_w):
            y, x = S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w
            if 0 <= y < H and 0 <= x < W:
                output[n, o, i, j] += weight[o, 0, u, v] * input[n, o // M, y, x]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def depthwise_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Compute the depthwise convolution: gather, then weigh each channel by itself.

    No channel needs another, so it is done for a few channels at a time, whose maps
    stay in the processor's cache while all kernel positions weigh them.

    ``input`` is (N, C_in, H, W), ``weight`` (C_in * M, 1, K_h, K_w), ``bias``
    (C_in * M,); the result is (N, C_in * M, H_out, W_out), where output channel o reads
    input channel o // M. The arguments are those of ``torch.nn.functional.conv2d``
    without ``groups``, which is C_in here.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> weight = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])
    >>> depthwise_conv2d(torch.ones(1, 1, 1, 3), weight).flatten()
    tensor([3., 3., 7., 7.])
    """
    tensors(input=input, weight=weight, bias=bias)
    layer_shapes(input, weight, bias, groups=None)
    N, C_in, H, W = input.shape
    M = weight.shape[0] // C_in
    few = max(1, AT_ONCE // max(1, N * H * W))
    outputs = []
    for some, filters in zip(input.split(few, 1), weight.split(few * M), strict=True):
        maps = kernel_maps(some, weight.shape[2:], stride, padding, dilation)
        outputs.append(weigh_channels(maps, filters))
    output = torch.cat(outputs, dim=1)
    return output if bias is None else output + bias[:, None, None]


def kernel_maps(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> list[Tensor]:
    """Gather as ``windows`` does, and return one map for each kernel position.

    ``input`` is (N, C_in, H, W). Map ``K_w * u + v`` is ``windows(...)[:, :, u, v]``, a view
    of shape (N, C_in, H_out, W_out) that holds what kernel row u and column v read. Taken
    as slices, because the gradient of a slice is one map, and that of ``windows`` all.

    Raises ``ValueError`` or ``TypeError`` if an argument or the output size is impossible.

    >>> row = torch.arange(5.0).reshape(1, 1, 1, 5)
    >>> [seen.flatten().tolist() for seen in kernel_maps(row, (1, 2), stride=2)]
    [[0.0, 2.0], [1.0, 3.0]]
    """
    axes("input", input, "(N, C_in, H, W)")
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    H_out = conv_output_size(input.shape[2], K_h, S_h, P_h, D_h)
    W_out = conv_output_size(input.shape[3], K_w, S_w, P_w, D_w)

    padded = F.pad(input, (P_w, P_w, P_h, P_h)) if P_h or P_w else input
    return [
        padded[:, :, D_h * u :: S_h, D_w * v :: S_w][:, :, :H_out, :W_out]
        for u, v in np.ndindex(K_h, K_w)
    ]


def weigh_channels(maps: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Weigh each map by its kernel position's weights, and add the maps but no channels.

    ``maps`` are one (N, C_in, H_out, W_out) for each kernel position, ``weight`` is
    (C_in * M, 1, K_h, K_w) and the result (N, C_in * M, H_out, W_out).

    Raises ``ValueError`` if the shapes do not fit.

    >>> weigh_channels([torch.ones(1, 4, 2, 5)] * 9, torch.ones(8, 1, 3, 3)).shape
    torch.Size([1, 8, 2, 5])
    """
    C_in, of_weight = maps[0].shape[1], tuple(weight.shape)
    if of_weight[0] % C_in or prod(of_weight[1:]) != len(maps):
        raise ValueError(
            f"weight of shape {of_weight}: expected (C_in * M, 1, K_h, K_w) "
            f"with C_in = {C_in} and {len(maps)} kernel positions"
        )
    # One factor (C_in, M, 1, 1) for each map.
    factors = weight.reshape(C_in, -1, len(maps), 1, 1).unbind(2)
    output = maps[0][:, :, None] * factors[0]  # (N, C_in, M, H_out, W_out)
    for seen, factor in zip(maps[1:], factors[1:], strict=True):
        output.addcmul_(seen[:, :, None], factor)
    return output.flatten(1, 2)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution as a layer, computed by ``depthwise_conv2d``.

    It is an ``nn.Conv2d`` with ``groups=in_channels`` and
    ``in_channels * channel_multiplier`` output channels: same parameters, same initial
    values, same ``state_dict``. Raises ``ValueError`` or ``TypeError`` for a wrong
    argument.

    >>> DepthwiseConv2d(16, kernel_size=3, padding=1, channel_multiplier=2)
    DepthwiseConv2d(16, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=16)
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        bias: bool = True,
        channel_multiplier: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        in_channels = integer("in_channels", in_channels, minimum=1)
        multiplier = integer("channel_multiplier", channel_multiplier, minimum=1)
        super().__init__(
            in_channels,
            in_channels * multiplier,
            kernel_size=pair("kernel_size", kernel_size, minimum=1),
            stride=pair("stride", stride, minimum=1),
            padding=pair("padding", padding, minimum=0),
            dilation=pair("dilation", dilation, minimum=1),
            groups=in_channels,
            bias=flag("bias", bias),
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return the depthwise convolution of ``input``, (N, in_channels, H, W)."""
        layer_input(input, self.in_channels)
        padding = self.padding
        assert not isinstance(padding, str)  # the constructor made it a pair
        return depthwise_conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation
        )


def depthwise_conv2d_cost(
    in_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    channel_multiplier: int = 1,
    bias: bool = False,
) -> Cost:
    """Count what a depthwise convolution costs for one image.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_in * M * K_h * K_w``; MACs are the weights times the output positions.

    Raises ``ValueError`` if an argument is too small or the kernel does not fit.

    >>> depthwise_conv2d_cost(256, kernel_size=3, input_size=56, padding=1)
    Cost(params=2304, macs=7225344, elements_moved=1607936)
    """
    in_channels = integer("in_channels", in_channels, minimum=1)
    multiplier = integer("channel_multiplier", channel_multiplier, minimum=1)
    return convolution_cost(
        in_channels,
        in_channels * multiplier,
        kernel_size,
        input_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=in_channels,
        bias=bias,
    )
