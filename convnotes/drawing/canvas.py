"""What every picture is made of: colours, the page, cells, lines and text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
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

CELL = 0.36  # inches a grid cell


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as SVG, the same bytes every time."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(
            path,
            format="svg",
            bbox_inches="tight",
            metadata={"Date": None, "Creator": None},
        )


def canvas(width: float, height: float, scale: float = CELL) -> Axes:
    figure = Figure(figsize=(width * scale, height * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis((-0.06, width + 0.06, height + 0.06, -0.06))
    axes.axis("off")
    return axes


def finished(axes: Axes) -> Figure:
    assert isinstance(axes.figure, Figure)
    return axes.figure


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    align: str = "center",
    **style: Any,
) -> None:
    axes.text(x, y, text, size=size, ha=align, va="center_baseline", **style)


def number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def line(
    axes: Axes,
    x: tuple[float, float],
    y: tuple[float, float],
    color: str,
    above: bool = False,
) -> None:
    axes.plot(x, y, color=color, linewidth=0.9, zorder=2 if above else 0.5)


def dots(axes: Axes, x: float, y: float, count: int, color: str) -> None:
    axes.plot([x] * count, y + np.arange(count), "s", color=color, markersize=6.5)


def tint(color: str, strength: float) -> tuple[float, ...]:
    return tuple(round(1 - strength * (1 - part), 4) for part in to_rgb(color))


def cell(
    axes: Axes,
    corner: tuple[float, float],
    color: str,
    strength: float,
    edge: bool = True,
) -> None:
    line = {"edgecolor": color, "linewidth": 0.8} if edge else {"edgecolor": "white"}
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=tint(color, strength), **line))


def grid(
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
    write(axes, x + columns / 2, y - 0.5, label, 10)
    largest = float(np.nanmax(np.abs(values))) or 1.0
    for i, j in np.ndindex(rows, columns):
        outside = not (border <= i < rows - border and border <= j < columns - border)
        if np.isnan(values[i, j]):
            continue
        strength = 0.55 if (i, j) in strong else base
        if shade:
            strength = 0.08 + 0.5 * float(abs(values[i, j])) / largest
        cell(axes, (x + j, y + i), PADDING if outside else color, strength)
        write(axes, x + j + 0.5, y + i + 0.5, number(float(values[i, j])), 11)
