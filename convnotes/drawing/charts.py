"""Grey pictures, curves, and the roofline of a machine."""

from collections.abc import Mapping, Sequence
from itertools import cycle, groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FuncFormatter, MaxNLocator

from convnotes.drawing.canvas import INK, SERIES


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


def along_network(kinds: Sequence[str], named: Mapping[str, Sequence[int]]) -> Figure:
    """Draw numbers of layers as bars, from the first layer to the last, a panel for each name.

    ``kinds`` says of what kind each layer is: its bar's colour, and its hatching where there
    are more kinds than colours. The kinds that most networks have look the same in every
    figure. The axis is linear, so the lengths of bars add up.
    """
    order = list(dict.fromkeys(kinds))
    figure = Figure(figsize=(7.2, 0.5 + 1.6 * len(named)))
    panels = figure.subplots(len(named), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, named.items(), strict=True):
        for kind in order:
            places = [place for place, one in enumerate(kinds) if one == kind]
            axes.bar(
                places,
                [values[place] for place in places],
                width=0.8,
                linewidth=0,
                label=kind,
                **_look(kind, order),
            )
        axes.grid(visible=False, axis="x")
        axes.set_axisbelow(True)
        axes.set(ylabel=name, xlim=(-0.8, len(kinds) - 0.2))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    panels[-1].set(xlabel="layer, from input to output")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="upper center",
        ncols=min(5, len(order)),
        frameon=False,
    )
    rows = -(-len(order) // 5)
    figure.tight_layout(
        pad=0.4, rect=(0, 0, 1, 1 - 0.22 * rows / figure.get_figheight())
    )
    return figure


def parts(panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw what wholes are made of, as bars of one length: ``panels[panel][whole][part]``.

    Parts look as the kinds of ``along_network``.
    """
    order = list(
        dict.fromkeys(
            part
            for panel in panels.values()
            for whole in panel.values()
            for part in whole
        )
    )
    names = list(next(iter(panels.values())))
    figure = Figure(figsize=(7.2, 0.32 * len(names) + 0.9))
    everywhere = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, panel) in zip(everywhere, panels.items(), strict=True):
        left = [0.0] * len(names)
        for part in order:
            width = [
                round(100 * panel[name].get(part, 0) / sum(panel[name].values()), 2)
                for name in names
            ]
            axes.barh(
                range(len(names)),
                width,
                0.7,
                left,
                linewidth=0.4,
                label=part,
                **_look(part, order),
            )
            left = [one + other for one, other in zip(left, width, strict=True)]
        axes.set(title=title, xlabel="%", xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
        axes.grid(visible=False)
        axes.spines[["left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    everywhere[0].set_yticks(range(len(names)), names)
    figure.legend(
        *everywhere[0].get_legend_handles_labels(),
        loc="lower center",
        ncols=min(6, len(order)),
        frameon=False,
    )
    rest = 0, 0.32 / figure.get_figheight(), 1, 1
    figure.tight_layout(pad=0.4, w_pad=2.0, rect=rest)
    return figure


KINDS = ("standard", "grouped", "depthwise", "pointwise", "linear")
FILLS = (*SERIES, "#8C8C8C")


def _look(kind: str, kinds: Sequence[str]) -> dict[str, Any]:
    """Return colour and hatching: fixed for the common kinds, by order for others."""
    others = [one for one in kinds if one not in KINDS]
    number = KINDS.index(kind) if kind in KINDS else len(KINDS) + others.index(kind)
    turn, color = divmod(number, len(FILLS))
    hatch = ("", "////", "....")[turn % 3]
    return {"color": FILLS[color], "hatch": hatch, "edgecolor": "white"}


def short(value: float) -> str:
    """Write a number of an axis with thousand, million or thousand million as a letter.

    >>> [short(value) for value in (0, 500, 2_500_000)]
    ['0', '500', '2.5 M']
    """
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def roofline(
    peak: float, bandwidth: float, named: Mapping[str, tuple[float, float]]
) -> Figure:
    """Draw the roof of a machine and where layers stand below it, both axes logarithmic.

    ``peak`` is in 10⁹ MACs a second, ``bandwidth`` in 10⁹ elements a second; their
    quotient is the balance point. Each layer is (MACs for each element moved, 10⁹ MACs a
    second) under its name. All values are rounded to three digits.
    """
    peak, bandwidth, balance = map(digits, (peak, bandwidth, peak / bandwidth))
    points = {name: (digits(x), digits(y)) for name, (x, y) in named.items()}
    left = min([balance, *(x for x, _ in points.values())]) / 3
    right = max([balance, *(x for x, _ in points.values())]) * 4
    bottom = min([bandwidth * left, *(y for _, y in points.values())]) / 3

    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.add_subplot(xscale="log", yscale="log")
    axes.set(xlabel="MACs for each element moved", ylabel="10⁹ MACs a second")
    axes.set(xlim=(left, right), ylim=(bottom, 4 * peak))
    roof = [bandwidth * left, peak, peak]
    axes.plot([left, balance, right], roof, color=INK, label="roof")
    axes.axvline(balance, color=INK, linestyle=":", linewidth=1.2)
    style: Any = {"textcoords": "offset points", "size": 9}
    axes.annotate(
        "balance point", (balance, bottom), (4, 5), **style, rotation=90, va="bottom"
    )
    for limit, start, end in (
        ("memory limits", left, balance),
        ("arithmetic limits", balance, right),
    ):
        middle = (start * end) ** 0.5
        axes.annotate(limit, (middle, 3 * peak), (0, 0), **style, ha="center", va="top")
    for color, marker, (name, point) in zip(
        cycle(SERIES), cycle("osD^v"), points.items(), strict=False
    ):
        axes.plot(*point, marker, color=color, markersize=8, label=name)
        axes.annotate(name, point, (0, -9), **style, ha="center", va="top")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.tight_layout(pad=0.4)
    return figure


def shares(named: Mapping[str, Mapping[str, float]], of: str) -> Figure:
    """Draw several quantities of each of several things, as shares of those of one of them.

    ``named[thing][quantity]`` is positive; ``of`` names the thing whose share is 1. There
    is a panel for each quantity and a row for each thing; all axes are logarithmic.
    """
    quantities = list(named[of])
    figure = Figure(figsize=(7.2, 0.3 * len(named) + 0.7))
    places = list(range(len(named)))
    every = [
        one[each] / named[of][each] for one in named.values() for each in quantities
    ]
    left, right = min(every) / 3, max(every) * 9
    for number, (color, quantity) in enumerate(zip(cycle(SERIES), quantities)):
        axes = figure.add_subplot(1, len(quantities), number + 1, xscale="log")
        axes.set(xlim=(left, right), ylim=(len(named) - 0.4, -0.6), title=quantity)
        axes.set_yticks(places, list(named) if number == 0 else [""] * len(named))
        axes.tick_params(axis="both", length=0)
        axes.tick_params(axis="x", labelbottom=False, which="both", length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.grid(visible=False)
        axes.axvline(1, color=INK, linewidth=0.9)
        for place, one in zip(places, named.values(), strict=True):
            share = digits(one[quantity] / named[of][quantity])
            axes.plot((1, share), (place, place), color=color, linewidth=3)
            axes.plot(share, place, "o", color=color, markersize=5)
            axes.annotate(
                f"{share:.2f}" if 0.1 <= share < 100 else f"{share:.3g}",
                (max(1, share), place),
                (7, 0),
                size=8,
                textcoords="offset points",
                va="center_baseline",
            )
    figure.tight_layout(pad=0.4, w_pad=0.6)
    return figure


def digits(value: float) -> float:
    """Round to three significant digits."""
    return float(f"{value:.3g}")


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
