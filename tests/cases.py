"""What the tests of all variants share: random layers, bad arguments, exact comparison.

The numbers in a random layer are small and whole, so every sum of their products is exact
in every floating dtype, in whatever order it is taken: tests compare for equality, and no
tolerance can hide a mistake.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import grad, gradcheck, gradgradcheck

Pair = int | tuple[int, int]

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def whole_numbers(shape: Sequence[int], seed: int = 0, largest: int = 2) -> Tensor:
    """Return random float64 numbers from -largest to largest, all whole."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(-largest, largest + 1, tuple(shape), generator=generator)
    return numbers.double()


def both(value: int | Sequence[int]) -> tuple[int, int]:
    """Return the (height, width) pair that an int or a pair stands for."""
    height, width = (value, value) if isinstance(value, int) else value
    return height, width


@dataclass(frozen=True)
class Layer:
    """The arguments of one call of a convolution."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    groups: int = 1

    @property
    def tensors(self) -> list[Tensor]:
        given = (self.input, self.weight, self.bias)
        return [tensor for tensor in given if tensor is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Layer":
        """Return the layer with ``function`` of each of its tensors in the tensor's place."""
        input, weight, *bias = map(function, self.tensors)
        return replace(self, input=input, weight=weight, bias=bias[0] if bias else None)


def asymmetric(dilation: Pair = 1, groups: int = 1) -> Layer:
    """Return a layer in which no two axes are alike, so that a swap shows."""
    return Layer(
        input=whole_numbers((2, 5 * groups, 7, 6), seed=1),
        weight=whole_numbers((4 * groups, 5, 3, 2), seed=2),
        bias=whole_numbers((4 * groups,), seed=3),
        stride=(2, 1),
        padding=(1, 2),
        dilation=dilation,
        groups=groups,
    )


def int_or_pair(smallest: int, largest: int) -> st.SearchStrategy[Pair]:
    one = st.integers(smallest, largest)
    return st.one_of(one, st.tuples(one, one))


@st.composite
def layers(draw: st.DrawFn, dilated: bool = False, grouped: bool = False) -> Layer:
    """Any small layer whose kernel fits; ``dilated`` and ``grouped`` vary those arguments too."""
    kernel_size = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride, padding = draw(int_or_pair(1, 3)), draw(int_or_pair(0, 2))
    dilation = draw(int_or_pair(1, 3)) if dilated else 1
    groups = draw(st.integers(1, 3)) if grouped else 1
    height, width = (
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4))
        for k, p, d in zip(kernel_size, both(padding), both(dilation), strict=True)
    )
    width += height == width
    N, C_in, C_out = (draw(st.integers(1, largest)) for largest in (2, 3, 3))
    has_bias = draw(st.booleans())
    seed = draw(st.integers(0, 2**16))
    return Layer(
        input=whole_numbers((N, groups * C_in, height, width), seed),
        weight=whole_numbers((groups * C_out, C_in, *kernel_size), seed + 1),
        bias=whole_numbers((groups * C_out,), seed + 2) if has_bias else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


# Ways to store a tensor that a strided view can get wrong; the last changes the numbers.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "sliced": lambda t: torch.stack([t, t * torch.nan], dim=-1)[..., 0],
    "channels last": lambda t: (
        t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t
    ),
    "expanded": lambda t: t[..., :1].expand(t.shape),
}


def assert_equal(actual: Any, expected: Any) -> None:
    """Assert the same numbers, shape, dtype and device, of tensors or of arrays."""
    actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def assert_same_gradients(
    output: Tensor, expected: Tensor, tensors: Sequence[Tensor]
) -> None:
    """Assert that two outputs are equal, and their gradients for each of the tensors too."""
    assert_equal(output, expected)
    cotangent = whole_numbers(output.shape, seed=4)
    ours, theirs = (grad(result, tensors, cotangent) for result in (output, expected))
    for gradient, expected_gradient in zip(ours, theirs, strict=True):
        assert_equal(gradient, expected_gradient)


def assert_numerical_derivatives(
    function: Callable[..., Tensor], *shapes: tuple[int, ...]
) -> None:
    """Assert that first and second derivatives are as differences of values tell.

    A second derivative is one for each pair of elements: let the shapes have a few dozen.
    """
    tensors = [whole_numbers(shape, seed=1).requires_grad_() for shape in shapes]
    assert gradcheck(function, tensors)
    assert gradgradcheck(function, tensors)


def assert_rounding_within_bound(
    function: Callable[[Any], Tensor],
    oracle: Callable[[Any], Tensor],
    like: Any,
    dtype: torch.dtype,
    additions: int,
) -> None:
    """Assert that rounding changes no output by more than it can, in a random layer.

    Rounding n times changes a sum by at most n u / (1 - n u) of its absolute terms' sum,
    in any order of summation (Higham, *Accuracy and Stability of Numerical Algorithms*,
    section 3.1); u is half of eps. A term is one product, rounded, and goes through
    ``additions``. The oracle says the exact sum, in float64. The shapes and options are
    those of ``like``, a ``Layer`` or what a variant has in its place.
    """
    generator = torch.Generator().manual_seed(0)
    layer = like.map(lambda t: torch.randn(t.shape, generator=generator).to(dtype))
    exact = layer.map(torch.Tensor.double)
    error = function(layer).double() - oracle(exact)
    n_u = (1 + additions) * torch.finfo(dtype).eps / 2
    bound = n_u / (1 - n_u) * oracle(exact.map(torch.abs))
    assert (error.abs() <= bound).all()


def each(
    names: tuple[str, ...], cases: Sequence[tuple[Any, ...]]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As ``pytest.mark.parametrize``, but all cases are one test; the one that fails is named.

    For hundreds of cases, each checked in less time than pytest takes to keep a book on it.
    """

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def over_all(**given: Any) -> None:
            for case in cases:
                chosen = dict(zip(names, case, strict=True))
                try:
                    test(**given, **chosen)
                except BaseException as failure:
                    failure.add_note(f"where {chosen}")
                    raise

        asked = signature(test)
        kept = [one for one in asked.parameters.values() if one.name not in names]
        over_all.__signature__ = asked.replace(parameters=kept)  # type: ignore[attr-defined]
        return over_all

    return decorated


@contextmanager
def rejects(error: type[Exception], *said: str) -> Iterator[None]:
    """Assert that the block raises just this error, and its message says all of ``said``."""
    with pytest.raises(error) as raised:
        yield
    assert raised.type is error
    for part in said:
        assert part in str(raised.value)


Bad = tuple[str, Any, type[Exception]]


def bad_integers(**minimum: int) -> list[Bad]:
    """For each named argument and the least it may be: name, impossible value, its error."""
    wrong_types = [True, np.bool_(True), 2.0, np.float64(2), "2", None, (2, 2), 2j]
    return [
        *((name, value, TypeError) for name in minimum for value in wrong_types),
        *((name, least - 1, ValueError) for name, least in minimum.items()),
    ]


def bad_pairs(**minimum: int) -> list[Bad]:
    """As ``bad_integers``, for arguments that take an int or a (height, width) pair."""
    wrong_types = [True, 2.0, "2", "same", None, {2, 3}]
    wrong_types += [(2, 1.0), (False, 2), (2, None), (2, (2, 2))]
    wrong_lengths = [(), (2,), (2, 2, 2), [2, 2, 2]]
    return [
        *((name, value, TypeError) for name in minimum for value in wrong_types),
        *((name, value, ValueError) for name in minimum for value in wrong_lengths),
        *(
            (name, value, ValueError)
            for name, least in minimum.items()
            for value in (least - 1, (2, least - 1), (least - 1, 2))
        ),
    ]
