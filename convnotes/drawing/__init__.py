"""The book's pictures: numbers and arrays in, a matplotlib figure out.

Nothing is computed here that a page relies on. In every picture of a grid blue is
input, orange is kernel, green is output, grey is padding. The colours are Okabe and
Ito's, which readers with colour-blindness can tell apart, and names stand beside them.
"""

from convnotes.drawing.arrays import channels, grids, matrix, product, stamp, step
from convnotes.drawing.canvas import INPUT, KERNEL, OUTPUT, PADDING, STYLE, save
from convnotes.drawing.charts import (
    along_network,
    curves,
    parts,
    pictures,
    roofline,
    shares,
)
from convnotes.drawing.links import stack, variants
from convnotes.drawing.portrait import portrait
from convnotes.drawing.samples import layout, moves, sample

__all__ = [
    "INPUT",
    "KERNEL",
    "OUTPUT",
    "PADDING",
    "STYLE",
    "along_network",
    "channels",
    "curves",
    "grids",
    "layout",
    "matrix",
    "moves",
    "parts",
    "pictures",
    "portrait",
    "product",
    "roofline",
    "sample",
    "save",
    "shares",
    "stack",
    "stamp",
    "step",
    "variants",
]
