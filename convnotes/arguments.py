"""Argument checking, in one place.

Every public function of the package asks here before it computes anything. A
message names the argument, its value and what was expected: a wrong value is a
``ValueError``, a wrong type a ``TypeError``.
"""

import operator
from collections.abc import Sequence
from typing import Any

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
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r}: expected an integer >= {minimum}")
    number = operator.index(value)
    if number < minimum:
        raise ValueError(f"{name}={value!r}: expected an integer >= {minimum}")
    return number


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


def layer_shapes(input: Any, weight: Any, bias: Any = None, groups: int = 1) -> None:
    """Check that the arrays or tensors of a layer fit together.

    ``input`` is (N, C_in, H, W), ``weight`` (C_out, C_in / groups, K_h, K_w) and
    ``bias``, where given, (C_out,).

    >>> import numpy as np
    >>> layer_shapes(np.zeros((1, 3, 8, 8)), np.zeros((4, 2, 3, 3)))
    Traceback (most recent call last):
    ValueError: weight of shape (4, 2, 3, 3): expected (C_out, 3, K_h, K_w) \
for input of shape (1, 3, 8, 8)
    """
    axes("input", input, "(N, C_in, H, W)")
    axes("weight", weight, "(C_out, C_in, K_h, K_w)")
    channels = input.shape[1] // groups
    if weight.shape[1] != channels:
        raise ValueError(
            f"weight of shape {tuple(weight.shape)}: expected (C_out, {channels}, K_h, K_w) "
            f"for input of shape {tuple(input.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(
            f"bias of shape {tuple(bias.shape)}: expected ({weight.shape[0]},), "
            f"one value for each of weight's output channels"
        )


def axes(name: str, array: Any, expected: str) -> None:
    """Check that ``array`` has as many axes as ``expected``, "(N, C, H, W)" say, names."""
    if not hasattr(array, "shape"):
        raise TypeError(f"{name}={array!r}: expected a tensor of shape {expected}")
    if len(array.shape) != expected.count(",") + 1:
        raise ValueError(f"{name} of shape {tuple(array.shape)}: expected {expected}")


def tensors(**named: Any) -> None:
    """Check that all are floating-point tensors of one dtype on one device; None is passed over.

    >>> tensors(input=torch.zeros(2), weight=torch.zeros(2, dtype=torch.float64))
    Traceback (most recent call last):
    TypeError: weight is torch.float64 on cpu: expected torch.float32 on cpu, as input
    """
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
    first, *others = given
    for name in others:
        one, other = given[first], given[name]
        if (one.dtype, one.device) != (other.dtype, other.device):
            raise TypeError(
                f"{name} is {other.dtype} on {other.device}: "
                f"expected {one.dtype} on {one.device}, as {first}"
            )
