"""The variants side by side at one size: what each costs, and what it sees of its input.

All take the same image, have no bias, and give a map as high and wide as the image; only
the transposed one, whose use is to enlarge, makes it ``stride`` times as large.
"""

from dataclasses import dataclass

from convnotes.arguments import IntOrPair, integer, pair
from convnotes.costs import Cost
from convnotes.deformable import deform_conv2d_cost
from convnotes.depthwise import depthwise_conv2d_cost
from convnotes.depthwise_separable import depthwise_separable_conv2d_cost
from convnotes.grouped import grouped_conv2d_cost
from convnotes.pointwise import pointwise_conv2d_cost
from convnotes.separable import spatially_separable_conv2d_cost
from convnotes.shapes import effective_kernel_size
from convnotes.standard import conv2d_cost
from convnotes.transposed import conv_transpose2d_cost

Pair = tuple[int, int]


@dataclass(frozen=True)
class Variant:
    """One variant at one size.

    >>> grouped = compare(16, 32, kernel_size=3, input_size=8, groups=2)["grouped"]
    >>> grouped.field, grouped.channels, grouped.output_shape
    ((3, 3), 8, (32, 8, 8))
    """

    looks: str
    """Where it looks, in words."""
    field: Pair | None
    """Rows and columns of the input that one output value can depend on, from the first to
    the last; of the output that depends on most. None: the input itself decides."""
    mixes: str
    """Which channels mix, in words."""
    channels: int
    """How many input channels one output value depends on."""
    output_shape: tuple[int, int, int]
    """(C, H, W) of one image."""
    cost: Cost
    """Of one image."""


class Comparison(dict[str, Variant]):
    """Variants by name. It prints as a table; a notebook shows it as one.

    >>> variants = compare(16, 32, kernel_size=3, input_size=8)
    >>> Comparison({name: variants[name] for name in ("standard", "depthwise")})
    variant    looks at   field  channels mixed  weights     MACs  moved  MACs/moved
    standard   full grid  3×3    all               4,608  294,912  7,680        38.4
    depthwise  full grid  3×3    none                144    9,216  2,192         4.2
    """

    def _rows(self) -> list[list[str]]:
        head = (
            "variant, looks at, field, channels mixed, weights, MACs, moved, MACs/moved"
        )
        rows = [head.split(", ")]
        for name, one in self.items():
            field = "any" if one.field is None else "×".join(map(str, one.field))
            cost = one.cost
            counts = [cost.params, cost.macs, cost.elements_moved]
            rows.append([name, one.looks, field, one.mixes])
            rows[-1] += [*(f"{count:,}" for count in counts), f"{cost.intensity:.1f}"]
        return rows

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                text.ljust(width) if at < 4 else text.rjust(width)
                for at, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )

    def _repr_markdown_(self) -> str:
        head, *rows = self._rows()
        rule = [":--"] * 4 + ["--:"] * (len(head) - 4)
        return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def compare(
    in_channels: int,
    out_channels: int,
    kernel_size: IntOrPair,
    input_size: IntOrPair,
    *,
    stride: IntOrPair = 2,
    dilation: IntOrPair = 2,
    groups: int = 4,
) -> Comparison:
    """Return what every variant costs and sees at one size.

    ``input_size`` is the image's (height, width) in pixels; ``kernel_size`` is odd, so that
    padding can keep the size. ``stride`` is that of the transposed variant, ``dilation``
    that of the dilated one, ``groups`` those of the grouped one. The depthwise variant has
    one kernel a channel, and so as many channels out as in; the spatially separable one
    has ``out_channels`` in the middle too. The deformable one is counted with the layer
    that makes its offsets, a standard one with a bias.

    Raises ``ValueError`` if an argument is too small, the kernel is even, or ``groups``
    does not divide the channels.

    >>> variants = compare(256, 256, kernel_size=3, input_size=56)
    >>> variants["standard"].cost.macs // variants["depthwise"].cost.macs
    256
    """
    C_in = integer("in_channels", in_channels, minimum=1)
    C_out = integer("out_channels", out_channels, minimum=1)
    K_h, K_w = kernel = pair("kernel_size", kernel_size, minimum=1)
    if not K_h % 2 == K_w % 2 == 1:
        raise ValueError(f"kernel_size={kernel_size!r}: expected odd numbers")
    H, W = size = pair("input_size", input_size, minimum=1)
    S_h, S_w = steps = pair("stride", stride, minimum=1)
    D_h, D_w = rates = pair("dilation", dilation, minimum=1)
    layer = C_in, C_out, kernel, size
    half = K_h // 2, K_w // 2
    same, wide = (C_out, H, W), (half[0] * D_h, half[1] * D_w)

    # The padding and output padding with which an axis becomes S times as large.
    (P_h, add_h), (P_w, add_w) = _enlarging(K_h, S_h), _enlarging(K_w, S_w)
    transposed = conv_transpose2d_cost(
        *layer, stride=steps, padding=(P_h, P_w), output_padding=(add_h, add_w)
    )
    standard = conv2d_cost(*layer, padding=half)
    dilated = conv2d_cost(*layer, padding=wide, dilation=rates)
    separable = spatially_separable_conv2d_cost(*layer, padding=half)
    depthwise = depthwise_conv2d_cost(C_in, kernel, size, padding=half)
    pointwise = pointwise_conv2d_cost(C_in, C_out, size)
    both_steps = depthwise_separable_conv2d_cost(*layer, padding=half)
    grouped = grouped_conv2d_cost(*layer, padding=half, groups=groups)
    offsets = conv2d_cost(C_in, 2 * K_h * K_w, kernel, size, padding=half, bias=True)
    deformed = deform_conv2d_cost(*layer, padding=half)

    spread = effective_kernel_size(K_h, D_h), effective_kernel_size(K_w, D_w)
    reached = -(-K_h // S_h), -(-K_w // S_w)  # under every S-th position of a kernel
    enlarged, alone = (C_out, S_h * H, S_w * W), (C_in, H, W)
    own, within = C_in // groups, f"within {groups} groups"
    grid = "full grid"
    return Comparison(
        {
            "standard": Variant(grid, kernel, "all", C_in, same, standard),
            "dilated": Variant("grid with gaps", spread, "all", C_in, same, dilated),
            "transposed": Variant(
                "writes a full grid", reached, "all", C_in, enlarged, transposed
            ),
            "spatially separable": Variant(
                "column, then row", kernel, "all, twice", C_in, same, separable
            ),
            "depthwise": Variant(grid, kernel, "none", 1, alone, depthwise),
            "pointwise": Variant("one position", (1, 1), "all", C_in, same, pointwise),
            "depthwise separable": Variant(
                "grid, then position", kernel, "none, then all", C_in, same, both_steps
            ),
            "grouped": Variant(grid, kernel, within, own, same, grouped),
            "deformable": Variant(
                "learned positions", None, "all", C_in, same, deformed + offsets
            ),
        }
    )


def _enlarging(kernel_size: int, stride: int) -> Pair:
    """Return the padding and the output padding that make an axis ``stride`` times as large."""
    padding = max(0, -((stride - kernel_size) // 2))
    return padding, stride - kernel_size + 2 * padding
