"""The depthwise separable convolution: a full grid of neighbours, then all channels mixed.

    hidden[n, k, i, j] = sum over u, v of
        depthwise[k, 0, u, v] * input[n, k // M, S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w]

    output[n, o, i, j] = bias[o] + sum over k of pointwise[o, k] * hidden[n, k, i, j]

Two layers in a row, a depthwise and a pointwise one. Together they are a standard
convolution whose kernels are not free: ``composed_weight`` says which one it is, and
``nearest_weights`` how close to a given one they can come.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convnotes.arguments import (
    IntOrPair,
    arrays,
    axes,
    flag,
    integer,
    pair,
    tensors,
)
from convnotes.costs import Cost
from convnotes.depthwise import (
    DepthwiseConv2d,
    depthwise_conv2d,
    depthwise_conv2d_cost,
)
from convnotes.pointwise import (
    PointwiseConv2d,
    pointwise_conv2d,
    pointwise_conv2d_cost,
)
from convnotes.shapes import conv_output_size, layer_output_size
from convnotes.windows import PaddingMode


def depthwise_separable_conv2d_loops(
    input: Any,
    depthwise_weight: Any,
    pointwise_weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> np.ndarray:
    """Compute the definition, one multiplication at a time, in NumPy.

    ``input`` is (N, C_in, H, W), ``depthwise_weight`` (C_in * M, 1, K_h, K_w),
    ``pointwise_weight`` (C_out, C_in * M, 1, 1), ``bias`` (C_out,); the result is
    (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> depthwise_separable_conv2d_loops([[[[1, 1, 2]]]], [[[[1, 2]]]], [[[[3]]], [[[4]]]])
    array([[[[ 9., 15.]],
    <BLANKLINE>
            [[12., 20.]]]])
    """
    input, depthwise, pointwise, bias = arrays(
        input=input,
        depthwise_weight=depthwise_weight,
        pointwise_weight=pointwise_weight,
        bias=bias,
    )
    _fit(input, depthwise, pointwise, bias)
    N, C_in, H, W = input.shape
    C_mid, _, K_h, K_w = depthwise.shape
    C_out, M = len(pointwise), C_mid // C_in
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    H_out, W_out = layer_output_size(
        input, depthwise, stride, padding, dilation, name="depthwise_weight"
    )

    hidden = np.zeros((N, C_mid, H_out, W_out))
    for n, k, i, j in np.ndindex(hidden.shape):
        for u, v in np.ndindex(K_h, K_w):
            y, x = S_h * i + D_h * u - P_h, S_w * j + D_w * v - P_w
            if 0 <= y < H and 0 <= x < W:
                hidden[n, k, i, j] += depthwise[k, 0, u, v] * input[n, k // M, y, x]

    output = np.zeros((N, C_out, H_out, W_out))
    for n, o, i, j in np.ndindex(output.shape):
        for k in range(C_mid):
            output[n, o, i, j] += pointwise[o, k, 0, 0] * hidden[n, k, i, j]
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def depthwise_separable_conv2d(
    input: Tensor,
    depthwise_weight: Tensor,
    pointwise_weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Compute the depthwise separable convolution: two layers, one after the other.

    ``input`` is (N, C_in, H, W), ``depthwise_weight`` (C_in * M, 1, K_h, K_w),
    ``pointwise_weight`` (C_out, C_in * M, 1, 1), ``bias`` (C_out,); the result is
    (N, C_out, H_out, W_out), differentiable, of the input's dtype and on its device.
    ``stride``, ``padding`` and ``dilation`` are the depthwise step's, ``bias`` is the
    pointwise step's.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> import torch
    >>> depthwise = torch.tensor([[[[1.0, 2.0]]]])
    >>> pointwise = torch.tensor([3.0, 4.0]).reshape(2, 1, 1, 1)
    >>> depthwise_separable_conv2d(torch.ones(1, 1, 1, 3), depthwise, pointwise)
    tensor([[[[ 9.,  9.]],
    <BLANKLINE>
             [[12., 12.]]]])
    """
    tensors(
        input=input,
        depthwise_weight=depthwise_weight,
        pointwise_weight=pointwise_weight,
        bias=bias,
    )
    _fit(input, depthwise_weight, pointwise_weight, bias)
    options = stride, padding, dilation
    layer_output_size(input, depthwise_weight, *options, name="depthwise_weight")
    hidden = depthwise_conv2d(input, depthwise_weight, None, *options)
    return pointwise_conv2d(hidden, pointwise_weight, bias)


def _fit(input: Any, depthwise_weight: Any, pointwise_weight: Any, bias: Any) -> None:
    """Check that the arrays or tensors fit together, before the first step begins."""
    axes("input", input, "(N, C_in, H, W)")
    shape = tuple(input.shape)
    if 0 in shape[1:]:
        raise ValueError(f"input of shape {shape}: expected sizes of at least 1")
    _weights_fit(depthwise_weight, pointwise_weight)
    if depthwise_weight.shape[0] % shape[1]:
        raise ValueError(
            f"depthwise_weight of shape {tuple(depthwise_weight.shape)}: "
            f"expected ({shape[1]} * M, 1, K_h, K_w) for input of shape {shape}"
        )
    C_out = pointwise_weight.shape[0]
    if bias is not None and tuple(bias.shape) != (C_out,):
        raise ValueError(
            f"bias of shape {tuple(bias.shape)}: expected ({C_out},), "
            f"one value for each of pointwise_weight's output channels"
        )


def _weights_fit(depthwise_weight: Any, pointwise_weight: Any) -> None:
    axes("depthwise_weight", depthwise_weight, "(C_in * M, 1, K_h, K_w)")
    axes("pointwise_weight", pointwise_weight, "(C_out, C_in * M, 1, 1)")
    first, second = tuple(depthwise_weight.shape), tuple(pointwise_weight.shape)
    if first[1] != 1 or 0 in first:
        raise ValueError(
            f"depthwise_weight of shape {first}: expected (C_in * M, 1, K_h, K_w)"
        )
    if second[1:] != (first[0], 1, 1) or second[0] == 0:
        raise ValueError(
            f"pointwise_weight of shape {second}: expected (C_out, {first[0]}, 1, 1) "
            f"for depthwise_weight of shape {first}"
        )


class DepthwiseSeparableConv2d(nn.Module):
    """A depthwise separable convolution as a layer: ``depthwise``, then ``pointwise``.

    The first has no bias, the second has the layer's. A ``state_dict`` moves to and from
    any module with two ``nn.Conv2d`` of these names. Raises ``ValueError`` or
    ``TypeError`` for a wrong argument.

    >>> DepthwiseSeparableConv2d(16, 32, kernel_size=3, padding=1)
    DepthwiseSeparableConv2d(
      (depthwise): DepthwiseConv2d(16, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), \
groups=16, bias=False)
      (pointwise): PointwiseConv2d(16, 32, kernel_size=(1, 1), stride=(1, 1))
    )
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
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
        out_channels = integer("out_channels", out_channels, minimum=1)
        multiplier = integer("channel_multiplier", channel_multiplier, minimum=1)
        bias = flag("bias", bias)
        super().__init__()
        self.depthwise = DepthwiseConv2d(
            in_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            bias=False,
            padding_mode=padding_mode,
            channel_multiplier=multiplier,
            device=device,
            dtype=dtype,
        )
        self.pointwise = PointwiseConv2d(
            in_channels * multiplier,
            out_channels,
            bias=bias,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (N, in_channels, H, W), or one image (in_channels, H, W)."""
        return self.pointwise(self.depthwise(input))


def depthwise_separable_conv2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    channel_multiplier: int = 1,
    bias: bool = False,
) -> Cost:
    """Count what a depthwise separable convolution costs for one image: its two steps.

    ``input_size`` is the image's (height, width) in pixels. Weights are
    ``C_in * M * (K_h * K_w + C_out)``; MACs are the weights times the output positions.
    The elements moved include what is between the steps, written once and read once.

    Raises ``ValueError`` if an argument is too small or the kernel does not fit.

    >>> depthwise_separable_conv2d_cost(16, 32, kernel_size=3, input_size=64, padding=1)
    Cost(params=656, macs=2686976, elements_moved=328336)
    """
    in_channels = integer("in_channels", in_channels, minimum=1)
    out_channels = integer("out_channels", out_channels, minimum=1)
    multiplier = integer("channel_multiplier", channel_multiplier, minimum=1)
    first = depthwise_conv2d_cost(
        in_channels,
        kernel_size,
        input_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        channel_multiplier=multiplier,
    )
    height, width = map(
        conv_output_size,
        pair("input_size", input_size, minimum=1),
        pair("kernel_size", kernel_size, minimum=1),
        pair("stride", stride, minimum=1),
        pair("padding", padding, minimum=0),
        pair("dilation", dilation, minimum=1),
    )
    return first + pointwise_conv2d_cost(
        in_channels * multiplier, out_channels, (height, width), bias=bias
    )


def composed_weight(
    depthwise_weight: Tensor, pointwise_weight: Tensor, channel_multiplier: int = 1
) -> Tensor:
    """Return the weight of the standard convolution that the two steps are together.

    ``depthwise_weight`` is (C_in * M, 1, K_h, K_w), ``pointwise_weight``
    (C_out, C_in * M, 1, 1), and the result (C_out, C_in, K_h, K_w):

        weight[o, c] = sum over m of pointwise[o, c * M + m] * depthwise[c * M + m, 0]

    Raises ``ValueError`` if the shapes do not fit each other and ``channel_multiplier``,
    ``TypeError`` if the tensors are not floating-point tensors of one dtype on one device.

    >>> depthwise = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 1.0]]]])
    >>> composed_weight(depthwise, torch.tensor([[[[3.0]], [[4.0]]]]))
    tensor([[[[3., 6.]],
    <BLANKLINE>
             [[0., 4.]]]])
    >>> composed_weight(depthwise, torch.tensor([[[[3.0]], [[4.0]]]]), channel_multiplier=2)
    tensor([[[[ 3., 10.]]]])
    """
    tensors(depthwise_weight=depthwise_weight, pointwise_weight=pointwise_weight)
    _weights_fit(depthwise_weight, pointwise_weight)
    M = integer("channel_multiplier", channel_multiplier, minimum=1)
    if depthwise_weight.shape[0] % M:
        raise ValueError(
            f"channel_multiplier={M}: expected a divisor of the "
            f"{depthwise_weight.shape[0]} kernels of depthwise_weight"
        )
    kernels = depthwise_weight.squeeze(1).unflatten(0, (-1, M))  # (C_in, M, K_h, K_w)
    mixing = pointwise_weight.flatten(1).unflatten(1, (-1, M))  # (C_out, C_in, M)
    return torch.einsum("ocm,cmuv->ocuv", mixing, kernels)


def nearest_weights(
    weight: Tensor, channel_multiplier: int = 1
) -> tuple[Tensor, Tensor]:
    """Return the depthwise separable layer that is nearest to a standard one.

    ``weight`` is (C_out, C_in, K_h, K_w). The result is a depthwise weight
    (C_in * M, 1, K_h, K_w) and a pointwise weight (C_out, C_in * M, 1, 1); no other two
    have a ``composed_weight`` with a smaller sum of squared differences from ``weight``.
    For each input channel they are the M largest terms of the singular value
    decomposition of its C_out x (K_h * K_w) matrix (Eckart and Young, 1936).

    Gradients flow back to ``weight``, but not everywhere: for a matrix with equal singular
    values, or of a rank below M, whose M largest are not all above 0, they may be infinite
    or not a number, as those of ``torch.linalg.svd`` and of a root at 0 are.

    Raises ``ValueError`` if ``weight`` has not four axes, or if ``channel_multiplier`` is
    more than min(C_out, K_h * K_w), with which every weight is met exactly; ``TypeError``
    if ``weight`` is no floating-point tensor.

    >>> weight = torch.tensor([[[[1.0, 2.0]]], [[[2.0, 4.0]]]])  # its two kernels: k and 2 k
    >>> depthwise, pointwise = nearest_weights(weight)
    >>> torch.allclose(composed_weight(depthwise, pointwise), weight)
    True
    """
    tensors(weight=weight)
    axes("weight", weight, "(C_out, C_in, K_h, K_w)")
    C_out, C_in, K_h, K_w = weight.shape
    if 0 in weight.shape:
        shape = tuple(weight.shape)
        raise ValueError(f"weight of shape {shape}: expected sizes of at least 1")
    M = integer("channel_multiplier", channel_multiplier, minimum=1)
    most = min(C_out, K_h * K_w)
    if most < M:
        raise ValueError(
            f"channel_multiplier={M}: expected at most {most}, with which "
            f"every weight of shape {tuple(weight.shape)} is met exactly"
        )
    wide = torch.promote_types(weight.dtype, torch.float32)  # no SVD in 16 bits
    matrices = weight.to(wide).transpose(0, 1).flatten(2)  # (C_in, C_out, K_h * K_w)
    left, sizes, right = torch.linalg.svd(matrices, full_matrices=False)
    root = sizes[:, :M].sqrt()
    mixing = (left[:, :, :M] * root[:, None]).transpose(0, 1)  # (C_out, C_in, M)
    kernels = root[:, :, None] * right[:, :M]  # (C_in, M, K_h * K_w)
    depthwise = kernels.reshape(C_in * M, 1, K_h, K_w).to(weight.dtype)
    return depthwise, mixing.reshape(C_out, C_in * M, 1, 1).to(weight.dtype)
