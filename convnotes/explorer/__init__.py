"""The interactive figure: turn every knob and see what a convolution does.

Its arithmetic and drawing are plain JavaScript modules in this folder; Python checks the
settings and puts all of it into one page that needs no server and no network.
"""

from convnotes.explorer.figure import Explorer, explore

__all__ = ["Explorer", "explore"]
