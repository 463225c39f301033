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
    one_of,
    pair,
    placement,
    tensors,
)
from convnotes.costs import Cost, convolution_cost
from convnotes.shapes import borders, layer_output_size, output_size
from convnotes.windows import PADDING_MODES, PaddingMode, extend

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
    H_out, W_out = layer_output_size(input, weight, stride, padding, dilation)

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
    _, W_out = layer_output_size(input, weight, stride, padding, dilation)
    N, C_in, H, W = input.shape
    M = weight.shape[0] // C_in
    _, S_w = pair("stride", stride, minimum=1)
    wide = torch.promote_types(input.dtype, torch.float32)  # no sums in 16 bits

    few = max(1, AT_ONCE // max(1, N * H * W))
    outputs = []
    for some, filters in zip(input.split(few, 1), weight.split(few * M), strict=True):
        maps = kernel_maps(some.to(wide), weight.shape[2:], stride, padding, dilation)
        sums = weigh_channels(maps, filters.to(wide))
        outputs.append(sums[..., ::S_w][..., :W_out])
    output = torch.cat(outputs, dim=1)
    if bias is not None:
        output = output + bias[:, None, None]
    return output.to(input.dtype)


def kernel_maps(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> list[Tensor]:
    """Gather whole rows, and return one map for each kernel position.

    ``input`` is (N, C_in, H, W). Map ``K_w * u + v``, of shape (N, C_in, H_out, W + 2 P_w),
    is a view of the padded input, from row ``D_h * u`` and column ``D_w * v`` on. Its rows
    keep their length, so that a map is one piece of memory (for a vertical stride of 1):
    where the padded row ends, it runs on into the next. Every ``S_w``-th of its columns,
    the first ``W_out`` of them, are ``windows(...)[:, :, u, v]``; what follows is to be
    cut off.

    Raises ``ValueError`` or ``TypeError`` if an argument or the output size is impossible.

    >>> image = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> [seen[0, 0].tolist() for seen in kernel_maps(image, kernel_size=(1, 2))]
    [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]]
    """
    tensors(input=input)
    H_out, _ = output_size(input, kernel_size, stride, padding, dilation)
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    S_h, _ = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)

    # One row more than asked for: the last map runs on into it.
    padded = F.pad(input, (P_w, P_w, P_h, P_h + 1))
    rows, columns = input.shape[2] + 2 * P_h, input.shape[3] + 2 * P_w
    pixels = padded.flatten(2)
    moved = [
        pixels[..., D_w * v :][..., : rows * columns].unflatten(2, (rows, columns))
        for v in range(K_w)
    ]
    return [
        moved[v][:, :, D_h * u :: S_h][:, :, :H_out] for u, v in np.ndindex(K_h, K_w)
    ]


def weigh_channels(maps: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Weigh each map by its kernel position's weights, and add the maps but no channels.

    ``maps`` are one (N, C_in, H_out, W_out) for each kernel position, ``weight`` is
    (C_in * M, 1, K_h, K_w) and the result (N, C_in * M, H_out, W_out).

    Raises ``ValueError`` if the shapes do not fit, ``TypeError`` if the tensors are not
    floating-point tensors of one dtype on one device.

    >>> weigh_channels([torch.ones(1, 4, 2, 5)] * 9, torch.ones(8, 1, 3, 3)).shape
    torch.Size([1, 8, 2, 5])
    """
    maps_fitting(maps, weight)
    C_in = maps[0].shape[1]
    # One factor (C_in, M, 1, 1) for each map.
    factors = weight.reshape(C_in, -1, len(maps), 1, 1).unbind(2)
    output = maps[0][:, :, None] * factors[0]  # (N, C_in, M, H_out, W_out)
    for seen, factor in zip(maps[1:], factors[1:], strict=True):
        output.addcmul_(seen[:, :, None], factor)
    return output.flatten(1, 2)


def maps_fitting(maps: Sequence[Tensor], weight: Tensor) -> None:
    """Check that there is a map for each kernel position of ``weight``, all of one shape.

    >>> maps_fitting([torch.ones(1, 4, 2, 5)] * 8, torch.ones(8, 1, 3, 3))
    Traceback (most recent call last):
    ValueError: weight of shape (8, 1, 3, 3): expected (C_in * M, 1, K_h, K_w) \
with C_in = 4 and 8 kernel positions
    """
    if not isinstance(maps, list | tuple):
        raise TypeError(f"maps={maps!r}: expected a list of tensors")
    if not maps:
        raise ValueError(f"maps={maps!r}: expected one for each kernel position")
    tensors(**{f"maps[{k}]": seen for k, seen in enumerate(maps)}, weight=weight)
    axes("maps[0]", maps[0], "(N, C_in, H_out, W_out)")
    axes("weight", weight, "(C_in * M, 1, K_h, K_w)")
    for k, seen in enumerate(maps):
        if seen.shape != maps[0].shape:
            raise ValueError(
                f"maps[{k}] of shape {tuple(seen.shape)}: "
                f"expected {tuple(maps[0].shape)}, as maps[0]"
            )
    C_in, of_weight = maps[0].shape[1], tuple(weight.shape)
    if 0 in (C_in, *of_weight):
        raise ValueError(f"weight of shape {of_weight}: expected sizes of at least 1")
    if of_weight[0] % C_in or prod(of_weight[1:]) != len(maps):
        raise ValueError(
            f"weight of shape {of_weight}: expected (C_in * M, 1, K_h, K_w) "
            f"with C_in = {C_in} and {len(maps)} kernel positions"
        )


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution as a layer, computed by ``depthwise_conv2d``.

    It is an ``nn.Conv2d`` with ``groups=in_channels`` and
    ``in_channels * channel_multiplier`` output channels: same parameters, same initial
    values, same ``state_dict``, same choice of ``padding`` and ``padding_mode``. Raises
    ``ValueError`` or ``TypeError`` for a wrong argument.

    >>> DepthwiseConv2d(16, kernel_size=3, padding=1, channel_multiplier=2)
    DepthwiseConv2d(16, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=16)
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        bias: bool = True,
        channel_multiplier: int = 1,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        in_channels = integer("in_channels", in_channels, minimum=1)
        multiplier = integer("channel_multiplier", channel_multiplier, minimum=1)
        borders(padding, kernel_size, stride, dilation)  # raises if one is impossible
        super().__init__(
            in_channels,
            in_channels * multiplier,
            kernel_size=pair("kernel_size", kernel_size, minimum=1),
            stride=pair("stride", stride, minimum=1),
            padding=padding
            if isinstance(padding, str)
            else pair("padding", padding, minimum=0),
            dilation=pair("dilation", dilation, minimum=1),
            groups=in_channels,
            bias=flag("bias", bias),
            padding_mode=one_of("padding_mode", padding_mode, PADDING_MODES),
            **placement(device, dtype),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (N, in_channels, H, W), or one image (in_channels, H, W)."""
        layer_input(input, self.in_channels)
        if input.ndim == 3:
            return self(input[None])[0]
        padding: IntOrPair | str = self.padding
        if isinstance(padding, str) or self.padding_mode != "zeros":
            options = self.padding, self.kernel_size, self.stride, self.dilation
            input, padding = extend(input, *options, self.padding_mode), 0
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
