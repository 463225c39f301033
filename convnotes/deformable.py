"""The deformable convolution: positions that are learned, all channels mixed.

    output[n, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] * mask *
        input[n, c, S_h * i + D_h * u - P_h + dy, S_w * j + D_w * v - P_w + dx]

where dy, dx and mask are numbers of their own for every n, u, v, i and j: the offset and
the modulation of one sample (Dai et al. 2017; Zhu et al. 2019; without a mask, 1). Between
pixels the input is interpolated; beyond its borders it fades to 0 within one pixel.

The channels of ``offset`` are in the order (offset group, kernel row, kernel column,
[dy, dx]), as in ``torchvision.ops.deform_conv2d``. Channels of the input that are in one
offset group move together; the groups of ``weight`` are those of a grouped convolution.
"""

from itertools import repeat
from math import floor, isnan, nan, prod
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnotes.arguments import (
    IntOrPair,
    arrays,
    axes,
    divides,
    flag,
    integer,
    layer_input,
    layer_shapes,
    number,
    pair,
    placement,
    tensors,
)
from convnotes.costs import Cost, convolution_cost
from convnotes.grouped import contract_groups
from convnotes.shapes import conv_output_size, layer_output_size

# Values that a core gathers at a time: with fewer, threads wait for threads.
AT_ONCE = 2**21


def deform_conv2d_loops(
    input: Any,
    offset: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    mask: Any = None,
) -> np.ndarray:
    """Compute the definition, one sample at a time, in NumPy.

    The arguments are those of ``deform_conv2d``, as arrays; the result is
    (N, C_out, H_out, W_out) in float64.

    Raises ``ValueError`` if shapes or arguments do not fit.

    >>> image, ones = np.array([[[[1, 2, 3, 4]]]]), np.ones((1, 1, 1, 1))
    >>> half_a_pixel_to_the_right = np.zeros((1, 2, 1, 4))
    >>> half_a_pixel_to_the_right[:, 1] = 0.5
    >>> deform_conv2d_loops(image, half_a_pixel_to_the_right, ones)
    array([[[[1.5, 2.5, 3.5, 2. ]]]])
    """
    input, offset, weight, bias, mask = arrays(
        input=input, offset=offset, weight=weight, bias=bias, mask=mask
    )
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    options = (S_h, S_w), (P_h, P_w), (D_h, D_w)
    groups, offset_groups, size = fitting(input, offset, weight, bias, mask, *options)
    C_in, (C_out, C_group, K_h, K_w) = input.shape[1], weight.shape

    output = np.zeros((len(input), C_out, *size))
    for n, o, i, j in np.ndindex(output.shape):
        for g, u, v in np.ndindex(C_group, K_h, K_w):
            c = o // (C_out // groups) * C_group + g  # the input channel
            k = (c // (C_in // offset_groups) * K_h + u) * K_w + v
            y = S_h * i + D_h * u - P_h + offset[n, 2 * k, i, j]
            x = S_w * j + D_w * v - P_w + offset[n, 2 * k + 1, i, j]
            value = bilinear(input[n, c], y, x)
            if mask is not None:
                value *= mask[n, k, i, j]
            output[n, o, i, j] += weight[o, g, u, v] * value
        if bias is not None:
            output[n, o, i, j] += bias[o]
    return output


def bilinear(image: np.ndarray, y: float, x: float) -> float:
    """Return the value of ``image`` (H, W) between its pixels, at row y and column x.

    The four pixels around the position are weighted by how near they are, along each
    axis 1 less the distance. A pixel beyond the border counts as 0, so a position that
    is outside by one pixel or more has the value 0. A position that is nan has no value:
    the result is nan.

    Raises ``ValueError`` if ``image`` has not two axes, ``TypeError`` if it is no array, or
    ``y`` or ``x`` is no number.

    >>> image = np.array([[0.0, 4.0], [8.0, 12.0]])
    >>> bilinear(image, 0.5, 0.5), bilinear(image, 1.25, 1), bilinear(image, 9e9, 1)
    (6.0, 9.0, 0.0)
    """
    axes("image", image, "(H, W)")
    H, W = image.shape
    if isnan(number("y", y)) or isnan(number("x", x)):
        return nan
    if not (-1 < y < H and -1 < x < W):
        return 0.0
    value = 0.0
    for p in (floor(y), floor(y) + 1):
        for q in (floor(x), floor(x) + 1):
            if 0 <= p < H and 0 <= q < W:
                value += (1 - abs(y - p)) * (1 - abs(x - q)) * float(image[p, q])
    return value


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Compute the deformable convolution: gather at learned positions, then contract.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in / groups, K_h, K_w) and ``bias``
    (C_out,). ``offset`` is (N, 2 * offset_groups * K_h * K_w, H_out, W_out), in pixels,
    its channels in the order (offset group, kernel row, kernel column, [dy, dx]), and
    ``mask``, where given, (N, offset_groups * K_h * K_w, H_out, W_out). The result is
    (N, C_out, H_out, W_out). Arguments and layout are those of
    ``torchvision.ops.deform_conv2d``, and both numbers of groups follow from the shapes.

    Differentiable once, with respect to each of the five tensors; between two cells of
    pixels, at whole positions, the derivative for an offset is the one of the cell below
    or to the right. An offset that leads more than a pixel outside, an infinite one too,
    gives the value 0 and no gradient; one that is nan makes the outputs that it enters
    nan. Neither reads memory that is not the image's.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> image, ones = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), torch.ones(1, 1, 1, 1)
    >>> half_a_pixel_to_the_right = torch.zeros(1, 2, 1, 4)
    >>> half_a_pixel_to_the_right[:, 1] = 0.5
    >>> deform_conv2d(image, half_a_pixel_to_the_right, ones)
    tensor([[[[1.5000, 2.5000, 3.5000, 2.0000]]]])
    """
    tensors(input=input, offset=offset, weight=weight, bias=bias, mask=mask)
    options = stride, padding, dilation
    groups, _, size = fitting(input, offset, weight, bias, mask, *options)
    kernel_size = tuple(weight.shape[2:])
    filters = weight.movedim(1, 3).flatten(1)[..., None, None]  # (C_out, K * C_group)

    # Gather no more at a time than is needed: a few images, or a few rows of a large one.
    row = input.shape[1] * prod(kernel_size) * size[1]
    at_once = AT_ONCE * torch.get_num_threads()
    images, rows = max(1, at_once // (row * size[0])), max(1, at_once // row)
    given = [input, offset, weight, *([] if mask is None else [mask])]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        rows = size[0]  # each part would have a gradient as large as the image
    masks = repeat(None) if mask is None else mask.split(images)
    outputs = []
    for some in zip(input.split(images), offset.split(images), masks, strict=False):
        pixels, nearest, shares = bags(*some[:2], kernel_size, *options, some[2])
        parts = []
        for part in zip(nearest.split(rows, 1), shares.split(rows, 1), strict=True):
            seen = add_up(pixels, *part)
            # Channels come last in memory. So kernel position and channel make
            # one axis, a view if there is one group: a 1×1 kernel contracts it.
            columns = seen.unflatten(1, (groups, -1)).movedim(2, 4).flatten(1, 4)
            parts.append(contract_groups(columns[:, :, None, None], filters, groups))
        outputs.append(torch.cat(parts, dim=2))
    output = torch.cat(outputs)
    return output if bias is None else output + bias[:, None, None]


def deformed_windows(
    input: Tensor,
    offset: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Return what the kernel sees at each output position when each sample is moved.

    The arguments are those of ``deform_conv2d``. The result is
    (N, C_in, K_h, K_w, H_out, W_out), as that of ``windows``, to which it is equal where
    the offsets are 0. It is no view: values between pixels are stored nowhere.

    Each sample is a bag of four pixels, with the bilinear weights times the mask as their
    shares, and ``F.embedding_bag`` adds up the bags. It reads whole pixels, all channels of
    an offset group at a time, so they come last in memory.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> from convnotes.windows import windows
    >>> input = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> seen = deformed_windows(input, torch.zeros(1, 12, 2, 2), kernel_size=(2, 3))
    >>> torch.equal(seen, windows(input, kernel_size=(2, 3)))
    True
    """
    return add_up(*bags(input, offset, kernel_size, stride, padding, dilation, mask))


def bags(
    input: Tensor,
    offset: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a table of pixels, and for each sample the four around it and their shares.

    The arguments are those of ``deformed_windows``. The table has a row for each pixel and
    offset group, a column for each channel of a group. The other two tensors are
    (N, H_out, W_out, K_h, K_w, G_off, 4): rows of the table, and factors.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if the
    tensors are not floating-point tensors of one dtype on one device.

    >>> offset = torch.tensor([0.25, 0.5]).reshape(1, 2, 1, 1)  # down, to the right
    >>> pixels, nearest, shares = bags(torch.ones(1, 3, 2, 2), offset, 1, stride=2)
    >>> pixels.shape, shares.flatten()
    (torch.Size([25, 3]), tensor([0.3750, 0.3750, 0.1250, 0.1250]))
    """
    tensors(input=input, offset=offset, mask=mask)
    axes("input", input, "(N, C_in, H, W)")
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    N, C_in, H, W = input.shape
    steps = stride, padding, dilation
    G_off, _ = offset_fitting(input, offset, mask, (K_h, K_w), *steps)

    # Where: (N, H_out, W_out, K_h, K_w, G_off) rows y and columns x.
    position = sampling_positions(offset, (K_h, K_w), *steps)
    y, x = position.permute(4, 0, 5, 6, 2, 3, 1).contiguous()
    y, x = y.clamp(-1, H), x.clamp(-1, W)
    top, left = (p.detach().floor().nan_to_num() for p in (y, x))

    # Which pixels: the input with a border of zeros, channels last, a pixel a row.
    pixels = input.unflatten(1, (G_off, C_in // G_off)).movedim(2, 4)
    pixels = F.pad(pixels, (0, 0, 1, 2, 1, 2)).flatten(0, 3)
    height, width = H + 3, W + 3
    image = torch.arange(N * G_off, device=input.device).reshape(N, 1, 1, 1, 1, G_off)
    first = (image * height + top.long() + 1) * width + left.long() + 1
    corners = torch.tensor([0, 1, width, width + 1], device=input.device)

    # How much of each: the nearer, the more.
    down, right = y - top, x - left
    up, back = 1 - down, 1 - right
    if mask is not None:
        factor = mask.unflatten(1, (G_off, K_h, K_w)).permute(0, 4, 5, 2, 3, 1)
        up, down = up * factor, down * factor
    shares = torch.stack([up * back, up * right, down * back, down * right], dim=-1)
    return pixels, first[..., None] + corners, shares.to(input.dtype)


def add_up(pixels: Tensor, nearest: Tensor, shares: Tensor) -> Tensor:
    """Add up the four pixels of each bag, times their shares.

    The arguments are what ``bags`` returns, or a part of it with fewer output rows; the
    result is (N, C_in, K_h, K_w, H_out, W_out), with the channels last in memory.

    >>> pixels = torch.tensor([[1.0, 10.0], [2.0, 20.0]])
    >>> nearest = torch.tensor([0, 1, 1, 1]).reshape(1, 1, 1, 1, 1, 1, 4)
    >>> shares = torch.tensor([0.5, 0.5, 0.0, 0.0]).reshape(1, 1, 1, 1, 1, 1, 4)
    >>> add_up(pixels, nearest, shares).flatten()
    tensor([ 1.5000, 15.0000])
    """
    samples = F.embedding_bag(
        nearest.flatten(0, -2),
        pixels,
        mode="sum",
        per_sample_weights=shares.flatten(0, -2),
    )
    G_off, C_group = nearest.shape[5], pixels.shape[1]
    return samples.reshape(*nearest.shape[:5], G_off * C_group).permute(
        0, 5, 3, 4, 1, 2
    )


def sampling_positions(
    offset: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Return where in the image each sample is taken, as rows and columns in pixels.

    ``offset`` is (N, 2 * G_off * K_h * K_w, H_out, W_out), G_off groups of offsets; the
    result is (N, G_off, K_h, K_w, [y, x], H_out, W_out), in float32 at least: bfloat16 has
    too few digits to count the rows of an image.

    Raises ``ValueError`` if the number of channels is no multiple of 2 * K_h * K_w.

    >>> still = torch.zeros(1, 2 * 3 * 3, 4, 5)
    >>> sampling_positions(still, kernel_size=3, padding=1)[0, 0, 2, 0, :, 1, 3]
    tensor([2., 2.])
    """
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    tensors(offset=offset)
    G_off = offset_groups_of(offset, (K_h, K_w))
    offset = offset.to(torch.promote_types(offset.dtype, torch.float32))
    S_h, S_w = pair("stride", stride, minimum=1)
    P_h, P_w = pair("padding", padding, minimum=0)
    D_h, D_w = pair("dilation", dilation, minimum=1)
    i, j, u, v = (
        torch.arange(size, device=offset.device)
        for size in (*offset.shape[2:], K_h, K_w)
    )
    rows = S_h * i + D_h * u[:, None] - P_h  # (K_h, H_out)
    columns = S_w * j + D_w * v[:, None] - P_w  # (K_w, W_out)
    dy, dx = offset.unflatten(1, (G_off, K_h, K_w, 2)).unbind(4)
    return torch.stack([rows[:, None, :, None] + dy, columns[:, None] + dx], dim=4)


class Fit(NamedTuple):
    """What the shapes of a deformable convolution's arguments say.

    >>> Fit(groups=1, offset_groups=2, size=(5, 7)).size
    (5, 7)
    """

    groups: int
    """Groups of the weights."""
    offset_groups: int
    """Groups of input channels that move together."""
    size: tuple[int, int]
    """The output's (height, width)."""


def fitting(
    input: Any,
    offset: Any,
    weight: Any,
    bias: Any,
    mask: Any,
    stride: IntOrPair,
    padding: IntOrPair,
    dilation: IntOrPair,
) -> Fit:
    """Check that the arrays or tensors fit together, and return what their shapes say.

    Raises ``ValueError`` if they do not fit.

    >>> image, kernel = np.zeros((1, 6, 4, 5)), np.zeros((8, 3, 3, 2))
    >>> fitting(image, np.zeros((1, 12, 2, 4)), kernel, None, None, 1, 0, 1)
    Fit(groups=2, offset_groups=1, size=(2, 4))
    """
    axes("input", input, "(N, C_in, H, W)")
    axes("weight", weight, "(C_out, C_in / groups, K_h, K_w)")
    C_in, C_group = input.shape[1], weight.shape[1]
    if C_group == 0 or C_in % C_group:
        raise ValueError(
            f"weight of shape {tuple(weight.shape)}: expected "
            f"(C_out, C_in / groups, K_h, K_w) with C_in = {C_in} "
            f"for input of shape {tuple(input.shape)}"
        )
    groups = max(1, C_in // C_group)
    layer_shapes(input, weight, bias, groups)
    options = stride, padding, dilation
    return Fit(
        groups, *offset_fitting(input, offset, mask, tuple(weight.shape[2:]), *options)
    )


def offset_fitting(
    input: Any,
    offset: Any,
    mask: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair,
    padding: IntOrPair,
    dilation: IntOrPair,
) -> tuple[int, tuple[int, int]]:
    """Check offset and mask, and return the number of offset groups and the output's size.

    Raises ``ValueError`` if they do not fit the input and the kernel.

    >>> image, offset, mask = (np.zeros((1, c, 4, 5)) for c in (6, 36, 9))
    >>> offset_fitting(image, offset, mask, 3, 1, 1, 1)
    Traceback (most recent call last):
    ValueError: mask of shape (1, 9, 4, 5): expected (1, 18, 4, 5), \
one for each 2 channels of offset
    """
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    N, C_in, H, W = input.shape
    if 0 in (C_in, H, W):
        shape = tuple(input.shape)
        raise ValueError(f"input of shape {shape}: expected sizes of at least 1")
    H_out, W_out = map(
        conv_output_size,
        (H, W),
        (K_h, K_w),
        pair("stride", stride, minimum=1),
        pair("padding", padding, minimum=0),
        pair("dilation", dilation, minimum=1),
    )
    groups = offset_groups_of(offset, (K_h, K_w))
    of_offset = tuple(offset.shape)
    if of_offset != (N, 2 * groups * K_h * K_w, H_out, W_out):
        raise ValueError(
            f"offset of shape {of_offset}: expected ({N}, {of_offset[1]}, {H_out}, {W_out}) "
            f"for input of shape {tuple(input.shape)}"
        )
    if C_in % groups:
        raise ValueError(
            f"offset of shape {of_offset} has {groups} offset groups: "
            f"expected a divisor of the {C_in} channels of input"
        )
    expected = N, groups * K_h * K_w, H_out, W_out
    if mask is not None and tuple(mask.shape) != expected:
        raise ValueError(
            f"mask of shape {tuple(mask.shape)}: expected {expected}, "
            f"one for each 2 channels of offset"
        )
    return groups, (H_out, W_out)


def offset_groups_of(offset: Any, kernel_size: tuple[int, int]) -> int:
    """Return the number of offset groups: the channels over ``2 * K_h * K_w``.

    Raises ``ValueError`` if that is no whole number of at least 1.

    >>> offset_groups_of(np.zeros((1, 36, 5, 7)), (3, 3))
    2
    """
    axes("offset", offset, "(N, 2 * offset_groups * K_h * K_w, H_out, W_out)")
    K_h, K_w = kernel_size
    groups, rest = divmod(offset.shape[1], 2 * K_h * K_w)
    if groups < 1 or rest:
        raise ValueError(
            f"offset of shape {tuple(offset.shape)}: expected a multiple of "
            f"2 * {K_h} * {K_w} channels, dy and dx for each kernel position"
        )
    return groups


class DeformConv2d(nn.Module):
    """A deformable convolution that is given its offsets, as ``torchvision.ops.DeformConv2d``.

    Constructor and ``state_dict`` are torchvision's; weight and bias are shaped, and drawn
    at first, as those of ``nn.Conv2d``. Raises ``ValueError`` or ``TypeError`` for a wrong
    argument.

    >>> layer = DeformConv2d(3, 8, kernel_size=3, padding=1)
    >>> layer
    DeformConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(torch.ones(1, 3, 5, 7), offset=torch.zeros(1, 18, 5, 7)).shape
    torch.Size([1, 8, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = integer("in_channels", in_channels, minimum=1)
        self.out_channels = integer("out_channels", out_channels, minimum=1)
        self.kernel_size = pair("kernel_size", kernel_size, minimum=1)
        self.stride = pair("stride", stride, minimum=1)
        self.padding = pair("padding", padding, minimum=0)
        self.dilation = pair("dilation", dilation, minimum=1)
        self.groups = integer("groups", groups, minimum=1)
        divides("groups", groups, in_channels=in_channels, out_channels=out_channels)
        standard = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            groups=self.groups,
            bias=flag("bias", bias),
            **placement(device, dtype),
        )
        self.weight: Tensor = standard.weight
        self.bias: Tensor | None = standard.bias

    def forward(
        self, input: Tensor, offset: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Convolve ``input`` (N, in_channels, H, W) at the positions that ``offset`` moves."""
        layer_input(input, self.in_channels)
        options = self.stride, self.padding, self.dilation
        return deform_conv2d(input, offset, self.weight, self.bias, *options, mask)

    def extra_repr(self) -> str:
        """Say the constructor's arguments, those that differ from the defaults."""
        text = (
            f"{self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        text += f", padding={self.padding}" if any(self.padding) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")


class DeformConv2dPack(DeformConv2d):
    """A deformable convolution with the layer that makes its offsets, called with the input alone.

    ``conv_offset`` is a standard convolution with the same kernel, stride, padding and
    dilation, which starts at 0: the first outputs are those of a layer that does not
    deform (Dai et al. 2017). With ``modulated`` it also makes the mask, by a sigmoid, which
    therefore starts at 1/2 (Zhu et al. 2019). Names and order of its channels are those of
    MMCV's ``DeformConv2dPack`` and ``ModulatedDeformConv2dPack``: all offsets, then the masks.

    Raises ``ValueError`` or ``TypeError`` for a wrong argument.

    >>> layer = DeformConv2dPack(3, 8, kernel_size=3, padding=1, modulated=True)
    >>> layer(torch.ones(1, 3, 5, 7)).shape, layer.conv_offset.out_channels
    (torch.Size([1, 8, 5, 7]), 27)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
        modulated: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            device,
            dtype,
        )
        self.offset_groups = integer("offset_groups", offset_groups, minimum=1)
        divides("offset_groups", offset_groups, in_channels=in_channels)
        self.modulated = flag("modulated", modulated)
        samples = self.offset_groups * prod(self.kernel_size)
        self.conv_offset = nn.Conv2d(
            self.in_channels,
            (3 if self.modulated else 2) * samples,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            device=device,
            dtype=dtype,
        )
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """Convolve ``input`` (N, in_channels, H, W) at positions computed from it."""
        return super().forward(input, *self.offset_and_mask(input))

    def offset_and_mask(self, input: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the offsets and, if the layer is modulated, the mask."""
        layer_input(input, self.in_channels)
        tensors(input=input, weight=self.weight)
        layer_output_size(input, self.weight, self.stride, self.padding, self.dilation)
        made = self.conv_offset(input)
        if not self.modulated:
            return made, None
        samples = made.shape[1] // 3
        return made[:, : 2 * samples], torch.sigmoid(made[:, 2 * samples :])

    def extra_repr(self) -> str:
        """Say the constructor's arguments, those that differ from the defaults."""
        text = super().extra_repr()
        if self.offset_groups != 1:
            text += f", offset_groups={self.offset_groups}"
        return text + (", modulated=True" if self.modulated else "")


def parameter_groups(
    network: nn.Module, lr: float, factor: float = 0.1
) -> list[dict[str, Any]]:
    """Return the network's parameters for an optimiser, offsets with a smaller learning rate.

    The layers named ``conv_offset``, those of all ``DeformConv2dPack`` in ``network``, get
    ``lr * factor``, all other parameters ``lr``. Zhu et al. (2019) take a factor of 0.1.

    Raises ``TypeError`` if ``network`` is no module or a rate is no number, ``ValueError``
    if one is below 0.

    >>> network = nn.Sequential(DeformConv2dPack(1, 4, 3), nn.Conv2d(4, 1, 1))
    >>> groups = parameter_groups(network, lr=0.01)
    >>> [(group["lr"], len(group["params"])) for group in groups]
    [(0.01, 4), (0.001, 2)]
    >>> optimizer = torch.optim.Adam(groups)
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network={network!r}: expected an nn.Module")
    lr, factor = number("lr", lr, minimum=0), number("factor", factor, minimum=0)
    slow = {
        parameter
        for layer in network.modules()
        if isinstance(layer, DeformConv2dPack)
        for parameter in layer.conv_offset.parameters()
    }
    fast = [parameter for parameter in network.parameters() if parameter not in slow]
    return [
        {"params": fast, "lr": lr},
        {"params": [p for p in network.parameters() if p in slow], "lr": lr * factor},
    ]


def deform_conv2d_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    offset_groups: int = 1,
    modulated: bool = False,
    bias: bool = False,
) -> Cost:
    """Count what a deformable convolution costs for one image, its offset layer apart.

    ``input_size`` is the image's (height, width) in pixels. To the contraction, which is a
    grouped convolution's, come 4 MACs for each of the ``C_in * K_h * K_w * H_out * W_out``
    values sampled, one for each of four pixels, and a fifth for the mask if ``modulated``.
    Offsets and mask are elements moved, like the input. The layer that makes them is a
    ``conv2d_cost`` of its own.

    Raises ``ValueError`` if an argument is too small, the kernel does not fit, or a number
    of groups does not divide the channels.

    >>> deform_conv2d_cost(64, 64, kernel_size=3, input_size=56, padding=1)
    Cost(params=36864, macs=122830848, elements_moved=494720)
    """
    contraction = convolution_cost(
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
    offset_groups = integer("offset_groups", offset_groups, minimum=1)
    divides("offset_groups", offset_groups, in_channels=in_channels)
    K_h, K_w = pair("kernel_size", kernel_size, minimum=1)
    weights = contraction.params - (out_channels if bias else 0)
    samples = K_h * K_w * contraction.macs // weights  # of one channel
    modulated = flag("modulated", modulated)
    return contraction + Cost(
        macs=(5 if modulated else 4) * in_channels * samples,
        elements_moved=(3 if modulated else 2) * offset_groups * samples,
    )
