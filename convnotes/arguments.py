"""Argument checking, in one place.

The public functions that compute ask here before they do. A message names the
argument, its value and what was expected: a wrong value is a ``ValueError``, a wrong
type a ``TypeError``.
"""

import operator
from collections.abc import Sequence
from math import inf
from numbers import Real
from typing import Any

import numpy as np
import torch

IntOrPair = int | Sequence[int]
"""What ``kernel_size``, ``stride`` and their like accept: one int, or (height, width)."""


def integer(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``; a bool or a float is a ``TypeError``.

    >>> integer("stride", 2, minimum=1)
    2
    >>> integer("stride", 0, minimum=1)
    Traceback (most recent call last):
    ValueError: stride=0: expected an integer >= 1
    """
    expected = f"{name}={value!r}: expected an integer >= {minimum}"
    if isinstance(value, bool) or getattr(value, "dtype", None) == torch.bool:
        raise TypeError(expected)
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(expected) from None
    if number < minimum:
        raise ValueError(expected)
    return number


def number(name: str, value: Any, minimum: float = -inf) -> Any:
    """Return ``value``, a real number not below ``minimum``; nan is a number too.

    >>> number("lr", 0.1, minimum=0)
    0.1
    >>> number("lr", "fast", minimum=0)
    Traceback (most recent call last):
    TypeError: lr='fast': expected a real number >= 0
    """
    wrong_type = isinstance(value, bool) or not isinstance(value, (float, int, Real))
    if wrong_type or value < minimum:
        least = "" if minimum == -inf else f" >= {minimum}"
        error = TypeError if wrong_type else ValueError
        raise error(f"{name}={value!r}: expected a real number{least}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return ``value``, True or False; anything else is a ``TypeError``.

    >>> flag("bias", "no")
    Traceback (most recent call last):
    TypeError: bias='no': expected True or False
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected True or False")
    return value


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    """Return ``value``, which has to be one of the names in ``choices``.

    >>> one_of("padding_mode", "mirror", ("zeros", "reflect"))
    Traceback (most recent call last):
    ValueError: padding_mode='mirror': expected one of ('zeros', 'reflect')
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {choices}")
    return value


def pair(name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return an int or a (height, width) pair as a pair of ints of at least ``minimum``.

    >>> pair("kernel_size", 3, minimum=1), pair("kernel_size", (3, 5), minimum=1)
    ((3, 3), (3, 5))
    >>> pair("kernel_size", (3, 5, 7), minimum=1)
    Traceback (most recent call last):
    ValueError: kernel_size=(3, 5, 7): expected an int or a (height, width) pair, each >= 1
    """
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    expected = f"{name}={value!r}: expected an int or a (height, width) pair, each >= {minimum}"
    if len(both) != 2:
        raise ValueError(expected)
    try:
        return integer(name, both[0], minimum), integer(name, both[1], minimum)
    except (TypeError, ValueError) as error:
        raise type(error)(expected) from None


def divides(name: str, groups: int, **counts: int) -> None:
    """Check that ``groups`` divides each of the counts of channels.

    >>> divides("groups", 3, in_channels=6, out_channels=8)
    Traceback (most recent call last):
    ValueError: groups=3: expected a divisor of out_channels=8
    """
    for counted, count in counts.items():
        if count % groups:
            raise ValueError(
                f"{name}={groups}: expected a divisor of {counted}={count}"
            )


def layer_shapes(
    input: Any, weight: Any, bias: Any = None, groups: int | None = 1
) -> None:
    """Check that the arrays or tensors of a layer fit together.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in / groups, K_h, K_w) and
    ``bias``, where given, (C_out,). ``groups=None`` means one group for each channel.

    >>> import numpy as np
    >>> layer_shapes(np.zeros((1, 3, 8, 8)), np.zeros((4, 2, 3, 3)))
    Traceback (most recent call last):
    ValueError: weight of shape (4, 2, 3, 3): expected (C_out, 3, K_h, K_w) \
for input of shape (1, 3, 8, 8)
    """
    axes("input", input, "(N, C_in, H, W)")
    axes("weight", weight, "(C_out, C_in, K_h, K_w)")
    of_input, of_weight = tuple(input.shape), tuple(weight.shape)
    if 0 in of_input[1:]:
        raise ValueError(f"input of shape {of_input}: expected sizes of at least 1")
    if 0 in of_weight:
        raise ValueError(f"weight of shape {of_weight}: expected sizes of at least 1")
    if groups is None:
        groups = of_input[1]
        if of_weight[1] != 1 or of_weight[0] % groups:
            raise ValueError(
                f"weight of shape {of_weight}: expected (C_in * M, 1, K_h, K_w) "
                f"with C_in = {groups} for input of shape {of_input}"
            )
    groups = integer("groups", groups, minimum=1)
    if of_input[1] % groups or of_weight[0] % groups:
        raise ValueError(
            f"groups={groups}: expected a divisor of the {of_input[1]} channels of input "
            f"and of the {of_weight[0]} filters of weight"
        )
    if of_weight[1] != of_input[1] // groups:
        raise ValueError(
            f"weight of shape {of_weight}: "
            f"expected (C_out, {of_input[1] // groups}, K_h, K_w) "
            f"for input of shape {of_input}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(
            f"bias of shape {tuple(bias.shape)}: expected ({weight.shape[0]},), "
            f"one value for each of weight's output channels"
        )


def axes(name: str, array: Any, expected: str) -> None:
    """Check that ``array`` has as many axes as ``expected`` names.

    >>> axes("input", np.zeros((3, 8, 8)), "(N, C, H, W)")
    Traceback (most recent call last):
    ValueError: input of shape (3, 8, 8): expected (N, C, H, W)
    """
    if not hasattr(array, "shape"):
        raise TypeError(f"{name}={array!r}: expected a tensor of shape {expected}")
    if len(array.shape) != expected.count(",") + 1:
        raise ValueError(f"{name} of shape {tuple(array.shape)}: expected {expected}")


def tensors(**named: Any) -> None:
    """Check that all are floating-point tensors of one dtype on one device.

    None is passed over, except in the first place.

    >>> tensors(input=torch.zeros(2), weight=torch.zeros(2, dtype=torch.float64))
    Traceback (most recent call last):
    TypeError: weight is torch.float64 on cpu: expected torch.float32 on cpu, as input
    """
    required = next(iter(named))
    if named[required] is None:
        raise TypeError(f"{required}=None: expected a tensor")
    given = {name: tensor for name, tensor in named.items() if tensor is not None}
    for name, tensor in given.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"{name} is a {type(tensor).__name__}: expected a torch.Tensor"
            )
        if not tensor.is_floating_point():
            raise TypeError(
                f"{name} is {tensor.dtype}: expected a floating-point tensor"
            )
        if tensor.layout is not torch.strided:
            raise TypeError(f"{name} is {tensor.layout}: expected a dense tensor")
    first, *others = given
    for name in others:
        one, other = given[first], given[name]
        if (one.dtype, one.device) != (other.dtype, other.device):
            raise TypeError(
                f"{name} is {other.dtype} on {other.device}: "
                f"expected {one.dtype} on {one.device}, as {first}"
            )


def arrays(**named: Any) -> tuple[Any, ...]:
    """Return all as float64 NumPy arrays, tensors too; None stays None.

    >>> arrays(input=torch.ones(2), bias=None)
    (array([1., 1.]), None)
    >>> arrays(input="a picture")
    Traceback (most recent call last):
    TypeError: input='a picture': expected real numbers
    """
    return tuple(
        None if value is None else _array(name, value) for name, value in named.items()
    )


def _array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.dtype == torch.bool or value.is_meta:
            raise TypeError(f"{name} is {value.dtype}: expected real numbers")
        if value.layout is not torch.strided:
            raise TypeError(f"{name} is {value.layout}: expected a dense tensor")
        return value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # NumPy's, for rows of several lengths
        raise ValueError(f"{name}={value!r}: expected rows of one length") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}={value!r}: expected real numbers")
    return array.astype(np.float64)


def placement(device: Any, dtype: Any) -> dict[str, Any]:
    """Return ``device`` and ``dtype``, after checking that a layer can have weights there.

    >>> placement(None, torch.float64)
    {'device': None, 'dtype': torch.float64}
    >>> placement(None, "float64")
    Traceback (most recent call last):
    TypeError: dtype='float64': expected None or a floating-point torch.dtype
    """
    if not (
        dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point)
    ):
        raise TypeError(
            f"dtype={dtype!r}: expected None or a floating-point torch.dtype"
        )
    expected = f"device={device!r}: expected None or a device that torch can use here"
    if not (device is None or isinstance(device, str | int | torch.device)):
        raise TypeError(expected)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ValueError):
        raise ValueError(expected) from None
    return {"device": device, "dtype": dtype}


def layer_input(input: Any, in_channels: int) -> None:
    """Check that a layer made for ``in_channels`` is given an image, or images, of so many.

    >>> layer_input(torch.zeros(1, 2, 8, 8), in_channels=3)
    Traceback (most recent call last):
    ValueError: input of shape (1, 2, 8, 8): expected 3 channels
    """
    tensors(input=input)
    if input.ndim in (3, 4) and input.shape[-3] != in_channels:
        raise ValueError(
            f"input of shape {tuple(input.shape)}: expected {in_channels} channels"
        )
