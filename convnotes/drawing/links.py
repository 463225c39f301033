"""Who reads whom: stacks of layers, and the map of the variants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from convnotes.drawing.canvas import (
    INK,
    INPUT,
    KERNEL,
    OUTPUT,
    canvas,
    cell,
    dots,
    finished,
    line,
    write,
)


def stack(
    layers: Sequence[Sequence[Sequence[int]]], sizes: Sequence[int], of: int
) -> Figure:
    """Draw a stack of 1-D layers, and what the output position ``of`` sees through them.

    ``layers[l][i]`` lists the positions of layer ``l``'s input that its output position
    ``i`` reads; ``sizes`` are the numbers of positions from the input to the last output.
    """
    gap, widest = 2.2, max(sizes)
    axes = canvas(widest + 5.2, gap * len(layers) + 1)
    seen = {of}
    for level in range(len(layers), -1, -1):
        y = gap * (len(layers) - level)
        offset = (widest - sizes[level]) / 2
        color = OUTPUT if level == len(layers) else INPUT
        name = {0: "input", len(layers): "output"}.get(level, f"after layer {level}")
        write(axes, widest + 0.5, y + 0.5, name, 10, "left")
        below = layers[level - 1] if level else []
        for position in range(sizes[level]):
            cell(
                axes, (position + offset, y), color, 0.75 if position in seen else 0.12
            )
            for read in below[position] if level else []:
                start = position + offset + 0.5
                end = read + (widest - sizes[level - 1]) / 2 + 0.5
                line(
                    axes,
                    (start, end),
                    (y + 1, y + gap),
                    INK if position in seen else "#CCCCCC",
                )
        seen = {
            read for position in seen for read in (below[position] if level else [])
        }
    return finished(axes)


def variants(
    named: Mapping[str, tuple[Any, Any]],
    written: Sequence[str] = (),
    side: int = 7,
    columns: int = 3,
    captions: bool = True,
) -> Figure:
    """Draw a tile for each variant: where it looks, and which channels mix.

    Each value is a pair. First the (row, column) positions read, on a grid of ``side``
    cells, whole or not; then one or two matrices of links (C_out, C_in), step by step.
    The variants in ``written`` write to those positions instead of reading them. Without
    ``captions`` the tiles bear no names.
    """
    cell, links_x, width = 0.55, 5.0, 9.4
    top, height = (1.1, 5.7) if captions else (0.1, 4.7)
    rows = -(-len(named) // columns)
    axes = canvas(columns * width - 1.0, rows * height - 0.4, scale=0.25)
    for number, (name, (positions, steps)) in enumerate(named.items()):
        x, y = number % columns * width, number // columns * height
        if captions:
            write(axes, x, y + 0.4, name, 11, "left", weight="bold")
        for at in cell * np.arange(side + 1):
            line(axes, (x, x + side * cell), (y + top + at, y + top + at), "#BBBBBB")
            line(axes, (x + at, x + at), (y + top, y + top + side * cell), "#BBBBBB")
        centres = (np.asarray(positions) + 0.5) * cell
        color = OUTPUT if name in written else INPUT
        axes.plot(
            x + centres[:, 1], y + top + centres[:, 0], "o", color=color, markersize=5.5
        )
        spread = 2.7 / len(steps)
        for level, step in enumerate(steps):
            start = x + links_x + level * spread
            for o, c in np.argwhere(step):
                line(
                    axes,
                    (start, start + spread),
                    (y + top + 0.4 + c, y + top + 0.4 + o),
                    KERNEL,
                )
            if level == 0:
                dots(axes, start, y + top + 0.4, np.shape(step)[1], INPUT)
            dots(axes, start + spread, y + top + 0.4, len(step), OUTPUT)
    return finished(axes)
