"""Every variant is one matrix: read the input as a long vector, and so the output.

``as_matrix`` finds the matrix of any linear function by trying it out. ``conv2d_matrix``
writes it down for a convolution, and shows what it is made of: *where it looks* and
*which channels mix* are its two factors. With ``W[u, v]`` the (C_out, C_in) weights of
one kernel position, ``E[u]`` the 0/1 matrix that says which input row each output row
reads for kernel row ``u``, and ``F[v]`` the same for columns,

    matrix = sum over u, v of  W[u, v] ⊗ (E[u] ⊗ F[v])
"""

import warnings
from collections.abc import Callable
from functools import partial
from math import prod

import torch
from torch import Tensor

from convnotes.arguments import (
    IntOrPair,
    axes,
    divides,
    integer,
    pair,
    placement,
    tensors,
)
from convnotes.deformable import deform_conv2d
from convnotes.depthwise import depthwise_conv2d
from convnotes.dilated import dilated_conv2d
from convnotes.grouped import grouped_conv2d
from convnotes.pointwise import pointwise_conv2d
from convnotes.shapes import conv_output_size
from convnotes.standard import conv2d
from convnotes.transposed import conv_transpose2d

LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr)
BATCH = 2**18  # elements of unit images that are tried out at once


def as_matrix(
    function: Callable[[Tensor], Tensor],
    input_shape: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    layout: torch.layout = torch.strided,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the matrix of a linear function of images.

    ``function`` takes a batch of images of ``input_shape``, (C, H, W) say, and gives a
    batch.
    Column k of the matrix is what it makes of the k-th unit image, so that
    ``function(x).flatten() == as_matrix(function, x.shape[1:]) @ x.flatten()``. The
    matrix is (output elements, input elements), both in C, H, W order; where the
    function is differentiable in its weights, so is the matrix.

    ``layout`` is ``torch.strided`` for a dense matrix, ``torch.sparse_coo`` or
    ``torch.sparse_csr`` for one that stores only what is not 0: a convolution's grows
    with the number of pixels, the dense one with its square. Images are tried out in
    batches, so that neither takes much more memory than its result.

    A function with a bias is affine: it moves zero, and no matrix says that. Leave the
    bias out, or pass ``lambda x: function(x) - function(torch.zeros_like(x))``.

    Raises ``ValueError`` if ``input_shape`` is not positive, if torch has no such
    ``device`` here, or if the function is not linear; ``TypeError`` if ``input_shape`` is
    no tuple, ``dtype`` no floating-point one, or the function gives no batch.

    >>> from convnotes.standard import conv2d
    >>> kernel = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
    >>> as_matrix(lambda x: conv2d(x, kernel), (1, 1, 4))
    tensor([[1., 2., 0., 0.],
            [0., 1., 2., 0.],
            [0., 0., 1., 2.]], dtype=torch.float64)
    >>> as_matrix(lambda x: conv2d(x, kernel), (1, 30, 40), layout=torch.sparse_coo)._nnz()
    2340
    """
    if not isinstance(input_shape, tuple | list):
        raise TypeError(f"input_shape={input_shape!r}: expected a tuple of sizes")
    if not input_shape:
        raise ValueError(f"input_shape={input_shape!r}: expected at least one size")
    shape = tuple(integer("input_shape", size, minimum=1) for size in input_shape)
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: expected one of {LAYOUTS}")
    placed = placement(device, dtype)
    elements = prod(shape)
    step = max(1, BATCH // elements)
    columns = []
    for start in range(0, elements, step):
        count = min(step, elements - start)
        units = torch.zeros(count, elements, **placed)
        units[range(count), range(start, start + count)] = 1
        outputs = _batch(function, units.reshape(count, *shape))
        columns.append(outputs if layout is torch.strided else outputs.to_sparse())
    matrix = torch.cat(columns).T
    _check_linear(function, matrix, shape)
    return matrix.contiguous() if layout is torch.strided else _stored(matrix, layout)


def _batch(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    outputs = function(images)
    if not isinstance(outputs, Tensor) or outputs.shape[:1] != images.shape[:1]:
        given = (
            f"shape {tuple(outputs.shape)}"
            if isinstance(outputs, Tensor)
            else f"a {type(outputs).__name__}"
        )
        raise TypeError(
            f"function={function!r}: expected a batch of {len(images)} for a batch of "
            f"{len(images)}, not {given}"
        )
    return outputs.flatten(1)


@torch.no_grad()
def _check_linear(
    function: Callable[[Tensor], Tensor], matrix: Tensor, shape: tuple[int, ...]
) -> None:
    probe = torch.arange(1, prod(shape) + 1, dtype=matrix.dtype, device=matrix.device)
    moved = _batch(function, torch.zeros_like(probe).reshape(1, *shape))
    expected = f"function={function!r}: expected a linear function"
    if moved.ne(0).any():
        raise ValueError(f"{expected}, but it moves zero, as one with a bias does")
    found = _batch(function, probe.cos().reshape(1, *shape))[0]
    largest = max(found.abs().tolist(), default=0.0)
    rounding = 100 * torch.finfo(matrix.dtype).eps * largest
    if not torch.allclose(matrix @ probe.cos(), found, atol=rounding):
        raise ValueError(expected)


def _stored(matrix: Tensor, layout: torch.layout) -> Tensor:
    matrix = matrix.coalesce()
    if layout is torch.sparse_coo:
        return matrix
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the layout new, once a process
        return matrix.to_sparse_csr()


def taps(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Return which pixel each kernel position reads at each output position, along one axis.

    The result is (K, size_out, size), float64, and

        taps[k, i, p] = 1 if p == S * i + D * k - P else 0

    One matrix for each kernel position ``k``: a diagonal, moved by ``D * k - P`` and, with
    a stride, flatter: ``S`` columns on for each row. Rows that would read outside the image are 0.

    Raises ``ValueError`` if an argument is too small or the kernel does not fit.

    >>> taps(4, kernel_size=2, dilation=2).int()
    tensor([[[1, 0, 0, 0],
             [0, 1, 0, 0]],
    <BLANKLINE>
            [[0, 0, 1, 0],
             [0, 0, 0, 1]]], dtype=torch.int32)
    """
    size = conv_output_size(input_size, kernel_size, stride, padding, dilation)
    k, i, p = torch.meshgrid(
        *map(torch.arange, (kernel_size, size, input_size)), indexing="ij"
    )
    return (p == stride * i + dilation * k - padding).double()


def conv2d_matrix(
    weight: Tensor,
    input_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the matrix of a convolution, written down from its weights.

    ``weight`` is (C_out, C_in / groups, K_h, K_w), ``input_size`` the image's (height,
    width); the result is (C_out * H_out * W_out, C_in * H * W), of the weight's dtype and
    on its device. One entry joins an output value (o, i, j) and an input value (c, p, q):

        matrix[o, i, j; c, p, q] = sum over u, v of  weight[o, c, u, v] * E[u, i, p] * F[v, j, q]

    with `E` and `F` the ``taps`` of rows and columns, and weights of 0 between groups.
    The matrix of the transposed convolution is the transpose.

    Raises ``ValueError`` if shapes or arguments do not fit, ``TypeError`` if ``weight`` is
    no floating-point tensor.

    >>> conv2d_matrix(torch.tensor([[[[1.0, 2.0]]]]), (1, 4), dilation=(1, 2))
    tensor([[1., 0., 2., 0.],
            [0., 1., 0., 2.]])
    """
    tensors(weight=weight)
    axes("weight", weight, "(C_out, C_in, K_h, K_w)")
    groups = integer("groups", groups, minimum=1)
    divides("groups", groups, **{"weight's C_out": len(weight)})
    size = pair("input_size", input_size, minimum=1)
    stride = pair("stride", stride, minimum=1)
    padding = pair("padding", padding, minimum=0)
    dilation = pair("dilation", dilation, minimum=1)
    kernel_size = weight.shape[2:]
    per_axis = zip(size, kernel_size, stride, padding, dilation, strict=True)
    E, F = (taps(*along).to(weight) for along in per_axis)
    full = _between_groups(weight, groups)
    joined = torch.einsum("ocuv,uip,vjq->oijcpq", full, E, F)
    return joined.flatten(3).flatten(0, 2)


def _between_groups(weight: Tensor, groups: int) -> Tensor:
    """Put zeros where filters and channels of different groups would meet."""
    blocks = weight.unflatten(0, (groups, -1))
    together = weight.new_zeros(groups, blocks.shape[1], groups, *weight.shape[1:])
    together[range(groups), :, range(groups)] = blocks
    return together.flatten(2, 3).flatten(0, 1)


def family(
    input_size: IntOrPair = (3, 4), channels: int = 4, groups: int = 2
) -> dict[str, list[Tensor]]:
    """Return the nine variants as matrices, all square and of one size, with numbered weights.

    Each layer has ``channels`` input and output channels, a 3×3 kernel and as much padding
    as keeps the size. Its weights are the numbers 1, 2, 3 and so on, so that an entry says
    which weight stands there. A variant of two steps is two matrices, whose product is the
    layer, the second step first. A deformable entry ``k - 1 + s`` is the share ``s`` of
    weight ``k``, the nearest of those that an offset, drawn at random, brings to a pixel.

    Raises ``ValueError`` or ``TypeError`` if an argument is too small or no integer, or if
    ``groups`` does not divide ``channels``.

    >>> matrices = family()
    >>> {name: len(factors) for name, factors in matrices.items() if len(factors) > 1}
    {'spatially separable': 2, 'depthwise separable': 2}
    >>> matrices["depthwise"][0].shape, int(matrices["depthwise"][0].max())
    (torch.Size([48, 48]), 36)
    """
    size = pair("input_size", input_size, minimum=1)
    C = integer("channels", channels, minimum=1)
    groups = integer("groups", groups, minimum=1)
    divides("groups", groups, channels=C)

    def of(layer: Callable[..., Tensor], *weight: int, **options: object) -> Tensor:
        numbers = torch.arange(1.0, 1 + prod(weight)).double().reshape(weight)
        return as_matrix(partial(layer, weight=numbers, **options), (C, *size))

    depthwise = of(depthwise_conv2d, C, 1, 3, 3, padding=1)
    pointwise = of(pointwise_conv2d, C, C, 1, 1)
    return {
        "standard": [of(conv2d, C, C, 3, 3, padding=1)],
        "dilated": [of(dilated_conv2d, C, C, 3, 3, padding=2, dilation=2)],
        "transposed": [of(conv_transpose2d, C, C, 3, 3, padding=1)],
        "deformable": [_nearest_weights(C, size)],
        "grouped": [of(grouped_conv2d, C, C // groups, 3, 3, padding=1, groups=groups)],
        "depthwise": [depthwise],
        "pointwise": [pointwise],
        "spatially separable": [
            of(conv2d, C, C, 1, 3, padding=(0, 1)),
            of(conv2d, C, C, 3, 1, padding=(1, 0)),
        ],
        "depthwise separable": [pointwise, depthwise],
    }


def _nearest_weights(C: int, size: tuple[int, int]) -> Tensor:
    """Return for each entry of a 3×3 deformable layer the weight of the largest share."""
    one_each = torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    random = torch.rand(1, 18, *size, generator=torch.Generator().manual_seed(3))
    offset = 1.6 * random.double() - 0.8

    def sampled(x: Tensor) -> Tensor:
        return deform_conv2d(x, offset.expand(len(x), -1, -1, -1), one_each, padding=1)

    shares, taps_ = as_matrix(sampled, (1, *size)).unflatten(0, (9, -1)).max(dim=0)
    shares = shares.mul(20).round() / 20
    blocks = [
        torch.where(shares > 0, 9 * block + taps_ + shares, 0) for block in range(C * C)
    ]
    return torch.cat([torch.cat(blocks[o * C :][:C], dim=1) for o in range(C)])
