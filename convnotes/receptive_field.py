"""The receptive field of a stack of layers: how much of the input one output sees.

Walk from the output down to the input. A layer spreads each position over its
kernel, so the field grows by the effective kernel size less one, measured in
input pixels: that is, times the product of the strides below it (Araujo, Norris
and Sim, *Computing receptive fields of convolutional neural networks*, 2019).
"""

from collections.abc import Iterable
from typing import NamedTuple

from convnotes.arguments import IntOrPair, pair
from convnotes.shapes import effective_kernel_size


class Window(NamedTuple):
    """Where one layer looks; convolution and pooling alike. Each an int or a (height, width) pair.

    >>> Window(3, stride=2)
    Window(kernel_size=3, stride=2, padding=0, dilation=1)
    """

    kernel_size: IntOrPair
    stride: IntOrPair = 1
    padding: IntOrPair = 0
    dilation: IntOrPair = 1


class ReceptiveField(NamedTuple):
    """The whole stack as if it were one layer, in input pixels.

    ``size`` is the extent that one output position sees, ``stride`` the distance
    between the fields of neighbouring outputs, and ``padding`` how far the first field
    hangs over the input's border.

    >>> receptive_field([Window(7, stride=2, padding=3)])
    ReceptiveField(size=7, stride=2, padding=3)
    """

    size: IntOrPair
    stride: IntOrPair
    padding: IntOrPair


def receptive_field(windows: Iterable[Window]) -> ReceptiveField:
    """Return size, stride and padding of the field of a stack, first layer first.

    With ``s`` the product of the strides of the layers before, every layer adds
    ``s * (effective kernel size - 1)`` to the size and ``s * padding`` to the padding.
    The answer is in ints if every argument is an int, otherwise in (height, width) pairs.

    Raises ``ValueError`` or ``TypeError`` if a window's argument is impossible.

    >>> receptive_field([Window(3, padding=1), Window(3, stride=2), Window(3)])
    ReceptiveField(size=9, stride=2, padding=1)
    >>> receptive_field([Window((3, 5)), Window(3)])
    ReceptiveField(size=(5, 7), stride=(1, 1), padding=(0, 0))
    """
    stack = _checked(windows)
    height, width = (_one_axis(stack, axis) for axis in (0, 1))
    if _has_pairs(stack):
        return ReceptiveField(*zip(height, width, strict=True))
    return ReceptiveField(*height)


def sampled_positions(
    windows: Iterable[Window],
) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
    """Return which positions of the field of a stack are read, from 0 to size - 1.

    A dilated layer reads positions ``dilation`` apart, and the layers of a stack add
    their distances up. The answer is a tuple of ints if every argument is an int,
    otherwise a (height, width) pair of such tuples.

    Raises ``ValueError`` or ``TypeError`` if a window's argument is impossible.

    >>> sampled_positions([Window(3, dilation=2)] * 3)
    (0, 2, 4, 6, 8, 10, 12)
    >>> len(sampled_positions([Window(3, dilation=rate) for rate in (1, 2, 4)]))
    15
    """
    stack = _checked(windows)
    height, width = (_reads(stack, axis) for axis in (0, 1))
    return (height, width) if _has_pairs(stack) else height


def _checked(windows: Iterable[Window]) -> list[Window]:
    if not isinstance(windows, Iterable) or isinstance(windows, Window):
        raise TypeError(f"windows={windows!r}: expected a list of Window")
    stack = list(windows)
    for number, window in enumerate(stack):
        if not isinstance(window, Window):
            raise TypeError(f"windows[{number}]={window!r}: expected a Window")
    return stack


def _has_pairs(stack: list[Window]) -> bool:
    return any(
        isinstance(argument, tuple | list) for window in stack for argument in window
    )


def _along(window: Window, axis: int) -> tuple[int, int, int, int]:
    """Return kernel size, stride, padding and dilation along one axis, checked."""
    kernel_size, stride, padding, dilation = (
        pair(name, argument, minimum=0 if name == "padding" else 1)[axis]
        for name, argument in window._asdict().items()
    )
    return kernel_size, stride, padding, dilation


def _one_axis(stack: list[Window], axis: int) -> tuple[int, int, int]:
    size, stride, padding = 1, 1, 0
    for window in stack:
        kernel_size, step, border, dilation = _along(window, axis)
        size += stride * (effective_kernel_size(kernel_size, dilation) - 1)
        padding += stride * border
        stride *= step
    return size, stride, padding


def _reads(stack: list[Window], axis: int) -> tuple[int, ...]:
    positions, stride = {0}, 1
    for window in stack:
        kernel_size, step, _, dilation = _along(window, axis)
        positions = {
            at + stride * dilation * u for at in positions for u in range(kernel_size)
        }
        stride *= step
    return tuple(sorted(positions))
