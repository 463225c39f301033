"""Pictures are figures, the same bytes every time, and say what their numbers say."""

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convnotes import drawing

IMAGE = np.arange(20.0).reshape(4, 5) - 7
KERNEL = np.array([[1.0, 0.0, -1.0], [2.0, 0.5, 0.0]])
NAN = float("nan")

# One call of each function that draws: its arguments, then its options.
CALLS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "step": (
        [IMAGE, KERNEL, np.arange(12.0).reshape(3, 4), (1, 2)],
        {"stride": 2, "padding": 2, "dilation": 2},
    ),
    "channels": (
        [np.stack([IMAGE, -IMAGE]), np.ones((3, 2, 2, 3)), np.ones((3, 3, 3))],
        {},
    ),
    "grids": (
        [{name: np.pad(KERNEL, (0, 1), constant_values=NAN) for name in "abcd"}],
        {"border": (0, 0, 1, 1), "color": drawing.OUTPUT},
    ),
    "stack": ([[[[0, 2], [1, 3], [2, 4]], [[0, 1], [1, 2]]], [5, 3, 2]], {"of": 1}),
    "stamp": (
        [IMAGE[:2, :3], KERNEL, np.arange(35.0).reshape(5, 7), (1, 1)],
        {"stride": 2, "padding": 1},
    ),
    "product": (
        [KERNEL, IMAGE[:3], KERNEL @ IMAGE[:3], (1, 4)],
        {"column": "a pixel a column"},
    ),
    "matrix": (
        [np.kron(np.eye(2), KERNEL)],
        {"labels": np.arange(24).reshape(4, 6), "input_size": 3, "output_size": 2},
    ),
    "variants": (
        [{"one": ([(0, 1)], [np.eye(2)]), "two": ([(1.5, 0)], [np.eye(2), KERNEL])}],
        {"written": ["two"], "side": 3, "columns": 1},
    ),
    "sample": ([IMAGE, (1.25, -0.5), 0.5], {}),
    "moves": (
        [
            IMAGE,
            {"kept": (KERNEL[:, :2], KERNEL[:, :2]), "b": (KERNEL.T, KERNEL.T + 1)},
        ],
        {"centre": (1, 2), "levels": 3},
    ),
    "layout": ([{"one": np.arange(12).reshape(2, 3, 2), "b": [[[0, 1]]]}], {}),
    "portrait": (
        [
            {
                "one": [1 + np.arange(36.0).reshape(6, 6)],
                "two": [3 * np.eye(6), 2.4 * np.eye(6)],
            },
            3,
        ],
        {"columns": 2, "notes": {"two": "2 weights"}, "key": ["a colour: a weight"]},
    ),
    "pictures": ([{"ramp": IMAGE, "flat": np.ones((3, 2))}], {"levels": 5}),
    "curves": (
        [
            {"up": ([1, 2, 3], [1.0, 4.0, 9.0]), "down": (IMAGE[0], -IMAGE[1])},
            "layers",
            "pixels",
        ],
        {"yscale": "symlog", "title": "two curves"},
    ),
    "parts": (
        [{"MACs": {"one": dict.fromkeys("abcde", 2.0), "two": {"b": 3.0, "f": 1.0}}}],
        {},
    ),
    "along_network": (
        [
            ["a", "b", "a", "c", "d", "e"],
            {"MACs": [4 * 10**9, 5, 6, 7, 8, 2500], "p": [0] * 6},
        ],
        {},
    ),
    "roofline": ([80.0, 3.2, {"low": (4.5, 4.444), "high": (1055.0, 78.0)}], {}),
    "shares": (
        [{"one": {"weights": 8, "MACs": 3.0}, "two": {"weights": 2, "MACs": 9.0}}],
        {"of": "one"},
    ),
}


@cache
def drawn(name: str) -> Figure:
    """Return the figure of one call, in the style that ``setup`` gives a page.

    Asserts that drawing it changes none of the arrays that are drawn.
    """
    arguments, options = CALLS[name]
    given = arrays([arguments, options])
    before = [array.copy() for array in given]
    with matplotlib.rc_context(drawing.STYLE):
        figure = getattr(drawing, name)(*arguments, **options)
    assert isinstance(figure, Figure)
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy, strict=True)
    return figure


def arrays(value: Any) -> list[Any]:
    """Return all the arrays somewhere in nested arguments."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [array for one in value for array in arrays(one)]
    return [value] if isinstance(value, np.ndarray) else []


@cache
def svg(name: str) -> bytes:
    """Return what is saved of the figure of one call."""
    file = BytesIO()
    drawing.save(drawn(name), file)  # type: ignore[arg-type]
    return file.getvalue()


def digests() -> dict[str, str]:
    return {name: hashlib.sha256(svg(name)).hexdigest() for name in CALLS}


def test_every_function_that_draws_is_tried_here() -> None:
    public = {
        name for name in drawing.__all__ if inspect.isfunction(getattr(drawing, name))
    }
    assert public == {*CALLS, "save"}, "give every new function a call in CALLS"


@pytest.mark.parametrize("name", CALLS)
def test_a_saved_figure_is_svg_without_a_date_and_unchanged_by_saving(
    name: str, tmp_path: Path
) -> None:
    once, path = svg(name), tmp_path / "again.svg"
    drawing.save(drawn(name), path if len(name) % 2 else str(path))
    assert path.read_bytes() == once
    assert b"<svg" in once
    assert b"dc:date" not in once


def test_another_process_that_hashes_otherwise_saves_the_same_bytes_without_a_variant(
    fresh_process: Callable[..., str],
) -> None:
    once = digests()
    assert len(set(once.values())) == len(CALLS)
    code = "import sys; from test_drawing import digests; print(digests()); print(*sys.modules)"
    there, modules = fresh_process(code, hash_seed="7").splitlines()
    assert there == repr(once)
    imported = [name for name in modules.split() if "convnotes." in name]
    assert imported
    assert all(name.startswith("convnotes.drawing") for name in imported), imported


# What the pictures say.


def texts(figure: Figure) -> list[str]:
    """Return all that is written in the figure, with the keyboard's minus sign."""
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [text.replace("−", "-") for text in written]


def cells(figure: Figure) -> list[Rectangle]:
    (axes,) = figure.axes
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def cells_edged(figure: Figure, color: str) -> int:
    return sum(cell.get_edgecolor()[:3] == to_rgb(color) for cell in cells(figure))


def test_a_step_says_the_products_and_their_sum() -> None:
    image = np.arange(12.0).reshape(3, 4)
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    # With a padding of 1 and a stride of 2, output (1, 1) reads from row and column 1.
    total = 5 * 1 + 6 * 2 + 9 * 3 + 10 * 4
    output = np.array([[0.0, 17.0, 6.0], [59.0, total, 61.0]])
    figure = drawing.step(image, kernel, output, (1, 1), stride=2, padding=1)
    said = "".join(texts(figure)).replace(" ", "")
    assert said.endswith("5·1+6·2+9·3+10·4=84")
    assert {"input", "kernel", "output"} < set(texts(figure))
    assert cells_edged(figure, drawing.INPUT) == 3 * 4
    assert cells_edged(figure, drawing.PADDING) == 5 * 6 - 3 * 4
    assert cells_edged(figure, drawing.KERNEL) == 2 * 2
    assert cells_edged(figure, drawing.OUTPUT) == 2 * 3


def test_a_step_spreads_the_kernel_by_the_dilation() -> None:
    output = np.zeros((4, 3))
    figure = drawing.step(IMAGE, [[1.0, 1.0]], output, (1, 2), dilation=2)
    # Row 1 of the image is -2 -1 0 1 2, and columns 2 and 4 are read.
    assert "".join(texts(figure)).replace(" ", "").endswith("0·1+2·1=0")


def test_a_step_is_named_as_told() -> None:
    names = ("map", "row", "sum")
    figure = drawing.step(IMAGE, KERNEL, np.zeros((3, 3)), (0, 0), names=names)
    assert set(names) < set(texts(figure))
    assert not {"input", "kernel", "output"} & set(texts(figure))


def test_a_stamp_marks_the_block_that_one_input_value_adds_to() -> None:
    input, kernel = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, -1.0]])
    figure = drawing.stamp(input, kernel, np.zeros((3, 4)), (1, 0), stride=2)
    said = texts(figure)
    assert said[said.index("product") + 1 :][:2] == ["3", "-3"]
    marked = [
        cell.get_xy()
        for cell in cells(figure)
        if min(to_rgb(cell.get_facecolor())) < 0.5
    ]
    gap, rows = 1.2, [2, 1, 1, 1, 1, 3, 3]
    columns = [0, *(2 + gap + v for v in (0, 1)), *(4 + 2 * gap + v for v in (0, 1))]
    columns += [6 + 3 * gap, 7 + 3 * gap]
    assert [y for _, y in marked] == rows
    assert [x for x, _ in marked] == pytest.approx(columns)


def test_a_stamp_greys_what_the_padding_crops() -> None:
    figure = drawing.stamp(IMAGE[:1], KERNEL, np.zeros((4, 5)), (0, 1), padding=1)
    assert cells_edged(figure, drawing.PADDING) == 4 * 5 - 2 * 3


def test_a_product_says_one_of_its_entries() -> None:
    weight, input = np.array([[1, 2, 0], [3, -1, 2]]), np.arange(12).reshape(3, 4)
    figure = drawing.product(weight, input, weight @ input, (1, 2), "a pixel a column")
    # Row 1 of the weights, and column 2 of the input: 2, 6 and 10.
    said = "".join(texts(figure)).replace(" ", "")
    assert said.endswith("3·2+(-1)·6+2·10=20")
    assert {"weight", "input, a pixel a column"} < set(texts(figure))
    marked = [
        cell.get_xy()
        for cell in cells(figure)
        if min(to_rgb(cell.get_facecolor())) < 0.5
    ]
    assert marked == [
        *((0, 2), (1, 2), (2, 2)),  # the row of the weights
        *((6.4, 1), (6.4, 2), (6.4, 3)),  # the column of the input, third of four
        (3 + 1.4 + 4 + 1.4 + 2, 2),  # the entry of the output
    ]


def test_channels_that_do_not_mix_have_no_kernel() -> None:
    weight = np.ones((2, 2, 2, 3))
    weight[1, 0] = NAN
    figure = drawing.channels(np.ones((2, 4, 5)), weight, np.ones((2, 3, 3)))
    assert [text for text in texts(figure) if text[-1:].isdigit() and " " in text] == [
        *("input channel 0", "input channel 1"),
        *("∗ filter 0, kernel 0", "∗ filter 0, kernel 1", "output channel 0"),
        *("∗ filter 1, kernel 1", "output channel 1"),
    ]


def test_a_plus_stands_between_kernels_and_nowhere_else() -> None:
    one_to_one = np.ones((3, 3, 2, 2))
    one_to_one[~np.eye(3, dtype=bool)] = NAN
    figure = drawing.channels(np.ones((3, 4, 5)), one_to_one, np.ones((3, 3, 4)))
    assert texts(figure).count("+") == 0


def test_grids_write_every_number_and_leave_nan_blank() -> None:
    figure = drawing.grids({"a": [[1.0, 2.5], [NAN, -3.0]], "b": [[40.0]]})
    assert texts(figure) == ["a", "1", "2.5", "-3", "b", "40"]


def test_a_stack_marks_what_the_output_sees() -> None:
    layers = [[[0, 1], [1, 2], [2, 3]], [[0, 1], [1, 2]]]
    figure = drawing.stack(layers, sizes=[4, 3, 2], of=1)
    marked = [
        cell.get_xy()
        for cell in cells(figure)
        if min(to_rgb(cell.get_facecolor())) < 0.5
    ]
    top, middle, bottom = sorted({y for _, y in marked})
    # The second output sees the last two of three positions, and these the last three of
    # four pixels. Each row of cells is centred above the four pixels.
    assert sorted(x for x, y in marked if y == top) == [1 + 1]
    assert sorted(x for x, y in marked if y == middle) == [1 + 0.5, 2 + 0.5]
    assert sorted(x for x, y in marked if y == bottom) == [1, 2, 3]


def test_a_matrix_has_a_cell_for_each_entry_that_is_not_zero() -> None:
    figure = drawing.matrix([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]], ["ab ", " ab"])
    places = [cell.get_xy() for cell in cells(figure)]
    assert places == [(0, 1), (1, 1), (1, 2), (2, 2)]
    colors = [cell.get_facecolor() for cell in cells(figure)]
    assert colors[0] == colors[2] != colors[1] == colors[3]
    assert texts(figure)[1:] == [*"abab"]


def test_variants_mark_the_positions_and_link_the_channels() -> None:
    named = {
        "read": ([(0, 2), (1.5, 0)], [np.eye(3)]),
        "written": ([(1, 1)], [[[1, 1]]]),
    }
    (axes,) = drawing.variants(named, written=["written"], side=3).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(np.asarray(line.get_xdata())) for line in dots] == [2, 1]
    assert [line.get_color() for line in dots] == [drawing.INPUT, drawing.OUTPUT]
    links = [line for line in axes.lines if line.get_color() == drawing.KERNEL]
    assert len(links) == 3 + 2  # the ones of the two matrices
    starts, ends = zip(*(line.get_ydata() for line in links[3:]), strict=True)
    assert (len({*starts}), len({*ends})) == (2, 1)  # two channels in, one out


def test_pictures_go_from_black_to_white() -> None:
    (axes,) = drawing.pictures({"ramp": [[-1.0, 0.0, 3.0]]}, levels=5).axes
    assert axes.get_title() == "ramp"
    assert [patch.get_facecolor()[0] for patch in axes.patches] == [0.0, 0.25, 1.0]


def test_curves_hold_the_numbers_they_were_given() -> None:
    named = {"a": ([1, 2], [3, 4]), "b": ([5], [6])}
    (axes,) = drawing.curves(named, "x", "y", title="t").axes
    for line, (name, points) in zip(axes.lines, named.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_data(), points)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("x", "y", "t")


def test_no_curve_is_left_out() -> None:
    figure = drawing.curves({str(n): ([0, 1], [0, n]) for n in range(6)}, "x", "y")
    assert len(figure.axes[0].lines) == 6


def test_a_roofline_bends_at_the_balance_point_and_holds_the_layers() -> None:
    layers = {"low": (4.5, 4.4444), "high": (1055.0, 78.0)}
    (axes,) = drawing.roofline(80.0, 3.2, layers).axes
    lines = {line.get_label(): line for line in axes.lines}
    (_, bend, _), (start, top, end) = map(np.asarray, lines["roof"].get_data())
    assert (bend, top, end) == (80 / 3.2, 80, 80)
    left = np.asarray(lines["roof"].get_xdata())[0]
    assert start == 3.2 * left < 3.2 * 4.5
    np.testing.assert_array_equal(lines["low"].get_data(), [[4.5], [4.44]])
    np.testing.assert_array_equal(lines["high"].get_data(), [[1060], [78]])
    assert texts(axes.figure)[-2:] == ["low", "high"]  # type: ignore[arg-type]


def test_shares_are_those_of_the_one_that_is_named() -> None:
    named = {"half": {"weights": 3, "MACs": 50}, "whole": {"weights": 6, "MACs": 100}}
    named["larger"] = {"weights": 6, "MACs": 12345}
    left, right = drawing.shares(named, of="whole").axes
    assert [axes.get_title() for axes in (left, right)] == ["weights", "MACs"]
    for axes, expected in ((left, [0.5, 1, 1]), (right, [0.5, 1, 123])):
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_xdata()[0] for line in dots] == expected  # type: ignore[index]
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == ["half", "whole", "larger"]
    assert [text.get_text() for text in right.texts] == ["0.50", "1.00", "123"]


def test_a_sample_is_four_pixels_each_by_its_share_of_a_square() -> None:
    figure = drawing.sample([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], (0.25, 1.5), 3.25)
    assert texts(figure)[0] == "input, sampled at row 0.25, column 1.5"
    said = "".join(text for text in texts(figure) if "·" in text).replace(" ", "")
    assert said == "0.75·0.5·2+0.75·0.5·3+0.25·0.5·5+0.25·0.5·6=3.25"
    square = cells(figure)[-1]
    assert (square.get_xy(), square.get_width()) == ((1.5, 1.25), 1)


def test_a_sample_beyond_the_border_has_the_pixels_that_are_there() -> None:
    figure = drawing.sample([[1.0, 2.0], [3.0, 4.0]], (1.5, 1), 2)
    said = "".join(text for text in texts(figure) if "·" in text).replace(" ", "")
    assert said == "0.5·1·4=2"


def test_moves_have_an_arrow_for_each_sample_that_moves() -> None:
    starts = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    ends = np.add(starts, [[0.0, 0.0], [0.5, 0.0], [0.0, -1.0]])
    figure = drawing.moves(
        IMAGE, {"still": (starts, starts), "moved": (starts, ends)}, (1, 2)
    )
    assert [len(axes.texts) for axes in figure.axes] == [0, 2]
    assert [axes.get_title() for axes in figure.axes] == ["still", "moved"]
    full = [line for line in figure.axes[1].lines if line.get_markersize() == 6]
    np.testing.assert_array_equal(full[0].get_data(), ends.T[::-1] + 0.5)


def test_a_layout_names_the_channels_of_each_kernel_position() -> None:
    figure = drawing.layout({"one": [[[0, 1], [2, 3]]], "two": [[[1, 0]]]})
    assert texts(figure) == [
        *("one", "Δy", "0", "Δx", "1", "Δy", "2", "Δx", "3"),
        *("two", "Δy", "1", "Δx", "0"),
    ]
