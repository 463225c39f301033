"""Draw the pictures that stand outside notebooks: ``python -m tools.figures``."""

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from convnotes import drawing
from convnotes.matrices import family

IMAGES = Path(__file__).resolve().parent.parent / "book" / "images"


def looks_and_links() -> dict[str, tuple[np.ndarray, list[np.ndarray]]]:
    """Return where each variant looks on a 7×7 map, and how it links 4 channels, by name."""
    near = np.array([(y, x) for y in (2, 3, 4) for x in (2, 3, 4)])
    column, row = near[near[:, 1] == 3], near[near[:, 0] == 3]
    shifts = np.array(
        [
            [(-0.9, -0.6), (-1.3, 0.3), (-0.4, 1.2)],
            [(0.3, -1.4), (0.2, 0.1), (-0.3, 1.1)],
            [(1.2, -0.5), (0.8, 0.4), (0.5, 1.3)],
        ]
    ).reshape(9, 2)
    every, own = np.ones((4, 4)), np.eye(4)
    pairs = np.kron(np.eye(2), np.ones((2, 2)))
    return {
        "standard": (near, [every]),
        "dilated": (3 + 2 * (near - 3), [every]),
        "transposed": (near, [every]),
        "spatially separable": (np.concatenate([column, row]), [every, every]),
        "depthwise": (near, [own]),
        "pointwise": (near[4:5], [every]),
        "depthwise separable": (near, [own, every]),
        "grouped": (near, [pairs]),
        "deformable": (near + shifts, [every]),
    }


def portrait() -> Figure:
    """Draw the family portrait: the variants as matrices, each weight in a colour of its own."""
    matrices = family()
    return drawing.portrait(
        matrices,
        blocks=4,
        notes={name: note(factors) for name, factors in matrices.items()},
        key=[
            "a column: an input value",
            "a row: an output value",
            "a block: a pair of channels",
            "a colour: a weight",
        ],
    )


def note(factors: list[Tensor]) -> str:
    """Count the weights and the entries of the matrices of one variant.

    >>> import torch
    >>> note([torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.eye(2)])
    '3 weights, 5 entries'
    """
    weights = sum(int(matrix.max().ceil()) for matrix in factors)
    entries = sum(int(matrix.count_nonzero()) for matrix in factors)
    return f"{weights} weights, {entries} entries"


def variants() -> Figure:
    """Draw the map of the variants."""
    return drawing.variants(looks_and_links(), written=["transposed"])


def tile(name: str) -> Figure:
    """Draw the tile of one variant, without its name: a row of the cheat sheet."""
    one = {name: looks_and_links()[name]}
    return drawing.variants(one, written=["transposed"], columns=1, captions=False)


FIGURES = {"portrait.svg": portrait, "variants.svg": variants} | {
    f"{name.replace(' ', '_')}.svg": partial(tile, name) for name in looks_and_links()
}


def main(folder: Path = IMAGES) -> None:
    folder.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        drawing.save(draw(), folder / name)


if __name__ == "__main__":
    main()
