"""The book's pictures: numbers and arrays in, a matplotlib figure out.

Nothing is computed here that a page relies on. Colours mean the same everywhere:
blue is input, orange is kernel, green is output, grey is padding. They are Okabe
and Ito's, which readers with colour-blindness can tell apart, and every grid also
has its name above it.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.rcsetup import cycler

INPUT, KERNEL, OUTPUT, PADDING = "#0072B2", "#E69F00", "#009E73", "#8A8A8A"
INK = "#1F1F1F"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.color": "#D9D9D9",
    "lines.linewidth": 1.8,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "convnotes",
    "text.color": INK,
}
"""Matplotlib settings of every figure; the fixed salt makes the SVG the same every time."""

_CELL = 0.36  # inches a grid cell


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as SVG, the same bytes every time."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(
            path,
            format="svg",
            bbox_inches="tight",
            metadata={"Date": None, "Creator": None},
        )


def step(
    input: Any,
    kernel: Any,
    output: Any,
    position: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Figure:
    """Draw one output value: what the kernel covers, the products, and their sum.

    ``input`` (H, W), ``kernel`` (K_h, K_w) and ``output`` (H_out, W_out) are arrays of
    one channel; ``position`` is the (row, column) of the output value.
    """
    input, kernel, output = np.asarray(input), np.asarray(kernel), np.asarray(output)
    padded = np.pad(input, padding)
    reads = [
        (stride * position[0] + dilation * u, stride * position[1] + dilation * v)
        for u, v in np.ndindex(kernel.shape)
    ]
    (rows, columns), gap = padded.shape, 1.4
    middle, right = columns + gap, columns + kernel.shape[1] + 2 * gap
    height = max(rows, kernel.shape[0], output.shape[0])
    axes = _canvas(right + output.shape[1], height + 1.3 + 0.75 * kernel.shape[0])
    _grid(axes, (0, 1), padded, INPUT, "input", strong=reads, border=padding)
    _grid(
        axes,
        (middle, 1),
        kernel,
        KERNEL,
        "kernel",
        strong=list(np.ndindex(kernel.shape)),
    )
    _grid(axes, (right, 1), output, OUTPUT, "output", strong=[position])
    _write(axes, middle - gap / 2, 1 + height / 2, "∗", 16)
    _write(axes, right - gap / 2, 1 + height / 2, "=", 16)
    terms = [
        f"{_number(padded[y, x])} · {_factor(weight)}"
        for (y, x), weight in zip(reads, kernel.ravel(), strict=True)
    ]
    for u in range(kernel.shape[0]):
        line = " + ".join(terms[u * kernel.shape[1] : (u + 1) * kernel.shape[1]])
        line = ("+ " if u else "    ") + line
        if u == kernel.shape[0] - 1:
            line += f"  =  {_number(output[position])}"
        _write(axes, 0, height + 1.7 + 0.75 * u, line, 10.5, "left")
    return _figure(axes)


def channels(input: Any, weight: Any, output: Any) -> Figure:
    """Draw which channels mix: each row is one filter, each column one input channel.

    ``input`` is (C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``output``
    (C_out, H_out, W_out). Weights that are nan are left out: their channels do not mix.
    """
    input, weight, output = np.asarray(input), np.asarray(weight), np.asarray(output)
    C_out, C_in, K_h, K_w = weight.shape
    column = max(input.shape[2], K_w) + 1.6
    row = max(K_h, output.shape[1]) + 1.5
    top = input.shape[1] + 2.2
    axes = _canvas(C_in * column + output.shape[2] + 0.4, top + C_out * row - 0.4)
    for c in range(C_in):
        _grid(axes, (c * column, 1), input[c], INPUT, f"input channel {c}")
    for o in range(C_out):
        y = top + o * row
        for c in range(C_in):
            if not np.isnan(weight[o, c]).any():
                label = f"filter {o}, kernel {c}"
                _grid(axes, (c * column, y), weight[o, c], KERNEL, label, base=0.25)
            if c:
                _write(axes, c * column - (column - K_w) / 2, y + K_h / 2, "+", 14)
        _write(axes, C_in * column - (column - K_w) / 2, y + K_h / 2, "→", 14)
        _grid(axes, (C_in * column, y), output[o], OUTPUT, f"output channel {o}")
    return _figure(axes)


def grids(
    named: Mapping[str, Any], color: str = INPUT, border: Sequence[int] = ()
) -> Figure:
    """Draw several small 2-D arrays of numbers side by side, each under its name.

    Cells are tinted by their value. ``border``, one int for each array, says how many
    outer rows and columns are padding; a border of nan cells is left blank.
    """
    arrays = [np.asarray(array) for array in named.values()]
    borders = list(border) or [0] * len(arrays)
    axes = _canvas(
        sum(array.shape[1] for array in arrays) + 1.4 * (len(arrays) - 1),
        max(array.shape[0] for array in arrays) + 1,
    )
    x = 0.0
    for name, array, width in zip(named, arrays, borders, strict=True):
        _grid(axes, (x, 1), array, color, name, border=width, shade=True)
        x += array.shape[1] + 1.4
    return _figure(axes)


def stack(
    layers: Sequence[Sequence[Sequence[int]]], sizes: Sequence[int], of: int
) -> Figure:
    """Draw a stack of 1-D layers, and what the output position ``of`` sees through them.

    ``layers[l][i]`` lists the positions of layer ``l``'s input that its output position
    ``i`` reads; ``sizes`` are the numbers of positions from the input to the last output.
    """
    gap, widest = 2.2, max(sizes)
    axes = _canvas(widest + 5.2, gap * len(layers) + 1)
    seen = {of}
    for level in range(len(layers), -1, -1):
        y = gap * (len(layers) - level)
        offset = (widest - sizes[level]) / 2
        color = OUTPUT if level == len(layers) else INPUT
        name = {0: "input", len(layers): "output"}.get(level, f"after layer {level}")
        _write(axes, widest + 0.5, y + 0.5, name, 10, "left")
        below = layers[level - 1] if level else []
        for position in range(sizes[level]):
            _cell(
                axes, (position + offset, y), color, 0.75 if position in seen else 0.12
            )
            for read in below[position] if level else []:
                start = position + offset + 0.5
                end = read + (widest - sizes[level - 1]) / 2 + 0.5
                _line(
                    axes,
                    (start, end),
                    (y + 1, y + gap),
                    INK if position in seen else "#CCCCCC",
                )
        seen = {
            read for position in seen for read in (below[position] if level else [])
        }
    return _figure(axes)


def matrix(
    values: Any, labels: Any = None, input_size: int = 0, output_size: int = 0
) -> Figure:
    """Draw a matrix: one cell an entry, zeros left blank, equal values in equal colours.

    ``input_size`` and ``output_size`` rule a line after so many columns and rows, at the
    borders of image rows say. ``labels`` are the texts of the cells, where given.
    """
    values = np.asarray(values)
    rows, columns = values.shape
    different = [value for value in np.unique(values) if value]
    strength = dict(
        zip(different, np.linspace(0.25, 0.95, len(different)), strict=True)
    )
    axes = _canvas(columns, rows + 1, scale=min(_CELL, 7.2 / columns))
    title = f"one row an output ({rows}), one column an input ({columns})"
    _write(axes, columns / 2, 0.5, title, 10)
    for y, x in np.argwhere(values):
        _cell(axes, (x, y + 1), KERNEL, strength[values[y, x]], edge=False)
        if labels is not None:
            _write(axes, x + 0.5, y + 1.5, str(labels[y][x]), 10)
    for x in range(0, columns + 1, input_size or columns):
        _line(axes, (x, x), (1, rows + 1), INPUT)
    for y in range(0, rows + 1, output_size or rows):
        _line(axes, (0, columns), (y + 1, y + 1), OUTPUT)
    return _figure(axes)


def variants(
    named: Mapping[str, tuple[Any, Any]],
    written: Sequence[str] = (),
    side: int = 7,
    columns: int = 3,
) -> Figure:
    """Draw a tile for each variant: where it looks, and which channels mix.

    Each value is a pair. First the (row, column) positions read, on a grid of ``side``
    cells, whole or not; then one or two matrices of links (C_out, C_in), step by step.
    The variants in ``written`` write to those positions instead of reading them.
    """
    cell, links_x, width, height = 0.55, 5.0, 9.4, 5.7
    rows = -(-len(named) // columns)
    axes = _canvas(columns * width - 1.0, rows * height - 0.4, scale=0.25)
    for number, (name, (positions, steps)) in enumerate(named.items()):
        x, y = number % columns * width, number // columns * height
        _write(axes, x, y + 0.4, name, 11, "left", weight="bold")
        for at in cell * np.arange(side + 1):
            _line(axes, (x, x + side * cell), (y + 1.1 + at, y + 1.1 + at), "#BBBBBB")
            _line(axes, (x + at, x + at), (y + 1.1, y + 1.1 + side * cell), "#BBBBBB")
        centres = (np.asarray(positions) + 0.5) * cell
        color = OUTPUT if name in written else INPUT
        axes.plot(
            x + centres[:, 1], y + 1.1 + centres[:, 0], "o", color=color, markersize=5.5
        )
        spread = 2.7 / len(steps)
        for level, step in enumerate(steps):
            start = x + links_x + level * spread
            for o, c in np.argwhere(step):
                _line(axes, (start, start + spread), (y + 1.5 + c, y + 1.5 + o), KERNEL)
            if level == 0:
                _dots(axes, start, y + 1.5, np.shape(step)[1], INPUT)
            _dots(axes, start + spread, y + 1.5, len(step), OUTPUT)
    return _figure(axes)


def pictures(named: Mapping[str, Any], levels: int = 12) -> Figure:
    """Draw grey images side by side, the smallest value of each black and the largest white.

    Drawn as rectangles of ``levels`` greys rather than as a raster, whose compressed
    bytes would differ from one machine to another.
    """
    figure = Figure(figsize=(7.2, 7.2 / len(named) + 0.35))
    for number, (name, image) in enumerate(named.items(), start=1):
        image = np.asarray(image, dtype=float)
        span = image.max() - image.min() or 1.0
        greys = np.rint((image - image.min()) / span * (levels - 1)).astype(int)
        axes = figure.add_subplot(1, len(named), number, aspect="equal", title=name)
        axes.axis((0, image.shape[1], image.shape[0], 0))
        axes.axis("off")
        for level in range(levels):
            _runs(axes, greys == level, str(round(level / (levels - 1), 3)))
    figure.tight_layout(pad=0.3)
    return figure


def curves(
    named: Mapping[str, tuple[Any, Any]], xlabel: str, ylabel: str, **axis: Any
) -> Figure:
    """Draw curves, each (x values, y values) under its name, with different markers.

    Further keywords are axis properties: ``yscale="log"``, ``title=...``.
    """
    figure = Figure(figsize=(5.6, 3.2))
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel, **axis)
    for marker, (name, (x, y)) in zip("osD^v", named.items(), strict=False):
        axes.plot(x, y, marker=marker, markersize=5, label=name)
    axes.legend(frameon=False)
    figure.tight_layout(pad=0.4)
    return figure


def _canvas(width: float, height: float, scale: float = _CELL) -> Axes:
    figure = Figure(figsize=(width * scale, height * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis((-0.06, width + 0.06, height + 0.06, -0.06))
    axes.axis("off")
    return axes


def _figure(axes: Axes) -> Figure:
    assert isinstance(axes.figure, Figure)
    return axes.figure


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    align: str = "center",
    **style: Any,
) -> None:
    axes.text(x, y, text, size=size, ha=align, va="center_baseline", **style)


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _factor(value: float) -> str:
    return f"({_number(value)})" if value < 0 else _number(value)


def _line(
    axes: Axes, x: tuple[float, float], y: tuple[float, float], color: str
) -> None:
    axes.plot(x, y, color=color, linewidth=0.9, zorder=0.5)


def _dots(axes: Axes, x: float, y: float, count: int, color: str) -> None:
    axes.plot([x] * count, y + np.arange(count), "s", color=color, markersize=6.5)


def _tint(color: str, strength: float) -> tuple[float, ...]:
    return tuple(round(1 - strength * (1 - part), 4) for part in to_rgb(color))


def _cell(
    axes: Axes,
    corner: tuple[float, float],
    color: str,
    strength: float,
    edge: bool = True,
) -> None:
    line = {"edgecolor": color, "linewidth": 0.8} if edge else {"edgecolor": "white"}
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=_tint(color, strength), **line))


def _grid(
    axes: Axes,
    corner: tuple[float, float],
    values: np.ndarray,
    color: str,
    label: str,
    strong: Sequence[tuple[int, int]] = (),
    border: int = 0,
    shade: bool = False,
    base: float = 0.12,
) -> None:
    """Draw an array of numbers with its top left at ``corner``; ``strong`` cells stand out."""
    x, y = corner
    rows, columns = values.shape
    _write(axes, x + columns / 2, y - 0.5, label, 10)
    largest = float(np.nanmax(np.abs(values))) or 1.0
    for i, j in np.ndindex(rows, columns):
        outside = not (border <= i < rows - border and border <= j < columns - border)
        if np.isnan(values[i, j]):
            continue
        strength = 0.55 if (i, j) in strong else base
        if shade:
            strength = 0.08 + 0.5 * float(abs(values[i, j])) / largest
        _cell(axes, (x + j, y + i), PADDING if outside else color, strength)
        _write(axes, x + j + 0.5, y + i + 0.5, _number(float(values[i, j])), 11)


def _runs(axes: Axes, mask: np.ndarray, color: str) -> None:
    """Fill the cells of ``mask``, each run of a row as one rectangle, all in one path."""
    outline = []
    for y, row in enumerate(mask):
        x = 0
        for filled, run in groupby(row):
            length = len(list(run))
            if filled:
                corners = [(x, y), (x + length, y), (x + length, y + 1), (x, y + 1)]
                outline.append(Outline([*corners, corners[0]], closed=True))
            x += length
    if outline:
        path = Outline.make_compound_path(*outline)
        axes.add_patch(PathPatch(path, facecolor=color, edgecolor=color, linewidth=0.3))
