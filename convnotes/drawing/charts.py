"""Grey pictures and curves."""

from collections.abc import Mapping
from itertools import cycle, groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline


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
            runs(axes, greys == level, str(round(level / (levels - 1), 3)))
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
    for marker, (name, (x, y)) in zip(cycle("osD^v"), named.items(), strict=False):
        axes.plot(x, y, marker=marker, markersize=5, label=name)
    axes.legend(frameon=False)
    figure.tight_layout(pad=0.4)
    return figure


def runs(axes: Axes, mask: np.ndarray, color: str) -> None:
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
