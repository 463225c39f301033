"""Prose and code are in step: of the book nothing is reported, of a broken book something is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import nbformat
import pytest
from book_checks import (
    NOT_PRINTED,
    ROOT,
    all_problems,
    assert_none,
    bibliography_problems,
    chapters,
    documentation_problems,
    exercise_problems,
    import_problems,
    layout_problems,
    notebook_problems,
    notebooks,
    number_problems,
    oracle_problems,
    pages,
    section_problems,
)
from nbformat import NotebookNode, v4
from prose import fenced, not_printed, numbers, run_python, stated

from tools.notebooks import main

# The book.


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", notebooks(ROOT), ids=name)
def test_a_notebook_is_stored_as_it_ran(path: Path) -> None:
    assert_none(notebook_problems(path))


@pytest.mark.parametrize("path", pages(ROOT), ids=name)
def test_every_number_in_the_text_is_printed_on_the_page(path: Path) -> None:
    assert_none(number_problems(path))


@pytest.mark.parametrize("path", chapters(ROOT), ids=name)
@pytest.mark.parametrize("check", [section_problems, exercise_problems])
def test_a_chapter_follows_the_template(
    check: Callable[[Path], list[str]], path: Path
) -> None:
    assert_none(check(path))


@pytest.mark.parametrize(
    "check",
    [
        layout_problems,
        import_problems,
        oracle_problems,
        documentation_problems,
        bibliography_problems,
    ],
)
def test_package_pages_and_bibliography_fit_together(
    check: Callable[[Path], list[str]],
) -> None:
    assert_none(check(ROOT))


def test_python_code_in_pages_without_cells_runs() -> None:
    for path in pages(ROOT):
        if path.suffix == ".md":
            for code in fenced(path.read_text("utf-8"), "python"):
                run_python(code, path.name, {})


# A small book of which nothing is reported, and what is reported when it breaks in one place.

PICTURE = "A grid of four by five numbers, and a kernel on it."


def small_chapter() -> NotebookNode:
    picture = v4.new_output(
        "execute_result",
        {"image/svg+xml": "<svg/>", "text/plain": "<Figure size 123.4x567.8>"},
        execution_count=2,
        metadata={"image/svg+xml": {"alt": PICTURE}},
    )
    described = {"mystnb": {"image": {"alt": PICTURE}}, "tags": ["hide-input"]}
    printed = v4.new_output("stream", name="stdout", text="442368 MACs, 0.28")
    cells = [
        v4.new_markdown_cell("See {cite:p}`known`.\n\n## In one picture"),
        v4.new_code_cell("from convnotes import notebook\n\nnotebook.setup()"),
        v4.new_code_cell("draw()", outputs=[picture], metadata=described),
        v4.new_markdown_cell(
            "## Definition\n\n## In code\n\n## Sizes\n\n## Cost\n\n"
            "It takes 442,368 MACs, 28 % fewer.\n\n## As a matrix\n\n## In practice\n\n"
            "## Sources and corrections\n\n## Exercises\n\n### 1. By hand"
        ),
        v4.new_code_cell("cost()", outputs=[printed], metadata={"tags": ["hide-cell"]}),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    for count, number in enumerate([1, 2, 4], start=1):
        cells[number].execution_count = count
    return v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


SHAPES = '''
def size():
    """
    >>> size()
    3
    """
    return 3
'''
STANDARD = '''
import torch
from convnotes.shapes import size

def conv():
    """
    >>> conv()
    """
    return torch.ones(size())

def _plain():
    return size()

def conv_loops():
    """
    >>> conv_loops()
    """
    return _plain()
'''
API = """
.. automodule:: convnotes.drawing
   :members:

.. automodule:: convnotes.shapes
   :members:

.. automodule:: convnotes.standard
   :members:
"""
BIB = "@misc{known, author={A}, title={B}, year={2016}, doi={10.1/2}}"
NEW = BIB.replace("known", "new")
SMALL_BOOK = {
    "_toc.yml": "{root: book/intro, chapters: [file: book/standard, file: book/api]}",
    "book/intro.md": "# Intro\n\nA few words.\n",
    "book/standard.ipynb": nbformat.writes(small_chapter()),
    "book/api.md": API,
    "book/references.bib": BIB,
    "convnotes/__init__.py": "",
    "convnotes/drawing/__init__.py": "from convnotes.drawing.canvas import draw",
    "convnotes/drawing/canvas.py": "def draw(): ...",
    "convnotes/shapes.py": SHAPES,
    "convnotes/standard.py": STANDARD,
    "tests/test_drawing.py": "",
    "tests/test_shapes.py": "",
    "tests/test_standard.py": "",
}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for file, text in SMALL_BOOK.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, "utf-8")
    return tmp_path


def test_of_a_book_in_order_nothing_is_reported(book: Path) -> None:
    assert all_problems(book) == []


def change(path: Path, there: str, instead: str) -> None:
    text = path.read_text("utf-8")
    assert there in text
    path.write_text(text.replace(there, instead), "utf-8")


def assert_reported(book: Path, report: str) -> None:
    """Assert that just the one problem is reported, once or more often."""
    problems = all_problems(book)
    assert problems
    assert [problem for problem in problems if report not in problem] == []


SETUP = '"from convnotes import notebook\\n",\n    "\\n",\n    "notebook.setup()"'
DESCRIBED = f'"image/svg+xml": {{\n       "alt": "{PICTURE}"\n      }}'


@pytest.mark.parametrize(
    ("there", "instead", "report"),
    [
        # It is stored as it ran.
        ('count": 3', 'count": null', "cell 4 has execution count None, not 3"),
        ('count": 3', 'count": 7', "cell 4 has execution count 7, not 3"),
        ('"stream"', '"error"', "cell 4 stores an error or a warning"),
        ('"stdout"', '"stderr"', "cell 4 stores an error or a warning"),
        ("cost()", "# NBVAL_SKIP\\n", "cell 4 tells nbval not to compare it"),
        ("cost()", "# NBVAL_IGNORE_OUTPUT", "cell 4 tells nbval not to compare it"),
        ("hide-input", "nbval-ignore-output", "cell 2 tells nbval not to compare it"),
        ("hide-input", "raises-exception", "cell 2 tells nbval not to compare it"),
        ('"mystnb"', '"execution": {}, "mystnb"', "cell 2 has metadata 'execution'"),
        ('"name": "python"', '"name": "python", "version": "3"', "says more than"),
        ('"language_info"', '"widgets": {}, "language_info"', "metadata 'widgets'"),
        ('"cell-1"', '"0a05a9eb"', "cell 1 has id '0a05a9eb', not 'cell-1'"),
        (SETUP, SETUP + ', "' + "\\n1" * 8 + '"', "cell 1 has 10 lines: show 8"),
        ("notebook.setup()", "", "does not call notebook.setup()"),
        # Its pictures are described, and compared.
        (PICTURE, "", "cell 2 has an image without alternative text"),
        (PICTURE, "A grid.", "cell 2 has an image without alternative text"),
        (DESCRIBED, "", "cell 2 has an output without its cell's alternative text"),
        ('"image/svg+xml"', '"image/png"', "cell 2 has an image that is not SVG"),
        # Its numbers are printed.
        ("442,368", "442,369", "'442,369' is stated, and printed by no cell"),
        ("28 %", "29 %", "'29 %' is stated, and printed by no cell"),
        (
            '"image": {',
            '"figure": {"caption": "108"}, "image": {',
            "'108' is stated, and printed by no cell",
        ),
        ("442368", "442360", "'442,368' is stated, and printed by no cell"),
        (" a kernel", " 123.4 kernels", "'123.4' is stated, and printed by no cell"),
        # It follows the template.
        ("## In code", "### In code", "the sections are"),
        ("## Sizes\\n", "## Cost\\n", "the sections are"),
        ("hide-cell", "hide-input", "exercise '1. By hand' has no solution"),
        ("1. By hand", "1.\\n### 2.", "exercise '1.' has no solution"),
        ("### 1. By hand", "None.", "there are no exercises"),
    ],
)
def test_a_break_in_a_chapter_is_reported(
    book: Path, there: str, instead: str, report: str
) -> None:
    change(book / "book" / "standard.ipynb", there, instead)
    assert_reported(book, report)


def test_a_cell_may_be_long_when_it_is_folded(book: Path) -> None:
    change(book / "book" / "standard.ipynb", "draw()", "draw()" + r"\n1" * 8)
    assert all_problems(book) == []


@pytest.mark.parametrize(
    ("file", "there", "instead", "report"),
    [
        ("book/intro.md", "A few", "108", "intro.md: '108' is stated"),
        # The parts of a chapter have one stem.
        ("_toc.yml", "book/standard", "book/intro", "book/standard is not in _toc.yml"),
        # Imports run one way.
        ("convnotes/shapes.py", "\ndef", "import tools\ndef", "shapes imports tools"),
        (
            "convnotes/shapes.py",
            "return 3",
            "from .standard import conv",
            "shapes imports convnotes.standard.conv",
        ),
        (
            "convnotes/standard.py",
            "import torch",
            "import torch, convnotes.matrices",
            "standard imports convnotes.matrices",
        ),
        (
            "convnotes/standard.py",
            "import torch",
            "import torch\nfrom convnotes import drawing",
            "standard imports convnotes.drawing",
        ),
        (
            "convnotes/drawing/canvas.py",
            "def draw",
            "import convnotes.shapes\ndef draw",
            "drawing.canvas imports convnotes.shapes",
        ),
        # The loops stand alone.
        (
            "convnotes/standard.py",
            "return _plain()",
            "return torch.ones(3)",
            "standard.conv_loops uses torch",
        ),
        (
            "convnotes/standard.py",
            "return _plain()",
            "return conv()",
            "standard.conv_loops uses torch",
        ),
        (
            "convnotes/standard.py",
            "def _plain():\n    return size()",
            "def _plain():\n    from convnotes.dilated import dilated\n    return dilated()",
            "standard.conv_loops uses convnotes.dilated.dilated",
        ),
        # What is public is documented.
        ("convnotes/standard.py", ">>> conv()", "", "standard.conv has no"),
        (
            "book/api.md",
            "shapes",
            "standard",
            "convnotes.shapes is not on the API page",
        ),
        ("book/api.md", "   :members:", "", "is not on the API page with its members"),
        # The bibliography is whole, and used.
        ("book/references.bib", "author", "editor", "known has no author"),
        ("book/references.bib", "title={B}", "title={}", "known has no title"),
        ("book/references.bib", "year", "month", "known has no year"),
        ("book/references.bib", "doi", "note", "known has no doi, url or eprint"),
        ("book/references.bib", BIB, BIB + NEW, "new is cited nowhere"),
        (
            "book/intro.md",
            "A few",
            "{cite:t}`known, lost`",
            "lost is cited, and is no entry",
        ),
    ],
)
def test_a_break_in_the_book_is_reported(
    book: Path, file: str, there: str, instead: str, report: str
) -> None:
    change(book / file, there, instead)
    assert_reported(book, report)


@pytest.mark.parametrize(
    ("file", "report"),
    [
        ("convnotes/standard.py", "convnotes/standard.py is missing"),
        ("tests/test_standard.py", "tests/test_standard.py is missing"),
        ("tests/test_drawing.py", "tests/test_drawing.py is missing"),
    ],
)
def test_a_missing_file_is_reported(book: Path, file: str, report: str) -> None:
    (book / file).unlink()
    assert all_problems(book) == [report]


def test_a_module_without_a_place_in_the_layers_is_reported(book: Path) -> None:
    (book / "convnotes" / "extra.py").touch()
    (book / "tests" / "test_extra.py").touch()
    assert import_problems(book) == [
        "extra has no place among the layers of book_checks.py"
    ]


def test_a_number_is_let_pass_with_a_reason_and_only_while_it_is_stated(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NOT_PRINTED, "intro", {"108": "said elsewhere"})
    assert all_problems(book) == ["intro.md: '108' is allowed, and stated nowhere"]
    (book / "book" / "intro.md").write_text("108 weights")
    assert all_problems(book) == []


# Which numbers a text states.


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        # Three digits, a decimal point, a power of ten, a percentage.
        ("It has 108 weights, 27 + 12 here", ["108"]),
        ("10,000 values in 0.5 s", ["10,000", "0.5"]),
        ("half is 33 %, a third 28%", ["33 %", "28%"]),
        ("half of it is .5", [".5"]),
        ("a step of 1e-3 or of 2E6", ["1e-3", "2E6"]),
        ("from -0.25 to −128", ["-0.25", "−128"]),
        # Written for the eye, and in LaTeX.
        ("1\u2009234\u2009567", ["1\u2009234\u2009567"]),
        ("1\u202f234 or 1\u00a0234", ["1\u202f234", "1\u00a0234"]),
        (r"$2{,}359{,}296 \times 512$", ["2{,}359{,}296", "512"]),
        (r"$2\,359\,296\times512$ and $33\,\%$", [r"2\,359\,296", "512", r"33\,\%"]),
        (r"$x-101$ or $10^{-3}$", ["101"]),
        ("`stride=128`", ["128"]),
        # At the end of a sentence, in brackets, in lists and tables.
        ("It costs 589,824.", ["589,824"]),
        ("It is 0.5. Then (1024), 256; 512: end", ["0.5", "1024", "256", "512"]),
        ("2, 4, 6 and 2,4,6", []),
        ("1,2345", ["2345"]),
        ("| 108 | 64 |\n|---|---|\n| 12 | 442,368 |", ["108", "442,368"]),
        # Shapes.
        ("3×3 on 8×64×56×56 gives 20×33×24×49", []),
        ("64×112×112", ["112", "112"]),
        # Names and versions.
        ("S0, conv2d, float32, x100, C_256, ResNet-101, CIFAR-100", []),
        ("torch v2.13.0, v2.13, 3.11.7", []),
        # Years.
        (f"in 1950, 2012 and {date.today().year + 1}", []),
        ("in 1949, 2,012 or 2012 %", ["1949", "2,012", "2012 %"]),
        (f"in {date.today().year + 2}", [str(date.today().year + 2)]),
        # Links, labels, citations.
        ("[two layers](page-512.md#100) and [S0]", []),
        ("[512](page.md)", ["512"]),
        ("<https://example.org/512> or https://example.org/512/1.5", []),
        ("[site]: https://example.org/512", []),
        ("[^note]: There are 512.", ["512"]),
        (
            "{cite:p}`araujo2019, he2016` {cite}`x-100` {eq}`eq-100` {ref}`a <b-200>`",
            [],
        ),
        ("{math}`512`", ["512"]),
        ("(part-512)=\n## Part", []),
        ("$$\nx = 512\n$$ (eq-100)", ["512"]),
        ("arXiv:1603.07285, arXiv: 1603.07285v2, doi 10.23915/distill.00021", []),
        # Figures, comments, front matter.
        (
            "```{figure} image-512.svg\n:width: 300px\n:alt: 108 cells\n\nIt has 256.\n```",
            ["108", "256"],
        ),
        (":::{note} Of 512\n:class: c100\nSo 256.\n:::", ["512", "256"]),
        ("<!-- 512 --> See\n% 512\nbelow", []),
        ("---\nkey: 512\n---\n# Title", []),
    ],
)
def test_the_numbers_that_a_text_states(markdown: str, expected: list[str]) -> None:
    assert [number.text for number in stated(markdown)] == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("tensor([4., 5.5, -6.])", [4, 5.5, -6]),
        ("torch.Size([20, 33, 24, 49])", [20, 33, 24, 49]),
        ("Cost(params=108, macs=442368)", [108, 442368]),
        ("1.0000e-03 2.5E+6", [0.001, 2.5e6]),
        ("442,368 28%", [442368, 28]),
        ("[1,2,3]", [1, 2, 3]),
        ("float32 conv2d S0", []),
    ],
)
def test_the_numbers_that_a_cell_prints(text: str, values: list[float]) -> None:
    assert [float(number.value) for number in numbers(text)] == values


@pytest.mark.parametrize(
    ("markdown", "output", "missing"),
    [
        ("442,368", "442368", []),
        (r"$442{,}368$", "442,368", []),
        ("442,368", "442369", ["442,368"]),
        ("442,368", "1442368", ["442,368"]),
        ("15.4", "15.4", []),
        ("15.4", "15.40", []),
        ("15.4", "15.37", ["15.4"]),
        ("15.0", "15", []),
        ("1e-3", "0.001", []),
        ("33 %", "33", []),
        ("33 %", "33%", []),
        ("33 %", "0.33", []),
        ("33 %", "0.333", ["33 %"]),
        ("0.33", "33", ["0.33"]),
        ("falls by 0.25", "-0.25", []),
        ("−0.25", "-0.25", []),
        ("−0.25", "0.25", ["−0.25"]),
        ("108", "conv108", ["108"]),
        ("108", "", ["108"]),
    ],
)
def test_nothing_is_rounded(markdown: str, output: str, missing: list[str]) -> None:
    assert not_printed(markdown, [output]) == missing


# Notebooks run, and what they compute is compared.

SMALL_NOTEBOOK = [
    "from convnotes import drawing, notebook, shapes\n\nnotebook.setup()",
    "shapes.effective_kernel_size(3, dilation=2)",
    "shapes.conv_output_size(50, kernel_size=3, stride=2)",
    'drawing.grids({"a grid": [[1, 2], [3, 4]]})',
]


@pytest.fixture(scope="module")
def small_notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store a notebook as ``make notebooks`` does."""
    path = tmp_path_factory.mktemp("book") / "small.ipynb"
    cells = [v4.new_code_cell(source) for source in SMALL_NOTEBOOK]
    cells[3].metadata = {"mystnb": {"image": {"alt": PICTURE}}}
    nbformat.write(v4.new_notebook(cells=cells), path)
    main([str(path)])
    return path


def test_the_notebooks_command_stores_what_the_checks_ask_for(
    small_notebook: Path,
) -> None:
    assert_none(notebook_problems(small_notebook))


def test_a_notebook_that_runs_again_is_the_same_to_the_byte(
    small_notebook: Path, tmp_path: Path
) -> None:
    again = Path(shutil.copy(small_notebook, tmp_path))
    main([str(again)])
    assert again.read_bytes() == small_notebook.read_bytes()


def test_a_wrong_formula_fails_the_notebook_that_shows_it(
    small_notebook: Path, tmp_path: Path
) -> None:
    """Nbval runs the formulas with a copy of the package, in which one of them is wrong."""
    shutil.copytree(ROOT / "convnotes", tmp_path / "convnotes")
    shapes = tmp_path / "convnotes" / "shapes.py"
    change(shapes, "room // stride + 1", "room // stride + 2")
    notebook = nbformat.read(small_notebook, as_version=4)
    notebook.cells = notebook.cells[:3]
    notebook.cells[0].source = "from convnotes import shapes"
    nbformat.write(notebook, tmp_path / "formulas.ipynb")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--rootdir", tmp_path, "--nbval", "--nbval-current-env"),
            tmp_path / "formulas.ipynb",
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 2 passed" in done.stdout
    assert "24" in done.stdout
    assert "25" in done.stdout
