"""Samples of an image: where a kernel's samples are taken, and what one is worth."""

from collections.abc import Mapping
from math import floor
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convnotes.drawing.canvas import (
    INK,
    INPUT,
    KERNEL,
    OUTPUT,
    canvas,
    finished,
    grid,
    number,
    tint,
    write,
)
from convnotes.drawing.charts import runs


def sample(input: Any, position: tuple[float, float], value: float) -> Figure:
    """Draw what a sample between pixels is worth: four pixels, each by its share of a square.

    ``input`` (H, W) is an array of one channel; the square, as large as a pixel, lies with
    its centre at ``position``, a row and a column, and ``value`` is the sample's.
    """
    input, (y, x) = np.asarray(input), position
    rows, columns = input.shape
    around = [
        (p, q)
        for p in (floor(y), floor(y) + 1)
        for q in (floor(x), floor(x) + 1)
        if 0 <= p < rows and 0 <= q < columns
    ]
    axes = canvas(columns + 8.5, max(rows, len(around)) + 1.2)
    title = f"input, sampled at row {number(y)}, column {number(x)}"
    write(axes, 0, 0.5, title, 10, "left")
    grid(axes, (0, 1), input, INPUT, "", strong=around)
    style: Any = {"edgecolor": KERNEL, "linewidth": 2.2, "zorder": 3}
    axes.add_patch(Rectangle((x, y + 1), 1, 1, facecolor="none", **style))
    axes.plot(x + 0.5, y + 1.5, "o", color=KERNEL, markersize=5, zorder=4)
    top = 1 + max(0, rows - len(around)) / 2
    for line, (p, q) in enumerate(around):
        parts = f"{number(1 - abs(y - p))} · {number(1 - abs(x - q))}"
        sign = "+ " if line else "    "
        term = f"{sign}{parts} · {number(input[p, q])}"
        if line == len(around) - 1:
            term += f"  =  {number(value)}"
        write(axes, columns + 1, top + line + 0.5, term, 10.5, "left")
    return finished(axes)


def moves(
    image: Any,
    named: Mapping[str, tuple[Any, Any]],
    centre: tuple[float, float],
    levels: int = 6,
    columns: int = 3,
) -> Figure:
    """Draw where samples are moved to, as arrows on a grey image, once for each name.

    Each value is a pair of arrays (..., 2), the rows and columns from which and to which;
    ``centre`` is the output position. The image (H, W), brightest where it is largest, is
    drawn pale, so that the arrows stand out.
    """
    image = np.asarray(image, dtype=float)
    span = image.max() - image.min() or 1.0
    greys = np.rint((image - image.min()) / span * (levels - 1)).astype(int)
    columns = min(columns, len(named))
    rows = -(-len(named) // columns)
    width = min(7.2, 2.7 * columns)
    height = width / columns * image.shape[0] / image.shape[1] + 0.3
    figure = Figure(figsize=(width, rows * height))
    for place, (name, (starts, ends)) in enumerate(named.items(), start=1):
        axes = figure.add_subplot(rows, columns, place, aspect="equal")
        axes.set_title(name, size=10)
        axes.axis((0, image.shape[1], image.shape[0], 0))
        axes.axis("off")
        for level in range(levels):
            grey = str(round(0.55 + 0.42 * level / (levels - 1), 3))
            runs(axes, greys == level, grey)
        middle = np.add(centre, 0.5)  # of a pixel
        axes.plot(*middle[::-1], "s", color=OUTPUT, markersize=11, zorder=1.5)
        arrows(axes, *(np.reshape(points, (-1, 2)) + 0.5 for points in (starts, ends)))
    figure.tight_layout(pad=0.3)
    return figure


def arrows(axes: Axes, starts: np.ndarray, ends: np.ndarray) -> None:
    """Draw a hollow dot at each start, a full one at each end, and an arrow between them."""
    arrow: Any = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.9}
    arrow |= {"facecolor": INK, "edgecolor": INK, "shrinkA": 0, "shrinkB": 3}
    for start, end in zip(starts, ends, strict=True):
        if (start != end).any():
            axes.annotate("", end[::-1], start[::-1], arrowprops=arrow)
    hollow: Any = {
        "markerfacecolor": "white",
        "markeredgecolor": INK,
        "markersize": 3.5,
    }
    axes.plot(starts[:, 1], starts[:, 0], "o", **hollow, markeredgewidth=0.7)
    full: Any = {"markerfacecolor": KERNEL, "markeredgecolor": INK, "markersize": 6}
    axes.plot(ends[:, 1], ends[:, 0], "o", **full, markeredgewidth=0.7)


def layout(named: Mapping[str, Any]) -> Figure:
    """Draw which channels hold the two offsets of each kernel position, side by side.

    Each value is an array (K_h, K_w, 2) of channel numbers: of Δy, then of Δx.
    """
    arrays = [np.asarray(array) for array in named.values()]
    size, gap = 1.9, 1.0
    width = sum(size * array.shape[1] + gap for array in arrays) - gap
    axes = canvas(width, 1 + size * max(len(array) for array in arrays), scale=0.32)
    x = 0.0
    for name, array in zip(named, arrays, strict=True):
        write(axes, x + size * array.shape[1] / 2, 0.45, name, 10)
        for u, v in np.ndindex(array.shape[:2]):
            corner = (x + size * v, 1 + size * u)
            fill: Any = {"facecolor": tint(KERNEL, 0.16), "edgecolor": KERNEL}
            axes.add_patch(Rectangle(corner, size, size, linewidth=0.8, **fill))
            for line, (axis, channel) in enumerate(zip("yx", array[u, v], strict=True)):
                below = corner[1] + size * (0.3 + 0.42 * line)
                write(axes, corner[0] + 0.35, below, f"Δ{axis}", 9.5, "left")
                write(axes, corner[0] + size - 0.3, below, str(channel), 9.5, "right")
        x += size * array.shape[1] + gap
    return finished(axes)
