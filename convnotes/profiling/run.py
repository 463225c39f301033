"""``profile``: call a module on shapes, and leave it as it was."""

import operator
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from convnotes.arguments import integer
from convnotes.profiling.listening import Listener
from convnotes.profiling.products import Products, empty
from convnotes.profiling.report import Profile, Shape


def profile(
    module: nn.Module,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    dtype: torch.dtype | None = None,
) -> Profile:
    """Count what a network costs, call by call, without computing anything.

    ``input_shape`` is what the module is called with: one shape, as (1, 3, 224, 224), or a
    list of shapes where it takes several tensors. All of it is counted, so a batch of one,
    or an image without a batch, gives the cost of one image. ``dtype`` is the input's; None
    means that of the module's first floating-point parameter.

    Counted are convolutions and transposed convolutions of one to three axes, linear layers,
    and matrix products, however they are called: by layers or their subclasses, by functions
    of ``torch.nn.functional`` or of this package, in ``einsum``, attention or recurrent
    layers. One row is one call; a call of this package's functions has the cost that their
    cost functions state. The parameters of a layer that is called twice are counted the first
    time. Biases, normalisation, activations, pooling and sums have no MACs; the result lists
    the functions that were called and not counted, and the parameters that are in no row.

    The module runs in the mode that it is in, training or evaluation, and is left as it was.

    Raises ``TypeError`` if ``module`` is no ``nn.Module``, or a scripted one, and
    ``ValueError`` if ``input_shape`` is no shape, if parameters are not initialised, or if the
    module raises, as it does on a shape that does not fit, or when what it does depends on
    the values of its input. What it raised is the ``__cause__``.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 2, 1))
    >>> profile(network, (1, 3, 9, 11))
    name   kind       input     output   params   MACs
    0      standard   1×3×9×11  1×8×4×5     224  4,320
    2      pointwise  1×8×4×5   1×2×4×5      18    320
    total                                   242  4,640
    called and not counted: relu (1)
    """
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise TypeError(
            f"module is a {type(module).__name__}: expected an nn.Module that is not scripted"
        )
    shapes = _shapes(input_shape)
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype={dtype!r}: expected a torch.dtype or None")
    for each in (*module.parameters(), *module.buffers()):
        if nn.parameter.is_lazy(each):
            raise ValueError(
                "module has parameters that are not initialised: "
                "expected one that has been called before"
            )
    listener = Listener(module, profile.__code__)
    with (
        left_as_it_was(module),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        Products(listener),
    ):
        if dtype is None:
            dtypes = (p.dtype for p in module.parameters() if p.is_floating_point())
            dtype = next(dtypes, torch.get_default_dtype())
        inputs = [empty(shape, dtype) for shape in shapes]
        try:
            with listener:
                module(*inputs)
        except Exception as error:
            place = listener.place(error.__traceback__)
            raise ValueError(
                f"input_shape={input_shape!r}: {place} raised "
                f"{type(error).__name__}: {error}"
            ) from error
        finally:
            listener.heard = None  # a frame, and with it all frames that called it
    return listener.profile()


def _shapes(input_shape: Any) -> list[Shape]:
    expected = f"input_shape={input_shape!r}: expected a shape, or a list of shapes"
    if not isinstance(input_shape, tuple | list):
        raise TypeError(expected)
    nested = [isinstance(size, tuple | list) for size in input_shape]
    if not input_shape or any(nested) != all(nested):
        raise ValueError(expected)
    shapes = input_shape if all(nested) else [input_shape]
    return [
        tuple(integer("input_shape", size, minimum=1) for size in one) for one in shapes
    ]


@contextmanager
def left_as_it_was(module: nn.Module) -> Iterator[None]:
    """Give all modules their attributes back, whatever a ``forward`` sets or replaces.

    >>> layer = nn.BatchNorm2d(3)
    >>> with left_as_it_was(layer):
    ...     layer.running_mean = None
    >>> layer.running_mean
    tensor([0., 0., 0.])
    """
    held: list[dict[Any, Any]] = [vars(each) for each in module.modules()]
    held += [
        value
        for attributes in held
        for value in attributes.values()
        if type(value) in (dict, OrderedDict)
    ]
    kept = [each.copy() if each else EMPTY for each in held]
    try:
        yield
    finally:
        for each, before in zip(held, kept, strict=True):
            if len(each) != len(before) or not all(
                map(
                    operator.is_,
                    chain(each, each.values()),
                    chain(before, before.values()),
                )
            ):
                each.clear()
                each.update(before)


EMPTY: dict[Any, Any] = {}
