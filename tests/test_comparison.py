"""The comparison says of every variant what its function does, on sizes that differ."""

from collections.abc import Callable
from functools import partial
from typing import Any

import nbformat
import pytest
import torch
from book_checks import ROOT
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.comparison import Comparison, compare
from convnotes.deformable import deform_conv2d

C_IN, C_OUT, KERNEL, SIZE = 4, 6, (5, 3), (15, 14)
STRIDE, DILATION, GROUPS = (2, 3), (2, 3), 2


def torchs() -> dict[str, nn.Module]:
    """Return torch's layer for each variant that torch has."""
    conv = partial(nn.Conv2d, bias=False, dtype=torch.float64)
    transposed = partial(nn.ConvTranspose2d, bias=False, dtype=torch.float64)
    sizes, own, half = (C_IN, C_OUT, KERNEL), (C_IN, C_IN, KERNEL), (2, 1)
    return {
        "standard": conv(*sizes, padding=half),
        "dilated": conv(*sizes, padding=(4, 3), dilation=DILATION),
        "transposed": transposed(*sizes, STRIDE, (2, 0), output_padding=(1, 0)),
        "spatially separable": nn.Sequential(
            conv(C_IN, C_OUT, (5, 1), padding=(2, 0)),
            conv(C_OUT, C_OUT, (1, 3), padding=(0, 1)),
        ),
        "depthwise": conv(*own, padding=half, groups=C_IN),
        "pointwise": conv(C_IN, C_OUT, 1),
        "depthwise separable": nn.Sequential(
            conv(*own, padding=half, groups=C_IN), conv(C_IN, C_OUT, 1)
        ),
        "grouped": conv(*sizes, padding=half, groups=GROUPS),
    }


def parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


@pytest.fixture
def compared() -> Comparison:
    return compare(
        C_IN, C_OUT, KERNEL, SIZE, stride=STRIDE, dilation=DILATION, groups=GROUPS
    )


def reads(function: Callable[[Tensor], Tensor], at: tuple[int, int]) -> tuple[int, ...]:
    """Return how many channels, rows and columns an output value depends on, by gradients."""
    x = torch.randn(1, C_IN, *SIZE, dtype=torch.float64, requires_grad=True)
    function(x)[0, 0, at[0], at[1]].backward()
    assert x.grad is not None
    channels, rows, columns = x.grad[0].nonzero(as_tuple=True)
    return (
        len(channels.unique()),
        int(rows.max() - rows.min()) + 1,
        int(columns.max() - columns.min()) + 1,
    )


@pytest.mark.parametrize("name", torchs())
def test_a_row_is_what_torchs_layer_does(compared: Comparison, name: str) -> None:
    layer, row = torchs()[name], compared[name]
    x = torch.randn(1, C_IN, *SIZE, dtype=torch.float64)
    with FlopCounterMode(display=False) as counter:
        output = layer(x)
    assert row.output_shape == output.shape[1:]
    assert row.cost.params == parameters(layer)
    assert row.cost.macs == counter.get_total_flops() / 2
    # Away from the border; of the transposed one, the outputs take turns.
    middle = [(i, j) for i in range(10, 12) for j in range(9, 12)]
    channels, rows, columns = zip(*(reads(layer, at) for at in middle), strict=True)
    assert max(channels) == row.channels
    assert (max(rows), max(columns)) == row.field


def test_the_deformable_row_is_the_layer_with_its_offsets(compared: Comparison) -> None:
    to_offset = nn.Conv2d(C_IN, 2 * 15, KERNEL, padding=(2, 1))
    full = nn.Conv2d(C_IN, C_OUT, KERNEL, padding=(2, 1), bias=False)
    x = torch.randn(1, C_IN, *SIZE)
    with FlopCounterMode(display=False) as counter:
        offset = to_offset(x)
        full(x)  # the contraction
    output = deform_conv2d(x, offset, full.weight, padding=(2, 1))
    row = compared["deformable"]
    assert row.output_shape == output.shape[1:]
    assert row.channels == C_IN
    assert row.field is None
    assert row.cost.params == parameters(full) + parameters(to_offset)
    samples = C_IN * offset.numel() // 2
    assert row.cost.macs == counter.get_total_flops() / 2 + 4 * samples
    first = x.numel() + parameters(to_offset) + offset.numel()
    second = x.numel() + offset.numel() + parameters(full) + output.numel()
    assert row.cost.elements_moved == first + second


def test_the_elements_that_one_layer_moves_are_counted_once(
    compared: Comparison,
) -> None:
    for name in ("standard", "dilated", "transposed", "depthwise", "grouped"):
        row, weights = compared[name], parameters(torchs()[name])
        outputs = torch.empty(row.output_shape).numel()
        assert row.cost.elements_moved == C_IN * 15 * 14 + weights + outputs


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7])
def test_the_transposed_variant_enlarges_as_often_as_it_is_told(stride: int) -> None:
    for kernel_size in (1, 3, 5):
        row = compare(4, 8, kernel_size, (6, 5), stride=stride)["transposed"]
        assert row.output_shape == (8, 6 * stride, 5 * stride)
        assert row.cost.macs == 4 * 8 * kernel_size**2 * 6 * 5


def test_it_is_shown_as_a_table_of_the_same_cells_in_text_and_in_markdown(
    compared: Comparison,
) -> None:
    text, markdown = (
        repr(compared).splitlines(),
        compared._repr_markdown_().splitlines(),
    )
    assert len(text) == len(markdown) - 1 == len(compared) + 1
    for plain_row, row in zip(text, [markdown[0], *markdown[2:]], strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert plain_row.split() == " ".join(cells).split()
    macs = compared["grouped"].cost.macs
    assert (
        f"| grouped | full grid | 5×3 | within 2 groups | 180 | {macs:,} |"
        in (markdown[9])
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 8, 3, 9), {}, "in_channels=0"),
        ((8, 0, 3, 9), {}, "out_channels=0"),
        ((8, 8, 4, 9), {}, "kernel_size=4"),
        ((8, 8, (3, 2), 9), {}, r"kernel_size=\(3, 2\)"),
        ((8, 8, 3, 0), {}, "input_size=0"),
        ((8, 8, 3, 9), {"stride": 0}, "stride=0"),
        ((8, 8, 3, 9), {"dilation": 0}, "dilation=0"),
        ((8, 8, 3, 9), {"groups": 3}, "groups=3"),
    ],
)
def test_an_impossible_size_is_named(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(*arguments, **options)


@pytest.mark.parametrize(
    "sizes",
    [
        {"C_in": 24, "C_out": 48, "kernel_size": (5, 3), "input_size": (20, 31)},
        {"C_in": 2, "C_out": 2, "kernel_size": 1, "groups": 1, "stride": 3},
    ],
)
def test_every_cell_of_the_page_works_with_a_readers_sizes(
    sizes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = nbformat.read(ROOT / "book" / "comparison.ipynb", as_version=4)
    monkeypatch.chdir(ROOT / "book")  # where its kernel runs
    names: dict[str, Any] = {}
    changed = 0
    for cell in page.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if cell.source.startswith("C_in, C_out ="):
                names |= sizes
                changed += 1
    assert changed == 1
    assert names["variants"]["standard"].output_shape[0] == sizes["C_out"]
