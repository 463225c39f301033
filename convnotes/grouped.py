"""The grouped convolution: a full grid of neighbours, channels mixed within their group.

    output[n, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] *
        input[n, g * C_in / G + c, S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w]

where g = o // (C_out / G) is the group of output channel o. With G = 1 this is the
standard convolution, with G = C_in the depthwise one, and with all its arguments it
is the whole of ``torch.nn.functional.conv2d``.
"""

from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnotes.arguments import (
    IntOrPair,
    arrays,
    divides,
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
from convnotes.shapes import borders, layer_output_size
from convnotes.windows import PADDING_MODES, PaddingMode, extend, windows


def grouped_conv2d_loops(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in / groups, K_h, K_w), ``bias``
    (C_out,); the result is (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> pixel = np.array([1, 2, 3, 4]).reshape(1, 4, 1, 1)
    >>> grouped_conv2d_loops(pixel, np.ones((2, 2, 1, 1)), groups=2).ravel()
    array([3., 7.])
    """
    input, weight, bias = arrays(input=input, weight=weight, bias=bias)
    groups = integer("groups", groups, minimum=1)
    layer_shapes(input, weight, bias, groups)
    N, _, H, W = input.shape
    C_out, C_group, K_h, K_w = weight.shape
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    H_out, W_out = layer_output_size(input, weight, stride, padding, dilation)

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        g = o // (C_out // groups)
        for c, u, v in np.ndindex(C_group, K_h, K_w):
            y, x = S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w
            if 0 <= y < H and 0 <= x < W:
                value = input[n, g * C_group + c, y, x]
                output[n, o, i, j] += weight[o, c, u, v] * value
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def grouped_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """Compute the grouped convolution: gather rows, contract each group by itself.

    ``input`` is (N, C_in, H, W) or one image (C_in, H, W), ``weight``
    (C_out, C_in / groups, K_h, K_w), ``bias`` (C_out,); the result is
    (N, C_out, H_out, W_out), or without N. The arguments are all of
    ``torch.nn.functional.conv2d``; ``padding`` may be "valid", which is 0, or "same",
    which keeps the size and needs a stride of 1.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> pixel = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1)
    >>> grouped_conv2d(pixel, torch.ones(2, 2, 1, 1), groups=2).flatten()
    tensor([3., 7.])
    """
    tensors(input=input, weight=weight, bias=bias)
    if input.ndim == 3:
        options = stride, padding, dilation, groups
        return grouped_conv2d(input[None], weight, bias, *options)[0]
    groups = integer("groups", groups, minimum=1)
    layer_shapes(input, weight, bias, groups)
    C_out, _, K_h, K_w = weight.shape
    if isinstance(padding, str):
        input = F.pad(input, borders(padding, (K_h, K_w), stride, dilation))
        padding = 0
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    _, W_out = layer_output_size(input, weight, stride, padding, dilation)

    # Gather whole rows: all that one column of the kernel can see.
    rows = windows(input, (K_h, 1), (S_h, 1), (P_h, P_w), (D_h, 1))
    # Contract: each of a filter's K_w columns is a filter, and makes a map.
    filters = weight.movedim(3, 1).flatten(0, 1)[..., None]
    maps = contract_groups(rows, filters, groups).unflatten(1, (C_out, K_w))
    # Column v of the kernel stands D_w * v to the right: shift its map and add.
    shifted = [map[..., D_w * v :: S_w] for v, map in enumerate(maps.unbind(2))]
    output = reduce(torch.add, [map[..., :W_out] for map in shifted])
    return output if bias is None else output + bias[:, None, None]


def contract_groups(gathered: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Contract each group of channels with its own filters, blocks on a diagonal.

    ``gathered`` is (N, C_in, K_h, K_w, H_out, W_out), ``weight``
    (C_out, C_in / groups, K_h, K_w), the result (N, C_out, H_out, W_out): one matrix
    product for each image and group. The arguments are taken as they are, unchecked.

    >>> import torch
    >>> contract_groups(torch.ones(1, 4, 1, 1, 2, 3), torch.ones(6, 2, 1, 1), 2).shape
    torch.Size([1, 6, 2, 3])
    """
    columns = gathered.unflatten(1, (groups, -1)).flatten(2, 4).flatten(3)
    blocks = weight.unflatten(0, (groups, -1)).flatten(2)
    return (blocks @ columns).flatten(1, 2).unflatten(2, gathered.shape[4:])


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Deal the channels out anew, so that neighbours come from different groups.

    ``input`` is (N, C, ...) with at least one further axis; the result has the same
    shape. Channels in order of group, then place, are put in order of place, then
    group: channel ``g * C / G + k`` moves to ``k * G + g``. The arguments are those of
    ``torch.nn.functional.channel_shuffle`` (Zhang et al., *ShuffleNet*, 2018).

    Raises ``ValueError`` if ``groups`` does not divide the channels or an axis is
    missing, ``TypeError`` if ``input`` is no tensor.

    >>> import torch
    >>> channel_shuffle(torch.arange(6).reshape(1, 6, 1), groups=2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"input is a {type(input).__name__}: expected a torch.Tensor")
    if input.ndim < 3:
        raise ValueError(f"input of shape {tuple(input.shape)}: expected (N, C, ...)")
    groups = integer("groups", groups, minimum=1)
    channels = input.shape[1]
    divides("groups", groups, channels=channels)
    table = input.unflatten(1, (groups, channels // groups))  # one row a group
    return table.transpose(1, 2).flatten(1, 2)


class GroupedConv2d(nn.Conv2d):
    """``nn.Conv2d``, constructor and all, computed by ``grouped_conv2d``.

    Same parameters, same initial values, same ``state_dict``. Raises ``ValueError`` or
    ``TypeError`` for a wrong argument.

    >>> GroupedConv2d(8, 8, 3, groups=4)
    GroupedConv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), groups=4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        in_channels = integer("in_channels", in_channels, minimum=1)
        out_channels = integer("out_channels", out_channels, minimum=1)
        groups = integer("groups", groups, minimum=1)
        divides("groups", groups, in_channels=in_channels, out_channels=out_channels)
        borders(padding, kernel_size, stride, dilation)  # raises if one is impossible
        padding_mode = one_of("padding_mode", padding_mode, PADDING_MODES)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=pair("kernel_size", kernel_size, minimum=1),
            stride=pair("stride", stride, minimum=1),
            padding=padding
            if isinstance(padding, str)
            else pair("padding", padding, minimum=0),
            dilation=pair("dilation", dilation, minimum=1),
            groups=groups,
            bias=flag("bias", bias),
            padding_mode=padding_mode,
            **placement(device, dtype),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (N, C_in, H, W), or one image (C_in, H, W)."""
        layer_input(input, self.in_channels)
        padding: IntOrPair | str = self.padding
        if self.padding_mode != "zeros":
            options = self.padding, self.kernel_size, self.stride, self.dilation
            input, padding = extend(input, *options, self.padding_mode), 0
        return grouped_conv2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
        )


def grouped_conv2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = False,
) -> Cost:
    """Count what a grouped convolution costs for one image.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_out * (C_in / groups) * K_h * K_w``; MACs are the weights times the output
    positions: both are 1 / ``groups`` of the standard convolution's.

    Raises ``ValueError`` if an argument is too small, the kernel does not fit, or
    ``groups`` does not divide the channels.

    >>> grouped_conv2d_cost(8, 8, kernel_size=3, input_size=32, groups=4)
    Cost(params=144, macs=129600, elements_moved=15536)
    """
    return convolution_cost(
        in_channels,
        out_channels,
        kernel_size,
        input_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
