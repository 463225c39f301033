"""Arrays of numbers: one step of a kernel, channels and filters, counts, matrices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from convnotes.drawing.canvas import (
    CELL,
    INPUT,
    KERNEL,
    OUTPUT,
    canvas,
    cell,
    factor,
    finished,
    grid,
    line,
    number,
    write,
)


def step(
    input: Any,
    kernel: Any,
    output: Any,
    position: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    names: Sequence[str] = ("input", "kernel", "output"),
) -> Figure:
    """Draw one output value: what the kernel covers, the products, and their sum.

    ``input`` (H, W), ``kernel`` (K_h, K_w) and ``output`` (H_out, W_out) are arrays of
    one channel; ``position`` is the (row, column) of the output value; ``names`` are
    written above the three.
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
    axes = canvas(right + output.shape[1], height + 1.3 + 0.75 * kernel.shape[0])
    grid(axes, (0, 1), padded, INPUT, names[0], strong=reads, border=padding)
    grid(
        axes,
        (middle, 1),
        kernel,
        KERNEL,
        names[1],
        strong=list(np.ndindex(kernel.shape)),
    )
    grid(axes, (right, 1), output, OUTPUT, names[2], strong=[position])
    write(axes, middle - gap / 2, 1 + height / 2, "∗", 16)
    write(axes, right - gap / 2, 1 + height / 2, "=", 16)
    terms = [
        f"{number(padded[y, x])} · {factor(weight)}"
        for (y, x), weight in zip(reads, kernel.ravel(), strict=True)
    ]
    for u in range(kernel.shape[0]):
        line = " + ".join(terms[u * kernel.shape[1] : (u + 1) * kernel.shape[1]])
        line = ("+ " if u else "    ") + line
        if u == kernel.shape[0] - 1:
            line += f"  =  {number(output[position])}"
        write(axes, 0, height + 1.7 + 0.75 * u, line, 10.5, "left")
    return finished(axes)


def stamp(
    input: Any,
    kernel: Any,
    output: Any,
    position: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
) -> Figure:
    """Draw what one input value adds to the output of a transposed convolution.

    ``input`` (H, W) and ``kernel`` (K_h, K_w) are arrays of one channel, ``output`` is
    the output before ``padding`` rows and columns are cropped on each side;
    ``position`` is the (row, column) of the input value.
    """
    input, kernel, output = np.asarray(input), np.asarray(kernel), np.asarray(output)
    y, x = stride * position[0], stride * position[1]
    block = [(y + u, x + v) for u, v in np.ndindex(kernel.shape)]
    everywhere = list(np.ndindex(kernel.shape))
    gap, height = 1.2, max(input.shape[0], kernel.shape[0], output.shape[0])
    widths = [input.shape[1], kernel.shape[1], kernel.shape[1], output.shape[1]]
    starts = [sum(widths[:place]) + gap * place for place in range(4)]
    axes = canvas(starts[3] + widths[3], height + 1)
    grid(axes, (0, 1), input, INPUT, "input", strong=[position])
    grid(axes, (starts[1], 1), kernel, KERNEL, "kernel", strong=everywhere)
    scaled = kernel * input[position]
    grid(axes, (starts[2], 1), scaled, OUTPUT, "product", strong=everywhere)
    name = "output, the sum"
    grid(axes, (starts[3], 1), output, OUTPUT, name, strong=block, border=padding)
    for place, sign in enumerate("·=→", start=1):
        write(axes, starts[place] - gap / 2, 1 + kernel.shape[0] / 2, sign, 16)
    return finished(axes)


def channels(
    input: Any,
    weight: Any,
    output: Any,
    names: tuple[str, str] = ("input", "output"),
) -> Figure:
    """Draw which channels mix: each row is one filter, each column one input channel.

    ``input`` is (C_in, H, W), ``weight`` (C_out, C_in, K_h, K_w), ``output``
    (C_out, H_out, W_out); ``names`` say what input and output are. Weights that are nan
    are left out: their channels do not mix.
    """
    input, weight, output = np.asarray(input), np.asarray(weight), np.asarray(output)
    C_out, C_in, K_h, K_w = weight.shape
    column = max(input.shape[2], K_w, 2.8) + 1.6  # no less, for the labels' sake
    row = max(K_h, output.shape[1]) + 1.5
    top = input.shape[1] + 2.2
    axes = canvas(C_in * column + output.shape[2] + 0.4, top + C_out * row - 1.4)
    for c in range(C_in):
        grid(axes, (c * column, 1), input[c], INPUT, f"{names[0]} channel {c}")
    for o in range(C_out):
        y = top + o * row
        mixed = [c for c in range(C_in) if not np.isnan(weight[o, c]).any()]
        for c in mixed:
            label = f"∗ filter {o}, kernel {c}"
            grid(axes, (c * column, y), weight[o, c], KERNEL, label, base=0.25)
            sign = "→" if c == mixed[-1] else "+"
            write(axes, c * column + (column + K_w) / 2, y + K_h / 2, sign, 14)
        grid(axes, (C_in * column, y), output[o], OUTPUT, f"{names[1]} channel {o}")
    return finished(axes)


def grids(
    named: Mapping[str, Any], color: str = INPUT, border: Sequence[int] = ()
) -> Figure:
    """Draw several small 2-D arrays of numbers side by side, each under its name.

    Cells are tinted by their value. ``border``, one int for each array, says how many
    outer rows and columns are padding; a border of nan cells is left blank.
    """
    arrays = [np.asarray(array) for array in named.values()]
    borders = list(border) or [0] * len(arrays)
    axes = canvas(
        sum(array.shape[1] for array in arrays) + 1.4 * (len(arrays) - 1),
        max(array.shape[0] for array in arrays) + 1,
    )
    x = 0.0
    for name, array, width in zip(named, arrays, borders, strict=True):
        grid(axes, (x, 1), array, color, name, border=width, shade=True)
        x += array.shape[1] + 1.4
    return finished(axes)


def product(
    weight: Any, input: Any, output: Any, position: tuple[int, int], column: str
) -> Figure:
    """Draw a matrix product, and one entry of it written out as a dot product.

    ``weight`` is (C_out, C_in), ``input`` (C_in, P), ``output`` their product (C_out, P);
    ``position`` is the (row, column) of the entry, and ``column`` says what a column is.
    """
    weight, input, output = np.asarray(weight), np.asarray(input), np.asarray(output)
    (C_out, C_in), P = weight.shape, input.shape[1]
    (o, p), gap, height = position, 1.4, max(C_out, C_in)
    middle, right = C_in + gap, C_in + P + 2 * gap
    axes = canvas(right + P, height + 2)
    row = [(o, c) for c in range(C_in)]
    read = [(c, p) for c in range(C_in)]
    grid(axes, (0, 1), weight, KERNEL, "weight", strong=row)
    grid(axes, (middle, 1), input, INPUT, f"input, {column}", strong=read)
    grid(axes, (right, 1), output, OUTPUT, f"output, {column}", strong=[position])
    write(axes, middle - gap / 2, 1 + height / 2, "·", 16)
    write(axes, right - gap / 2, 1 + height / 2, "=", 16)
    terms = [f"{factor(weight[o, c])} · {factor(input[c, p])}" for c in range(C_in)]
    line = f"{' + '.join(terms)}  =  {number(output[position])}"
    write(axes, 0, height + 1.7, line, 10.5, "left")
    return finished(axes)


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
    scale = min(CELL, 7.2 / columns)
    axes = canvas(columns, rows + 1, scale)
    title = f"{rows} rows: output values; {columns} columns: input values"
    # A phone shows a wide matrix at half its size, so the texts of one are larger.
    write(axes, columns / 2, 0.5, title, 10 * min(max(scale * columns / 4.7, 1), 1.5))
    longest = 0 if labels is None else max(len(str(v)) for row in labels for v in row)
    size = {1: 15, 2: 13}.get(longest, 10) * scale / CELL
    for y, x in np.argwhere(values):
        cell(axes, (x, y + 1), KERNEL, strength[values[y, x]], edge=False)
        if labels is not None:
            write(axes, x + 0.5, y + 1.5, str(labels[y][x]), size)
    for x in range(0, columns + 1, input_size or columns):
        line(axes, (x, x), (1, rows + 1), INPUT, above=True)
    for y in range(0, rows + 1, output_size or rows):
        line(axes, (0, columns), (y + 1, y + 1), OUTPUT, above=True)
    return finished(axes)
