"""The family portrait: matrices side by side, each weight in a colour of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline

from convnotes.drawing.canvas import INPUT, OUTPUT, finished, tint, write

FILTERS = ("#8F7A00", "#CB6F00", "#CC4712", "#BC2C4C")  # yellow to red: all are kernels
POINT = 1 / 72  # inches
UNIT = 3  # points a cell: whole numbers keep the file small


def portrait(
    named: Mapping[str, Sequence[Any]],
    blocks: int,
    columns: int = 4,
    notes: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
) -> Figure:
    """Draw square matrices of one size: each variant's matrix, or its factors, under its name.

    In a matrix of a variant with n weights, an entry ``k`` says that weight ``k``, from 1
    to n, stands there, and ``k - 1 + s`` that only a share ``s`` of it does; 0 is blank.
    ``blocks`` is the number of channels, on either side, and of the filters, whose
    weights are numbered one filter after the other. The ``notes`` are written below the
    matrices, the ``key`` where a row leaves a place free.
    """
    rows: list[list[str]] = [[]]
    for name in named:
        if sum(len(named[other]) for other in (*rows[-1], name)) > columns:
            rows.append([])
        rows[-1].append(name)
    side = len(next(iter(named.values()))[0])
    across, down = side + 14, side + 23
    axes = _whole_page(columns * across - 10, len(rows) * down)
    for number, row in enumerate(rows):
        x, y = 2, number * down + 9
        for name in row:
            write(axes, x, y - 4.5, name, 16, "left", weight="bold")
            write(axes, x, y + side + 5, (notes or {}).get(name, ""), 12, "left")
            for place, factor in enumerate(named[name]):
                if place:
                    write(axes, x - 7, y + side / 2, "×", 17)
                tile(axes, (x, y), np.asarray(factor), blocks)
                x += across
        if x < columns * across - 10:
            for line, text in enumerate(key):
                write(axes, x, y + 4 + 7.5 * line, text, 11.5, "left")
            key = ()
    return finished(axes)


def _whole_page(width: int, height: int) -> Axes:
    """Return axes that fill the page and count in units, with a frame that cannot be seen.

    The frame is what the page is cut to, so that all coordinates stay short.
    """
    figure = Figure(figsize=(width * UNIT * POINT, height * UNIT * POINT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis((0, width, height, 0))
    axes.axis("off")
    axes.add_patch(Rectangle((0, 0), width, height, facecolor="none", linewidth=0))
    return axes


def tile(axes: Axes, corner: tuple[int, int], matrix: np.ndarray, blocks: int) -> None:
    """Draw one matrix: a cell an entry, and lines between the blocks."""
    (x, y), side = corner, len(matrix)
    weights = np.ceil(matrix).astype(int)
    cells: dict[str, list[tuple[int, int]]] = {}
    for i, j in np.argwhere(weights):
        share = matrix[i, j] - weights[i, j] + 1
        shade = color(weights[i, j], weights.max(), blocks, share)
        cells.setdefault(shade, []).append((y + i, x + j))
    for (
        shade,
        places,
    ) in cells.items():  # a stroke a cell, a colour's strokes in one path
        ends = [(j + end, i + 0.5) for i, j in places for end in (0, 1)]
        strokes = Outline(ends, [Outline.MOVETO, Outline.LINETO] * len(places))
        axes.add_patch(
            PathPatch(
                strokes,
                fill=False,
                edgecolor=shade,
                linewidth=UNIT,
                capstyle="butt",
                clip_on=False,
            )
        )
    for k in range(0, side + 1, side // blocks):
        border = k in (0, side)
        for color_, line in (
            (INPUT, ([x + k, x + k], [y, y + side])),
            (OUTPUT, ([x, x + side], [y + k, y + k])),
        ):
            axes.plot(*line, color=color_ if border else "#BBBBBB", linewidth=0.6)


def color(weight: int, weights: int, filters: int, share: float) -> str:
    """Return a weight's colour, a hue for each filter and then a strength, all different."""
    each = weights // filters
    of_filter, of_weight = divmod(weight - 1, each)
    golden = (of_weight * 0.618034 + 0.5) % 1  # neighbours far apart, none the same
    strength = (0.42 + 0.56 * golden) * (0.2 + 0.8 * share)
    if share < 1:  # fewer shades, and so a smaller file
        strength = max(0.06, round(strength / 0.06) * 0.06)
    red, green, blue = tint(FILTERS[of_filter * len(FILTERS) // filters], strength)
    return to_hex((red, green, blue))
