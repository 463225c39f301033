"""What ``profile`` returns: rows, their sums, and a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from convnotes.costs import Cost

if TYPE_CHECKING:
    import matplotlib.figure

Shape = tuple[int, ...]


class Row(NamedTuple):
    """One call that multiplies: a layer, or a product of two activations.

    >>> Row("conv1", "standard", (3, 8, 8), (4, 6, 6), Cost(params=108, macs=3888)).kind
    'standard'
    """

    name: str
    """The module that makes the call, as ``named_modules`` calls it."""
    kind: str
    """The variant, "linear", or the name of torch's function."""
    input_shape: Shape
    output_shape: Shape
    cost: Cost


@dataclass(frozen=True)
class Profile:
    """What ``profile`` found; prints as a table.

    >>> row = Row("conv1", "standard", (3, 8, 8), (4, 6, 6), Cost(params=108, macs=3888))
    >>> Profile((row,), {"BatchNorm2d": 8}, {"batch_norm": 1})
    name   kind      input  output  params   MACs
    conv1  standard  3×8×8  4×6×6      108  3,888
    total                              116  3,888
    parameters in no row: 8 in BatchNorm2d
    called and not counted: batch_norm (1)
    """

    rows: tuple[Row, ...]
    """The calls that multiply, in their order."""
    other_params: dict[str, int]
    """Parameters that are in no row, by the class of the module that has them."""
    not_counted: dict[str, int]
    """How often each other function that computes was called."""

    @property
    def params(self) -> int:
        """All parameters of the network, each counted once."""
        return sum(row.cost.params for row in self.rows) + sum(
            self.other_params.values()
        )

    @property
    def macs(self) -> int:
        """The multiply-accumulates of all rows."""
        return sum(row.cost.macs for row in self.rows)

    def by_kind(self) -> dict[str, Cost]:
        """Return the costs of the rows of each kind, added up.

        >>> row = Row("fc", "linear", (1, 3), (1, 2), Cost(params=8, macs=6))
        >>> Profile((row, row), {}, {}).by_kind()
        {'linear': Cost(params=16, macs=12, elements_moved=0)}
        """
        kinds = dict.fromkeys(row.kind for row in self.rows)
        return {
            kind: sum((row.cost for row in self.rows if row.kind == kind), Cost())
            for kind in kinds
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, as a data frame takes them.

        >>> row = Row("fc", "linear", (1, 3), (1, 2), Cost(params=8, macs=6))
        >>> Profile((row,), {}, {}).to_dicts()[0]["output_shape"]
        (1, 2)
        """
        return [
            {
                "name": row.name,
                "kind": row.kind,
                "input_shape": row.input_shape,
                "output_shape": row.output_shape,
                "params": row.cost.params,
                "macs": row.cost.macs,
                "elements_moved": row.cost.elements_moved,
            }
            for row in self.rows
        ]

    def draw(self) -> "matplotlib.figure.Figure":
        """Draw where along the network the MACs and the parameters are."""
        from convnotes.drawing import along_network

        return along_network(
            [row.kind for row in self.rows],
            {
                "MACs": [row.cost.macs for row in self.rows],
                "parameters": [row.cost.params for row in self.rows],
            },
        )

    def __str__(self) -> str:
        head = ("name", "kind", "input", "output", "params", "MACs")
        lines = [
            (
                *(
                    row.name,
                    row.kind,
                    _times(row.input_shape),
                    _times(row.output_shape),
                ),
                *(f"{row.cost.params:,}", f"{row.cost.macs:,}"),
            )
            for row in self.rows
        ]
        total = ("total", "", "", "", f"{self.params:,}", f"{self.macs:,}")
        table = [head, *lines, total]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        text = [
            "  ".join(
                cell.ljust(width) if place < 4 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        return "\n".join([*text, *self._left_out()])

    __repr__ = __str__

    def _left_out(self) -> list[str]:
        said = []
        if self.other_params:
            listed = (f"{n:,} in {name}" for name, n in self.other_params.items())
            said.append(f"parameters in no row: {', '.join(listed)}")
        if self.not_counted:
            listed = (f"{name} ({n})" for name, n in self.not_counted.items())
            said.append(f"called and not counted: {', '.join(listed)}")
        return said


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))
