"""The cheat sheet's lines of code run, and its formulas give the numbers that they lead to."""

import re
from math import prod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from book_checks import ROOT, read
from torch import Tensor

from convnotes.comparison import compare
from convnotes.deformable import deform_conv2d

# Sizes all of which differ, so that no formula can hold by accident.
SIZES: dict[str, int] = {
    "C_in": 4,
    "C_out": 6,
    "C_mid": 5,
    "K": 3,
    "H": 17,
    "W": 23,
    "S": 2,
    "P": 2,
    "D": 3,
    "G": 2,
    "M": 3,
    "A": 1,
}

TEX = [
    (r"\\text\{(\w+)\}", r"\1"),  # C_\text{in} is C_in
    (r"\\lfloor \((.*?)\) / S \\rfloor", r"(\1) // S"),
    (r"\\cdot", "*"),
    (r"\\,|\\;", " "),
    (r"(\d) ?([A-Z])", r"\1 * \2"),  # 2P
    (r"C_in M", "C_in * M"),
    (r"/G", "// G"),
]


def sheet() -> dict[str, SimpleNamespace]:
    """Read the sheet: each variant's line of code and the items of its list, by name."""
    cells = read(ROOT / "book" / "cheat_sheet.ipynb").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    found = {}
    for section in sections[:-1]:
        items = dict(re.findall(r"^- \*\*(.*?)\*\*:? (.*)$", section, re.MULTILINE))
        [code] = re.findall(r"^`(.*)`$", section, re.MULTILINE)
        found[section.splitlines()[0].lower()] = SimpleNamespace(
            code=code,
            formulas={
                name: re.findall(r"\$(.*?)\$", text) for name, text in items.items()
            },
            example=items["Example"],
            image=re.search(r"\(images/(.*?)\.svg\)", section)[1],  # type: ignore[index]
        )
    return found


SHEET = sheet()


def in_python(formula: str) -> str:
    for pattern, instead in TEX:
        formula = re.sub(pattern, instead, formula)
    return formula


def value(formula: str, **names: Any) -> int:
    return eval(in_python(formula), SIZES | names)


def output_size(name: str) -> tuple[int, int]:
    [formula] = SHEET[name].formulas["Size"]
    return value(formula), value(formula, H=SIZES["W"])


def run(name: str) -> tuple[Tensor, list[Tensor]]:
    """Run the line of code with weights of the shapes that the sheet gives."""
    formula = SHEET[name].formulas["Weights"][0]
    shapes = [
        [value(factor) for factor in term.split(r"\cdot")]
        for term in formula.split("+")
    ]
    weights = [torch.randn(shape) for shape in shapes]
    letters = {"spatially separable": "qr", "depthwise separable": "de"}.get(name, "w")
    channels = SIZES["C_in"] * SIZES["M"] if name == "depthwise" else SIZES["C_out"]
    positions = (1, -1, *output_size(name))
    values: dict[str, Any] = {
        "F": F,
        "torchvision": SimpleNamespace(
            ops=SimpleNamespace(deform_conv2d=deform_conv2d)
        ),
        "x": torch.randn(1, SIZES["C_in"], SIZES["H"], SIZES["W"]),
        "b": torch.randn(channels),
        "Δ": torch.zeros(2 * 3 * 3 * prod(positions[2:])).reshape(positions),
        "m": torch.ones(3 * 3 * prod(positions[2:])).reshape(positions),
        **dict(zip(letters, weights, strict=True)),
    }
    return eval(SHEET[name].code, SIZES | values), weights


def test_the_sheet_has_every_variant_with_its_picture() -> None:
    assert list(SHEET) == list(compare(4, 4, 3, input_size=8))
    for name, row in SHEET.items():
        assert row.image == name.replace(" ", "_")
        assert (ROOT / "book" / "images" / f"{row.image}.svg").exists()


@pytest.mark.parametrize("name", SHEET)
def test_the_line_of_code_gives_the_size(name: str) -> None:
    output, weights = run(name)
    assert output.shape[2:] == output_size(name)
    last = weights[-1].shape[1 if name == "transposed" else 0]
    assert output.shape[1] == last


@pytest.mark.parametrize("name", SHEET)
def test_the_formulas_give_the_example(name: str) -> None:
    """On the example's sizes, with padding that keeps them."""
    example = {"C_in": 256, "C_out": 256, "C_mid": 256, "H": 56, "W": 56}
    example |= {"K": 3, "S": 1, "P": 1, "D": 1, "G": 4, "M": 1}
    if name == "transposed":
        example |= {"S": 2, "A": 1}
    if name == "pointwise":
        example |= {"P": 0}
    if name == "dilated":
        example |= {"P": 2, "D": 2}
    formulas, counted = SHEET[name].formulas, compare(256, 256, 3, input_size=56)[name]
    size = value(formulas["Size"][0], **example)
    assert counted.output_shape == (256, size, size)
    example |= {"H_out": size, "W_out": size}
    weights = sum(value(formula, **example) for formula in formulas["Weights"][::2])
    assert weights == counted.cost.params
    example["weights"] = weights
    assert value(formulas["MACs"][0], **example) == counted.cost.macs
    millions, intensity = counted.cost.macs / 1e6, counted.cost.intensity
    assert SHEET[name].example == (
        f"{weights:,} weights, {millions:,.0f} M MACs, intensity {intensity:.1f}"
    )
