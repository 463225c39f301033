"""Listening below torch's functions: the matrix products that they are made of."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convnotes.profiling.report import Shape

aten = torch.ops.aten


class Counter(Protocol):
    """Who is told of the products: of those within a call that is running, or of one alone."""

    macs: int | None

    def ran(self, name: str, given: list[Tensor], made: Any, macs: int) -> None: ...


class Products(TorchDispatchMode):
    """Hears what is left of a call when torch has taken it apart, and counts the products."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch would first import it, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        count = PRODUCTS.get(func.overloadpacket)
        if count is None and torch.is_inference_mode_enabled():
            with self:  # there torch does not take functions apart by itself
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        with torch._C.DisableTorchFunction():
            made = func(*args, **kwargs)
        if count is not None:
            macs = count(made, *args)
            if (
                self.counter.macs is None
            ):  # called from no function of torch's: scripted
                name = func.overloadpacket.__name__
                self.counter.ran(name, list(tensors_in(args)), made, macs)
            else:
                self.counter.macs += macs
        return made


def _of_matrices(made: Tensor, *args: Any) -> int:
    """Count a product: each value that it makes is a sum over the last axis of one factor."""
    factor = args[0] if len(args) == 2 else args[1]  # addmm and its like add to a third
    return made.numel() * factor.shape[-1]


def _of_added_matrices(made: Tensor, *args: Any) -> int:
    return args[1].numel() * args[2].shape[-1]


def _of_convolution(made: Tensor, *args: Any) -> int:
    input, weight, transposed = *args[:2], args[6]
    positions = (input if transposed else made).shape[2:]
    return len(input) * weight.numel() * prod(positions)


def _of_attention(made: Any, *args: Any) -> int:
    """Count the products of queries and keys, and of what becomes of them with the values."""
    query, key, value = (one.shape for one in args[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


PRODUCTS: dict[Any, Callable[..., int]] = {
    **dict.fromkeys(
        (
            *(aten.mm, aten.bmm, aten.mv, aten.dot, aten.vdot),
            *(aten.addmm, aten.addmm_, aten.addmv, aten.addmv_),
            *(aten.baddbmm, aten.baddbmm_),
        ),
        _of_matrices,
    ),
    **dict.fromkeys((aten.addbmm, aten.addbmm_), _of_added_matrices),
    aten.convolution: _of_convolution,
    **dict.fromkeys(
        (
            aten._scaled_dot_product_flash_attention,
            aten._scaled_dot_product_flash_attention_for_cpu,
            aten._scaled_dot_product_efficient_attention,
            aten._scaled_dot_product_cudnn_attention,
        ),
        _of_attention,
    ),
}


def empty(shape: Shape, dtype: torch.dtype) -> Tensor:
    """Return a tensor without values, unheard.

    >>> empty((2, 3), torch.float32)
    tensor(..., device='meta', size=(2, 3))
    """
    with torch._C._DisableTorchDispatch():
        return torch.empty(shape, dtype=dtype, device="meta")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of what a function takes or returns.

    >>> len(list(tensors_in((torch.ones(1), [torch.ones(2), 3]))))
    2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors_in(one)
