"""The two steps of every convolution: gather, then contract.

``windows`` answers *where does it look*: it lays the input values that stand under
the kernel side by side, as a view of the padded input. ``contract`` answers *which
channels mix*: all of them, by one matrix product for each image. Most variants
change one of the two steps and leave the other alone.
"""

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from convnotes.arguments import IntOrPair, axes, pair, tensors
from convnotes.shapes import borders, effective_kernel_size, output_size

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
PADDING_MODES = get_args(PaddingMode)


def windows(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Return what the kernel sees at each output position, as a view.

    ``input`` is (N, C_in, H, W). The result is (N, C_in, K_h, K_w, H_out, W_out), and

        windows[n, c, u, v, i, j] = padded[n, c, S_h * i + D_h * u, S_w * j + D_w * v]

    where ``padded`` is the input with ``padding`` rows and columns of zeros on every
    side. The result shares memory with ``padded`` (with the input itself, if
    ``padding`` is 0): one pixel appears in several windows and is stored once.

    Raises ``ValueError`` if the shape, an argument or the resulting output size is
    impossible, ``TypeError`` if ``input`` is no floating-point tensor.

    >>> import torch
    >>> input = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> seen = windows(input, kernel_size=(2, 3))
    >>> seen.shape
    torch.Size([1, 1, 2, 3, 2, 2])
    >>> seen[0, 0, :, :, 1, 0]
    tensor([[ 4.,  5.,  6.],
            [ 8.,  9., 10.]])
    """
    tensors(input=input)
    output_size(input, kernel_size, stride, padding, dilation)  # the kernel has to fit
    kernel_size = pair("kernel_size", kernel_size, minimum=1)
    stride = pair("stride", stride, minimum=1)
    padding = pair("padding", padding, minimum=0)
    dilation = pair("dilation", dilation, minimum=1)

    if any(padding):
        input = F.pad(input, (padding[1], padding[1], padding[0], padding[0]))
    extents = map(effective_kernel_size, kernel_size, dilation)
    for axis, (extent, step) in enumerate(zip(extents, stride, strict=True), start=2):
        input = input.unfold(axis, extent, step)
    spread = input[..., :: dilation[0], :: dilation[1]]
    return spread.permute(0, 1, 4, 5, 2, 3)


def extend(
    input: Tensor,
    padding: IntOrPair | str,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    mode: PaddingMode = "zeros",
) -> Tensor:
    """Pad images with zeros, or with their own values, as a layer's ``padding_mode`` says.

    ``input`` is (N, C, H, W) or (C, H, W). Its values are mirrored ("reflect"), the
    outermost repeated ("replicate"), or taken from the far side ("circular"). How many
    rows and columns there are, ``convnotes.shapes.borders`` tells. An input that is no
    image is left as it is, for the layer to refuse.

    Raises ``ValueError`` if the image has too few values to fill the border.

    >>> import torch
    >>> extend(torch.tensor([[[1.0, 2.0, 3.0]]]), (0, 1), 3, mode="circular")
    tensor([[[3., 1., 2., 3., 1.]]])
    """
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        return input
    edges = borders(padding, kernel_size, stride, dilation)
    if mode == "zeros":
        return F.pad(input, edges)
    H, W = input.shape[-2:]
    room = {"reflect": -1, "circular": 0}  # how much wider than the image it may be
    for edge, size in zip(edges, (W, W, H, H), strict=True):
        if edge > size + room.get(mode, edge):
            raise ValueError(
                f"padding={padding!r}: expected a border that "
                f"padding_mode={mode!r} can fill from an image of {H}×{W}"
            )
    return F.pad(input, edges, mode=mode)


def contract(gathered: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Join the gathered values of all input channels by one weight each, and sum.

    ``gathered`` is (N, C_in, K_h, K_w, H_out, W_out), ``weight`` is
    (C_out, C_in, K_h, K_w) and the result (N, C_out, H_out, W_out). Flattened to
    (C_in * K_h * K_w) rows and (H_out * W_out) columns, the gathered values of an
    image are one matrix, and the contraction is one matrix product.

    Raises ``ValueError`` if the shapes do not fit.

    >>> import torch
    >>> gathered = windows(torch.ones(1, 2, 4, 5), kernel_size=3)
    >>> contract(gathered, torch.ones(7, 2, 3, 3)).shape
    torch.Size([1, 7, 2, 3])
    """
    axes("gathered", gathered, "(N, C_in, K_h, K_w, H_out, W_out)")
    C_in, K_h, K_w = gathered.shape[1:4]
    if weight.shape[1:] != gathered.shape[1:4]:
        raise ValueError(
            f"weight of shape {tuple(weight.shape)}: "
            f"expected (C_out, {C_in}, {K_h}, {K_w})"
        )
    columns = gathered.flatten(1, 3).flatten(2)
    output = weight.flatten(1).expand(len(columns), -1, -1) @ columns
    if bias is not None:
        output = output + bias[:, None]
    return output.unflatten(2, gathered.shape[4:])
