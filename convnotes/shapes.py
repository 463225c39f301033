"""Output sizes: integer arithmetic along one axis.

An image has two axes; the formulas treat each alone, so these functions take
and give plain integers (pixels, or kernel positions). The formulas are those of
Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*,
arXiv:1603.07285.
"""

from convnotes.arguments import integer


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
