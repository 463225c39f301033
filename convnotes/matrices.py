"""Every variant is one matrix: read the input as a long vector, and so the output."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from convnotes.arguments import integer


def as_matrix(
    function: Callable[[Tensor], Tensor],
    input_shape: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Return the matrix of a linear function of images.

    ``function`` takes a batch of images of ``input_shape``, (C, H, W) say, and gives a
    batch.
    Column k of the matrix is what it makes of the k-th unit image, so that
    ``function(x).flatten() == as_matrix(function, x.shape[1:]) @ x.flatten()``. The
    matrix is (output elements, input elements), both in C, H, W order.

    Raises ``ValueError`` if ``input_shape`` is not positive, or if the function is not
    linear: with a bias it moves zero, and no matrix says that. ``TypeError`` if
    ``input_shape`` is no tuple.

    >>> from convnotes.standard import conv2d
    >>> kernel = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
    >>> as_matrix(lambda x: conv2d(x, kernel), (1, 1, 4))
    tensor([[1., 2., 0., 0.],
            [0., 1., 2., 0.],
            [0., 0., 1., 2.]], dtype=torch.float64)
    """
    if not isinstance(input_shape, tuple | list):
        raise TypeError(f"input_shape={input_shape!r}: expected a tuple of sizes")
    if not input_shape:
        raise ValueError(f"input_shape={input_shape!r}: expected at least one size")
    shape = tuple(integer("input_shape", size, minimum=1) for size in input_shape)
    elements = prod(shape)
    units = torch.eye(elements, dtype=dtype).reshape(elements, *shape)
    matrix = function(units).flatten(1).T
    probe = torch.arange(1, elements + 1, dtype=dtype).cos()
    if not torch.allclose(matrix @ probe, function(probe.reshape(1, *shape)).flatten()):
        raise ValueError(f"function={function!r}: expected a linear function")
    return matrix
