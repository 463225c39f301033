"""``explore``: the interactive figure, for a notebook."""

from collections.abc import Callable
from html import escape
from typing import Any

from convnotes.arguments import divides, integer, pair
from convnotes.explorer.page import document, variants
from convnotes.shapes import conv_output_size, conv_transpose_output_size

Settings = dict[str, int | tuple[int, int]]

HEIGHT = (
    "max(985px,min(1175px,(676px - 100cqw)*9999),min({phone}px,(561px - 100cqw)*9999))"
)
"""Of the frame, by its width: known before it is drawn, so that nothing moves."""


class Explorer:
    """An interactive figure: HTML where that can be shown, a sentence elsewhere.

    >>> print(explore("standard", stride=2))
    Interactive figure: standard convolution, input_size=(6, 7), kernel_size=(3, 3), \
stride=(2, 2), padding=(1, 1), in_channels=3, out_channels=4; its output is 3 × 4.
    """

    def __init__(
        self, variant: str, settings: Settings, output_size: tuple[int, int]
    ) -> None:
        self.variant = variant
        self.settings = settings
        self.output_size = output_size

    @property
    def title(self) -> str:
        return f"Interactive figure: {variants()['variants'][self.variant]['title'].lower()}"

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        height, width = self.output_size
        return f"{self.title}, {settings}; its output is {height} × {width}."

    def _repr_html_(self) -> str:
        """Return one frame that holds the whole figure and cannot reach the page around it."""
        content = document({"variant": self.variant, **self.settings}, self.title)
        height = HEIGHT.format(phone=2020 if "separable" in self.variant else 1920)
        return (
            '<div style="container-type:inline-size">'
            f'<iframe class="explorer" title="{escape(self.title)}" sandbox="allow-scripts" '
            f'style="width:100%;height:{height};border:0" '
            f'srcdoc="{content.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe></div>'
        )


def explore(variant: str = "standard", **settings: Any) -> Explorer:
    """Return the interactive figure of a variant, ready to be displayed by a notebook.

    ``variant`` is the name of its module: "standard", "dilated", "transposed",
    "separable", "depthwise", "pointwise", "depthwise_separable", "grouped" or
    "deformable". ``settings`` are where the knobs stand at first, named as in the
    layer: an int or a (height, width) pair for ``input_size``, ``kernel_size``,
    ``stride``, ``padding``, ``output_padding`` and ``dilation`` (pixels), an int for
    ``in_channels``, ``mid_channels``, ``out_channels``, ``channel_multiplier``,
    ``groups`` and ``offset_range``, as far as the variant has them.

    Raises ``ValueError`` that names the variant or the setting if there is none such, if
    its knob does not go that far, or if there would be no output, ``TypeError`` if a
    value is of a wrong type.

    >>> explore("dilated", kernel_size=3, dilation=2, input_size=(7, 9)).output_size
    (3, 5)
    >>> explore("pointwise", kernel_size=3)
    Traceback (most recent call last):
    ValueError: kernel_size: expected a setting of the pointwise variant, one of \
input_size, stride, in_channels, out_channels
    """
    known = variants()["variants"]
    if not isinstance(variant, str) or variant not in known:
        raise ValueError(f"variant={variant!r}: expected one of {', '.join(known)}")
    described = known[variant]
    for name in settings:
        if name not in described["knobs"]:
            raise ValueError(
                f"{name}: expected a setting of the {variant} variant, one of "
                f"{', '.join(described['knobs'])}"
            )
    full = {
        name: _value(name, settings.get(name, usual), described.get("max", {}))
        for name, usual in described["knobs"].items()
    }
    return Explorer(variant, full, _output_size(variant, full))


def _value(name: str, value: Any, highest: dict[str, int]) -> int | tuple[int, int]:
    """Return a setting, checked against the range of its knob."""
    knob = variants()["knobs"][name]
    most = highest.get(name, knob["max"])
    checked: int | tuple[int, int]
    if knob.get("pair"):
        checked = pair(name, value, minimum=knob["min"])
        largest = max(checked)
    else:
        checked = largest = integer(name, value, minimum=knob["min"])
    if largest > most:
        raise ValueError(f"{name}={value!r}: expected at most {most}")
    return checked


def _output_size(variant: str, settings: dict[str, Any]) -> tuple[int, int]:
    """Return (H_out, W_out), after checking that there is an output."""
    if "groups" in settings:
        channels = {name: settings[name] for name in ("in_channels", "out_channels")}
        divides("groups", settings["groups"], **channels)
    usual = {"kernel_size": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    options = {
        name: (usual | settings)[name]
        for name in ("input_size", "kernel_size", "stride", "padding", "dilation")
    }
    size: Callable[..., int] = conv_output_size
    if variant == "transposed":
        size = conv_transpose_output_size
        options["output_padding"] = settings["output_padding"]
    height, width = (
        size(**{name: both[axis] for name, both in options.items()}) for axis in (0, 1)
    )
    return height, width
