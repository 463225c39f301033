"""What a layer costs: parameters, multiply-accumulates, elements moved.

The one formula of the package: **every weight is used once at every position**,
so MACs = weights x positions. A variant changes how many weights there are
(grouping) or how many positions (stride); nothing else enters.
"""

from dataclasses import dataclass
from math import prod

from convnotes.arguments import IntOrPair, divides, flag, integer, pair
from convnotes.shapes import conv_output_size


@dataclass(frozen=True)
class Cost:
    """Cost of a layer for one image.

    ``params`` counts weights and biases; ``macs`` counts multiply-accumulates, of
    which one is two floating-point operations, and a bias none; ``elements_moved``
    counts the elements of the input, the parameters and the output, each once: the
    least that a layer which reads all of its input can move.

    Costs add up along a network.

    >>> layer = Cost(params=112, macs=1000, elements_moved=500)
    >>> layer + layer
    Cost(params=224, macs=2000, elements_moved=1000)
    >>> layer.intensity
    2.0
    >>> sum([layer, layer, layer]).macs
    3000
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

    def __radd__(self, other: object) -> "Cost":
        return self if other == 0 else NotImplemented  # sum() starts from 0

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


def convolution_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = False,
) -> Cost:
    """Count what a layer that gathers costs for one image; the variants' costs call this.

    Weights are ``C_out * (C_in / groups) * K_h * K_w``, used at each of the
    ``H_out * W_out`` output positions; padded zeros are multiplied like any other value.

    Raises ``ValueError`` if an argument is too small, the kernel does not fit, or
    ``groups`` does not divide the channels.

    >>> convolution_cost(8, 8, kernel_size=3, input_size=(32, 32), groups=4)
    Cost(params=144, macs=129600, elements_moved=15536)
    """
    in_channels = integer("in_channels", in_channels, minimum=1)
    out_channels = integer("out_channels", out_channels, minimum=1)
    groups = integer("groups", groups, minimum=1)
    divides("groups", groups, in_channels=in_channels, out_channels=out_channels)
    kernel_size = pair("kernel_size", kernel_size, minimum=1)
    input_size = pair("input_size", input_size, minimum=1)
    height, width = map(
        conv_output_size,
        input_size,
        kernel_size,
        pair("stride", stride, minimum=1),
        pair("padding", padding, minimum=0),
        pair("dilation", dilation, minimum=1),
    )
    return layer_cost(
        weight_shape=(out_channels, in_channels // groups, *kernel_size),
        positions=(height, width),
        input_shape=(in_channels, *input_size),
        output_shape=(out_channels, height, width),
        bias=flag("bias", bias),
    )
