"""Output sizes: integer arithmetic along one axis.

An image has two axes; the formulas treat each alone, so these functions take
and give plain integers (pixels, or kernel positions). Two more apply them to both
axes of an image and of a layer. The formulas are those of
Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*,
arXiv:1603.07285.
"""

from typing import Any

from convnotes.arguments import IntOrPair, axes, integer, pair


def effective_kernel_size(kernel_size: int, dilation: int = 1) -> int:
    """Extent of a kernel along one axis, in pixels: ``dilation * (kernel_size - 1) + 1``.

    ``dilation`` is the distance between neighbouring kernel positions, so 1 means
    that nothing is skipped.

    Raises ``ValueError`` if an argument is smaller than 1.

    >>> effective_kernel_size(3), effective_kernel_size(3, dilation=2)
    (3, 5)
    """
    kernel_size = integer("kernel_size", kernel_size, minimum=1)
    dilation = integer("dilation", dilation, minimum=1)
    return dilation * (kernel_size - 1) + 1


def conv_output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> int:
    """Output size of a convolution along one axis, in pixels.

    ``floor((input_size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1``:
    the number of places where the kernel fits on the padded input (arXiv:1603.07285,
    relations 6 and 15).

    Raises ``ValueError`` if an argument is too small, or if the kernel is longer
    than the padded input, so that no place is left.

    >>> conv_output_size(50, kernel_size=3, stride=2)
    24
    >>> conv_output_size(4, kernel_size=3, dilation=2)
    Traceback (most recent call last):
    ValueError: kernel_size=3 with dilation=2 spans 5 pixels: expected at most 4, \
the input_size=4 with padding=0 on both sides
    """
    input_size = integer("input_size", input_size, minimum=1)
    stride = integer("stride", stride, minimum=1)
    padding = integer("padding", padding, minimum=0)
    extent = effective_kernel_size(kernel_size, dilation)
    room = input_size + 2 * padding - extent
    if room < 0:
        raise ValueError(
            f"kernel_size={kernel_size} with dilation={dilation} spans {extent} pixels: "
            f"expected at most {input_size + 2 * padding}, "
            f"the input_size={input_size} with padding={padding} on both sides"
        )
    return room // stride + 1


def output_size(
    input: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    kernel: str | None = None,
) -> tuple[int, int]:
    """Output (height, width) of a convolution of ``input``, an array or tensor (N, C, H, W).

    ``kernel`` is what an error calls the kernel, where the caller was given no
    ``kernel_size``. Raises ``ValueError`` or ``TypeError`` if an argument is impossible,
    and ``ValueError`` if the kernel is larger than the padded input.

    >>> import numpy as np
    >>> output_size(np.zeros((1, 3, 8, 9)), kernel_size=3, stride=(1, 2))
    (6, 4)
    >>> output_size(np.zeros((1, 3, 8, 9)), kernel_size=(2, 5), dilation=3)
    Traceback (most recent call last):
    ValueError: kernel_size=(2, 5) with dilation=3 spans 4×13 pixels: \
expected at most 8×9, input of shape (1, 3, 8, 9) with padding=0
    """
    axes("input", input, "(N, C_in, H, W)")
    sizes = tuple(input.shape[2:])
    if 0 in sizes:
        shape = tuple(input.shape)
        raise ValueError(f"input of shape {shape}: expected sizes of at least 1")
    kernel_sizes = pair("kernel_size", kernel_size, minimum=1)
    strides = pair("stride", stride, minimum=1)
    paddings = pair("padding", padding, minimum=0)
    dilations = pair("dilation", dilation, minimum=1)
    extents = tuple(map(effective_kernel_size, kernel_sizes, dilations))
    room = tuple(size + 2 * pad for size, pad in zip(sizes, paddings, strict=True))
    if extents[0] > room[0] or extents[1] > room[1]:
        kernel = kernel or f"kernel_size={kernel_size!r}"
        spread = "" if dilations == (1, 1) else f" with dilation={dilation!r}"
        raise ValueError(
            f"{kernel}{spread} spans {extents[0]}×{extents[1]} pixels: "
            f"expected at most {room[0]}×{room[1]}, "
            f"input of shape {tuple(input.shape)} with padding={padding!r}"
        )
    height, width = map(
        conv_output_size, sizes, kernel_sizes, strides, paddings, dilations
    )
    return height, width


def layer_output_size(
    input: Any,
    weight: Any,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    name: str = "weight",
) -> tuple[int, int]:
    """Output (height, width) of a layer, from its input and weight.

    ``input`` is an array or tensor (N, C_in, H, W), ``weight`` one of (..., K_h, K_w),
    and ``name`` what an error calls it. Raises ``ValueError`` or ``TypeError`` as
    ``output_size`` does.

    >>> import numpy as np
    >>> layer_output_size(np.zeros((1, 3, 8, 9)), np.zeros((4, 3, 3, 3)), padding=1)
    (8, 9)
    >>> layer_output_size(np.zeros((1, 3, 2, 9)), np.zeros((4, 3, 3, 3)))
    Traceback (most recent call last):
    ValueError: weight of shape (4, 3, 3, 3) spans 3×3 pixels: \
expected at most 2×9, input of shape (1, 3, 2, 9) with padding=0
    """
    kernel = f"{name} of shape {tuple(weight.shape)}"
    kernel_size = tuple(weight.shape[-2:])
    return output_size(input, kernel_size, stride, padding, dilation, kernel)


def borders(
    padding: IntOrPair | str,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
) -> tuple[int, int, int, int]:
    """Return how many columns and rows ``padding`` adds: left, right, top, bottom.

    "valid" adds none. "same" adds D(K - 1) to each axis, so that with a stride of 1,
    which it needs, the output is as large as the input; where that is odd, the one more
    goes to the right and to the bottom.

    Raises ``ValueError`` for another name or number, and for "same" with another
    stride; ``TypeError`` for a wrong type.

    >>> borders((1, 2), kernel_size=3), borders("same", kernel_size=(3, 4))
    ((2, 2, 1, 1), (1, 2, 1, 1))
    """
    kernel_size = pair("kernel_size", kernel_size, minimum=1)
    steps = pair("stride", stride, minimum=1)
    dilation = pair("dilation", dilation, minimum=1)
    if not isinstance(padding, str):
        height, width = pair("padding", padding, minimum=0)
        return width, width, height, height
    if padding not in ("same", "valid"):
        raise ValueError(f"padding={padding!r}: expected 'same', 'valid' or numbers")
    if padding == "valid":
        return 0, 0, 0, 0
    if steps != (1, 1):
        raise ValueError(f"stride={stride!r}: expected 1, as padding='same' needs")
    extents = map(effective_kernel_size, kernel_size, dilation)
    height, width = (extent - 1 for extent in extents)
    return width // 2, width - width // 2, height // 2, height - height // 2


def conv_transpose_output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Output size of a transposed convolution along one axis, in pixels.

    ``(input_size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.
    Below ``stride``, ``output_padding`` chooses among the sizes that the convolution with
    the same arguments maps onto ``input_size`` (arXiv:1603.07285, relation 14).

    Raises ``ValueError`` if an argument is too small, if ``output_padding`` is not
    smaller than ``max(stride, dilation)``, or if ``padding`` crops everything away.

    >>> conv_transpose_output_size(24, kernel_size=3, stride=2)
    49
    >>> conv_transpose_output_size(24, kernel_size=3, stride=2, output_padding=1)
    50
    """
    input_size = integer("input_size", input_size, minimum=1)
    stride = integer("stride", stride, minimum=1)
    padding = integer("padding", padding, minimum=0)
    output_padding = integer("output_padding", output_padding, minimum=0)
    extent = effective_kernel_size(kernel_size, dilation)
    if output_padding >= max(stride, dilation):
        raise ValueError(
            f"output_padding={output_padding}: expected less than the larger of "
            f"stride={stride} and dilation={dilation}"
        )
    output_size = (input_size - 1) * stride - 2 * padding + extent + output_padding
    if output_size < 1:
        raise ValueError(
            f"padding={padding}: expected at most {(output_size + 2 * padding - 1) // 2}, "
            f"so that cropping leaves some of the {output_size + 2 * padding} pixels"
        )
    return output_size
