"""The receptive field of a network: how much of the input one output sees.

**By formula**, for a chain of layers. Walk from the output down to the input. A layer
spreads each position over its kernel, so the field grows by the effective kernel size
less one, measured in input pixels: that is, times the product of the strides below it
(Araujo, Norris and Sim, *Computing receptive fields of convolutional neural networks*,
2019).

**By measurement**, for any network, branches and transposed layers included: an input
pixel is in the field of an output if the output's gradient with respect to it is not 0.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convnotes.arguments import IntOrPair, integer, pair
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
    hangs over the input's border. So output ``i`` sees the ``size`` pixels from
    ``stride * i - padding``. A measured stride may be a fraction: where a network
    enlarges its input, several outputs share a pixel.

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


# By measurement.


@torch.inference_mode(False)
def measured_receptive_field(
    module: Callable[[Tensor], Tensor], input_shape: tuple[int, ...]
) -> ReceptiveField:
    """Return size, stride and padding of the field of a network, from its gradients.

    ``module`` is an ``nn.Module``, a method of one (``network.features``, say), or any
    function of float64 images, that gives one tensor (N, C, H_out, W_out);
    ``input_shape`` is the (C, H, W) of an image, or the (N, C, H, W) of a batch. A pixel
    is in the field of an output position if the gradient, of any of the position's
    channels, is not 0. Measured are an output in the middle and its neighbours. The
    answer is in ints if height and width agree, otherwise in (height, width) pairs.

    Gradients would miss a part of the field behind a dead ReLU, below all but one value
    of a max-pooling window, or where they are too small for a float. Therefore a copy of
    the module is measured, in float64 and evaluation mode, in which functions of
    ``TRANSPARENT`` let everything through, batch normalisation too, and max pooling sums.
    It keeps its own weights: what is multiplied by 0 does not count. Nor does what is not
    chosen, where a function chooses by ``torch.where``, an index or a comparison. The
    module itself is left as it was.

    After a transposed layer, outputs differ in how much they see: ``size`` is that of the
    one that sees most, ``stride`` the mean distance, and ``padding`` that of the first
    output.

    Raises ``ValueError`` if ``input_shape`` is impossible, if the field is so large that
    it may be cut off at the input's border (behind global pooling it always is), if
    the input is too small to have neighbours in the output, or if ``module`` is on the
    meta device; ``TypeError`` if ``module`` cannot be called or gives something else
    than one such tensor.

    >>> layers = [nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, padding=1)]
    >>> measured_receptive_field(nn.Sequential(*layers), (1, 40, 50))
    ReceptiveField(size=7, stride=6, padding=2)
    >>> measured_receptive_field(nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1), (1, 9, 9))
    ReceptiveField(size=2, stride=Fraction(1, 2), padding=1)
    """
    if not callable(module):
        raise TypeError(f"module={module!r}: expected an nn.Module or a function")
    shape = _image_shape(input_shape)
    measured = _measured(module, shape)
    height, width = (_measured_axis(measured, axis, shape[2 + axis]) for axis in (0, 1))
    field: Any = height if height == width else zip(height, width, strict=True)
    return ReceptiveField(*field)


TRANSPARENT = frozenset(
    name
    for names in (
        "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish threshold",
        "sigmoid tanh softplus softsign logsigmoid hardtanh hardswish hardsigmoid",
        "hardshrink softshrink tanhshrink clamp clamp_min clamp_max clip batch_norm",
        "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
    )
    for name in names.split()
)
"""Functions of torch, by name, that let everything through while a field is measured."""


class Transparent(TorchFunctionMode):
    """While it is on, no function of torch on the list hides a part of its input.

    Those in ``TRANSPARENT`` return their input; max pooling sums what is in its window, and
    ``torch.max`` and its like sum what they choose from.

    >>> with Transparent():
    ...     torch.relu(torch.tensor([-1.0, 2.0])), F.max_pool2d(torch.ones(1, 4, 4), 2)
    (tensor([-1.,  2.]), tensor([[[4., 4.],
             [4., 4.]]]))
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function, or what stands for it here."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        if name in TRANSPARENT:
            return args[0] if args else kwargs["input"]
        if name in ("max_pool2d", "max_pool2d_with_indices"):
            return _sum_pool(func, *args, **kwargs)
        if name == "adaptive_max_pool2d":
            return F.adaptive_avg_pool2d(*args[:2])
        if name in ("amax", "amin"):
            return torch.sum(*args, **kwargs)
        if name in ("maximum", "minimum", "fmax", "fmin"):
            return torch.add(*args, **kwargs)
        if name in ("max", "min"):
            return _sum_of(func, *args, **kwargs)
        return func(*args, **kwargs)


def _sum_of(func: Any, input: Tensor, *how: Any, **options: Any) -> Any:
    """Sum the numbers of which ``func``, torch.max or torch.min, would choose one."""
    other = [one for one in (*how, *options.values()) if isinstance(one, Tensor)]
    made = func(input, *how, **options)
    if not input.is_floating_point():  # sizes, say, no pixels
        return made
    if other:
        return torch.add(input, *other)
    if isinstance(made, Tensor):  # one for all axes
        return input.sum()
    return type(made)((torch.sum(input, *how, **options), made.indices))


def _sum_pool(
    func: Any,
    input: Tensor,
    kernel_size: IntOrPair,
    stride: Any = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    *others: Any,
    **options: Any,
) -> Any:
    """Sum the windows over which ``func`` would take the maximum; they may end outside."""
    if stride is None or stride == []:
        stride = kernel_size
    made = func(input, kernel_size, stride, padding, dilation, *others, **options)
    pooled = made[0] if isinstance(made, tuple) else made  # or with indices
    kernel_size, stride = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
    padding, dilation = pair("padding", padding, 0), pair("dilation", dilation, 1)
    borders: list[int] = []
    for axis in (1, 0):
        reach = (pooled.shape[axis - 2] - 1) * stride[axis]
        reach += effective_kernel_size(kernel_size[axis], dilation[axis])
        after = reach - input.shape[axis - 2] - padding[axis]
        borders += [padding[axis], max(0, after)]
    channels = input.shape[-3]
    ones = input.new_ones(channels, 1, *kernel_size)
    summed = F.conv2d(
        F.pad(input, borders), ones, None, stride, 0, dilation, groups=channels
    )
    return (summed, *made[1:]) if isinstance(made, tuple) else summed


_Extent = tuple[int, int] | None
# First and last pixel along one axis, or None where nothing is read.


def _image_shape(input_shape: Any) -> tuple[int, ...]:
    if not isinstance(input_shape, tuple | list):
        raise TypeError(f"input_shape={input_shape!r}: expected (C, H, W)")
    if len(input_shape) not in (3, 4):
        raise ValueError(
            f"input_shape={input_shape!r}: expected (C, H, W) or (N, C, H, W)"
        )
    shape = tuple(integer("input_shape", size, minimum=1) for size in input_shape)
    return shape if len(shape) == 4 else (1, *shape)


class _Measured(NamedTuple):
    """What outputs on a diagonal see, and where on each axis the diagonal starts."""

    extents: Callable[[int], tuple[_Extent, _Extent]]
    start: tuple[int, int]
    outputs: tuple[int, int]


def _measured(module: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> _Measured:
    """Run the module once; every output that is asked for takes one more backward pass."""
    generator = torch.Generator().manual_seed(0)
    module, device = _copied(module)
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    image = values.to(device).requires_grad_()
    with torch.enable_grad(), Transparent():
        output = module(image)
    if not isinstance(output, Tensor) or output.dim() != 4:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output)
        raise TypeError(f"module gives {given}: expected one tensor (N, C, H, W)")
    if not output.requires_grad:
        raise ValueError("module: expected an output that depends on the input")
    rows, columns = output.shape[2:]
    by_channel = torch.rand(output.shape[1], generator=generator, dtype=torch.float64)

    @cache
    def seen_from(row: int, column: int) -> tuple[_Extent, _Extent]:
        seed = torch.zeros_like(output)
        seed[0, :, row, column] = 0.5 + by_channel.to(seed)
        (gradient,) = torch.autograd.grad(output, image, seed, retain_graph=True)
        read = (gradient != 0).any(1).any(0)
        return _extent(read.any(1)), _extent(read.any(0))

    near = sorted(
        product(range(rows // 2, rows)[:8], range(columns // 2, columns)[:8]), key=sum
    )  # the middle, unless it reads nothing, as behind a transposed layer it may
    row, column = next((at for at in near if seen_from(*at)[0]), near[0])

    def extents(move: int) -> tuple[_Extent, _Extent]:
        below = min(max(row + move, 0), rows - 1)
        right = min(max(column + move, 0), columns - 1)
        both = seen_from(below, right)
        if both[0] is None:  # one axis alone may read nothing there
            return seen_from(below, column)[0], seen_from(row, right)[1]
        return both

    return _Measured(extents, (row, column), (rows, columns))


def _copied(module: Any) -> tuple[Any, Any]:
    """Return what stands for a module, or a method of one, and the device that it is on."""
    if isinstance(module, nn.Module):
        copy = deepcopy(module).double().eval().requires_grad_(False)
        tensor = next(copy.parameters(), torch.empty(()))
        if tensor.is_meta:
            raise ValueError(
                "module is on the meta device: expected one whose weights have values"
            )
        return copy, tensor.device
    owner = getattr(module, "__self__", None)
    if isinstance(owner, nn.Module):
        copy, device = _copied(owner)
        return getattr(copy, module.__name__), device
    return module, "cpu"


def _extent(read: Tensor) -> _Extent:
    pixels = read.nonzero().flatten().tolist()
    return (pixels[0], pixels[-1]) if pixels else None


def _measured_axis(
    measured: _Measured, axis: int, inputs: int
) -> tuple[int, int | Fraction, int | Fraction]:
    """Return size, stride and padding along one axis of ``inputs`` pixels.

    After ``period`` outputs all repeats itself, some pixels further on: after one output,
    unless the network enlarges its input.
    """
    start, outputs = measured.start[axis], measured.outputs[axis]

    def seen(move: int) -> _Extent:
        return measured.extents(move)[axis]

    for period in range(1, min(start, outputs - 1 - start) + 1):
        window = range(-period, 1)
        shifts = {_shift(seen(move), seen(move + period), inputs) for move in window}
        shift = (shifts - {0}).pop() if len(shifts - {0}) == 1 else None
        moves = range(-(period // 2), period - period // 2)
        phases = {move: extent for move in moves if (extent := seen(move))}
        whole = all(min(a, inputs - 1 - b) > 0 for a, b in phases.values())
        if shift is not None and shift > 0 and phases and whole:
            stride = Fraction(shift, period)
            first = min(phases, key=lambda move: (start + move) % period)
            padding = stride * (start + first) - phases[first][0]
            size = max(b - a + 1 for a, b in phases.values())
            return size, _whole(stride), _whole(padding)
    extent = seen(0)
    pixels = f"pixels {extent[0]} to {extent[1]}" if extent else "nothing"
    raise ValueError(
        f"the {('height', 'width')[axis]} of input_shape is {inputs}: expected more. Output "
        f"{start} of {outputs} sees {pixels}, and may see more than the image holds. "
        "Behind a pooling or normalisation of the whole image, every output sees all of it"
    )


def _whole(number: Fraction) -> int | Fraction:
    return number.numerator if number.denominator == 1 else number


def _shift(one: _Extent, other: _Extent, inputs: int) -> int | None:
    """Return by how much the second is the first moved on; None if it is not, or not surely.

    What begins or ends at the border may be cut off there. Two that are empty say nothing:
    their shift counts as 0.
    """
    if one is None or other is None:
        return 0 if one is other else None
    by = [other[0] - one[0]] if one[0] > 0 else []
    by += [other[1] - one[1]] if other[1] < inputs - 1 else []
    return by[0] if len({*by}) == 1 and by[0] > 0 else None
