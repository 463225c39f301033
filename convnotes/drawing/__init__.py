"""The book's pictures: numbers and arrays in, a matplotlib figure out.

Nothing is computed here that a page relies on. Colours mean the same everywhere:
blue is input, orange is kernel, green is output, grey is padding. They are Okabe
and Ito's, which readers with colour-blindness can tell apart, and every grid also
has its name above it.
"""

from convnotes.drawing.arrays import channels, grids, matrix, step
from convnotes.drawing.canvas import INPUT, KERNEL, OUTPUT, PADDING, STYLE, save
from convnotes.drawing.charts import curves, pictures, roofline
from convnotes.drawing.links import stack, variants

__all__ = [
    "INPUT",
    "KERNEL",
    "OUTPUT",
    "PADDING",
    "STYLE",
    "channels",
    "curves",
    "grids",
    "matrix",
    "pictures",
    "roofline",
    "save",
    "stack",
    "step",
    "variants",
]
