"""What a layer costs: parameters, multiply-accumulates, elements moved.

The one formula of the package: **every weight is used once at every position**,
so MACs = weights x positions. A variant changes how many weights there are
(grouping) or how many positions (stride); nothing else enters.
"""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Cost:
    """Cost of a layer for one image.

    ``params`` counts weights and biases; ``macs`` counts multiply-accumulates, of
    which one is two floating-point operations, and a bias none; ``elements_moved``
    counts the elements of the input, the parameters and the output, each once: the
    least that a layer which keeps nothing from before can read and write.

    Costs add up along a network.

    >>> layer = Cost(params=112, macs=1000, elements_moved=500)
    >>> layer + layer
    Cost(params=224, macs=2000, elements_moved=1000)
    >>> layer.intensity
    2.0
    """

    params: int = 0
    macs: int = 0
    elements_moved: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.elements_moved + other.elements_moved,
        )

    __radd__ = __add__

    @property
    def intensity(self) -> float:
        """MACs per element moved: how much work each memory access feeds."""
        return self.macs / self.elements_moved


def layer_cost(
    weight_shape: tuple[int, ...],
    positions: tuple[int, int],
    input_shape: tuple[int, int, int],
    output_shape: tuple[int, int, int],
    bias: bool = False,
) -> Cost:
    """Cost of a layer whose every weight is used once at each of ``positions``.

    ``positions`` is (height, width) of the map over which the weights are applied: the
    output's for a convolution, the input's for a transposed one. The other two are
    (C, H, W) of one image. A bias is one parameter for each output channel and no MAC.

    >>> layer_cost((4, 3, 3, 3), (64, 64), (3, 64, 64), (4, 64, 64))
    Cost(params=108, macs=442368, elements_moved=28780)
    """
    weights = prod(weight_shape)
    params = weights + (output_shape[0] if bias else 0)
    return Cost(
        params=params,
        macs=weights * prod(positions),
        elements_moved=prod(input_shape) + params + prod(output_shape),
    )
