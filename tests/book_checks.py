"""What keeps prose and code in step: each check takes a path and lists the problems it finds.

The tests ask that there are none, of the book, and that there are some, of broken pages.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml  # type: ignore[import-untyped]
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbval.plugin import find_comment_markers, find_metadata_tags
from prose import not_printed, stated, without_fenced
from pybtex.database import Entry, parse_file  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent

VARIANTS = (
    "standard",
    "dilated",
    "transposed",
    "separable",
    "depthwise",
    "pointwise",
    "depthwise_separable",
    "grouped",
    "deformable",
)
SECTIONS = [
    "In one picture",
    "Definition",
    "In code",
    "Sizes",
    "Cost",
    "As a matrix",
    "In practice",
    "Sources and corrections",
    "Exercises",
]
CELL_LINES = 8
ALT_CHARACTERS = 30

# Exceptions, each with its reason.
NOT_COMPARED: dict[tuple[str, int], str] = {}  # (notebook's name, cell's number)
RASTERS: dict[tuple[str, int], str] = {}
NOT_PRINTED: dict[str, dict[str, str]] = {}  # page's name: number as written
WITHOUT_EXAMPLE = {  # a module, or a module's name
    "profiling.listening.Listener": "profile shows it; it listens to nothing by itself",
    "profiling.products.Products": "the same",
    "profiling.products.Counter": "it says what Products asks of a listener",
    "drawing": "a figure is not text; tests/test_drawing.py examines each",
}

Cells = Iterator[tuple[int, NotebookNode]]
Problems = Iterator[str]


def assert_none(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def pages(root: Path) -> list[Path]:
    """Return the book's pages, not what Jupyter keeps in hidden folders beside them."""
    return sorted(
        path
        for path in (root / "book").rglob("*")
        if path.suffix in {".md", ".ipynb"}
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def notebooks(root: Path) -> list[Path]:
    return [path for path in pages(root) if path.suffix == ".ipynb"]


def chapters(root: Path) -> list[Path]:
    """Return the notebooks of the variants, which follow one template."""
    return [path for path in notebooks(root) if path.stem in VARIANTS]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> Cells:
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield number, cell


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def alternative_text(cell: NotebookNode) -> str:
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")


# A notebook is stored as it was run, and all of it is compared when it is run again.


def notebook_problems(path: Path) -> list[str]:
    notebook = read(path)
    found = [
        *counts(notebook),
        *errors(notebook),
        *left_out(notebook, path.stem),
        *volatile(notebook),
        *long_cells(notebook),
        *images(notebook, path.stem),
        *setup(notebook),
    ]
    return [f"{path.name}: {problem}" for problem in found]


def counts(notebook: NotebookNode) -> Problems:
    """Nbval passes a cell that was never run."""
    for expected, (number, cell) in enumerate(code_cells(notebook), start=1):
        if cell.execution_count != expected:
            yield f"cell {number} has execution count {cell.execution_count}, not {expected}"


def errors(notebook: NotebookNode) -> Problems:
    for number, cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"cell {number} stores an error or a warning"


def left_out(notebook: NotebookNode, name: str) -> Problems:
    """Nbval has comments and tags that make it look away."""
    for number, cell in code_cells(notebook):
        markers = [
            *find_comment_markers(cell.source),
            *find_metadata_tags(cell.metadata),
        ]
        if markers and (name, number) not in NOT_COMPARED:
            yield f"cell {number} tells nbval not to compare it: {dict(markers)}"


def volatile(notebook: NotebookNode) -> Problems:
    """Report what would make two runs differ: times, random ids, versions."""
    for key in notebook.metadata.keys() - {"kernelspec", "language_info"}:
        yield f"metadata {key!r} need not be stored"
    if notebook.metadata.get("language_info") != {"name": "python"}:
        yield "metadata 'language_info' says more than the language's name"
    for number, cell in enumerate(notebook.cells):
        for key in cell.metadata.keys() - {"tags", "mystnb"}:
            yield f"cell {number} has metadata {key!r}, which need not be stored"
        if cell.get("id") != f"cell-{number}":
            yield f"cell {number} has id {cell.get('id')!r}, not 'cell-{number}'"


def long_cells(notebook: NotebookNode) -> Problems:
    for number, cell in code_cells(notebook):
        lines = len([line for line in cell.source.splitlines() if line.strip()])
        folded = {"hide-input", "hide-cell"} & set(tags(cell))
        if lines > CELL_LINES and not folded:
            yield f"cell {number} has {lines} lines: show {CELL_LINES} or hide it"


def images(notebook: NotebookNode, name: str) -> Problems:
    """Ask for a description, for who cannot see the image, and for SVG, which nbval compares."""
    for number, cell in code_cells(notebook):
        alt = alternative_text(cell)
        for output in cell.outputs:
            kinds = {key for key in output.get("data", {}) if key.startswith("image/")}
            if kinds and len(alt) < ALT_CHARACTERS:
                yield f"cell {number} has an image without alternative text"
            if kinds - {"image/svg+xml"} and (name, number) not in RASTERS:
                yield f"cell {number} has an image that is not SVG: {sorted(kinds)}"
            described = {"image/svg+xml": {"alt": alt}}
            if "image/svg+xml" in kinds and output.metadata != described:
                yield f"cell {number} has an output without its cell's alternative text"


def setup(notebook: NotebookNode) -> Problems:
    first = next((cell.source for _, cell in code_cells(notebook)), "")
    if not re.search(r"^notebook\.setup\(", first, re.MULTILINE):
        yield "the first code cell does not call notebook.setup()"


# A number in the text is printed on the same page.


def number_problems(path: Path) -> list[str]:
    text = prose(path)
    allowed = NOT_PRINTED.get(path.stem, {})
    needless = allowed.keys() - {number.text for number in stated(text)}
    return [
        *(
            f"{path.name}: {number!r} is stated, and printed by no cell of the page"
            for number in not_printed(text, outputs(path))
            if number not in allowed
        ),
        *(
            f"{path.name}: {number!r} is allowed, and stated nowhere"
            for number in needless
        ),
    ]


def prose(path: Path) -> str:
    """Return what a page says in words, figures' texts included, as Markdown."""
    if path.suffix == ".md":  # its Python code is run by a test
        return without_fenced(path.read_text("utf-8"), "python")
    parts = []
    for cell in read(path).cells:
        if cell.cell_type == "code":
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            parts += [alternative_text(cell), figure.get("caption", "")]
        else:
            parts.append(cell.source)
    return "\n\n".join(parts)


def outputs(path: Path) -> Iterator[str]:
    """Yield what the cells of a page print."""
    if path.suffix == ".md":
        return
    for _, cell in code_cells(read(path)):
        for output in cell.outputs:
            data = output.get("data", {})
            yield output.get("text", "")
            yield BeautifulSoup(data.get("text/html", ""), "html.parser").get_text(" ")
            if not any(kind.startswith("image/") for kind in data):
                yield data.get("text/plain", "")  # of an image it says the inches


# The chapters follow one template, and the bibliography is theirs.


def headings(markdown: str) -> list[tuple[int, str]]:
    r"""Return (level, text) of each heading.

    >>> headings("# Title\n\nText.\n\n### 1. By hand ###\n")
    [(1, 'Title'), (3, '1. By hand')]
    """
    found = re.findall(
        r"^(#{1,6}) +(.+?)(?: +#+)?$", without_fenced(markdown), re.MULTILINE
    )
    return [(len(marks), text) for marks, text in found]


def section_problems(path: Path) -> list[str]:
    found = [text for level, text in headings(prose(path)) if level == 2]
    return [] if found == SECTIONS else [f"{path.name}: the sections are {found}"]


def exercise_problems(path: Path) -> list[str]:
    """Each level-3 heading below Exercises is followed by a hidden code cell, its solution."""
    solved: dict[str, bool] = {}
    section = exercise = ""
    for cell in read(path).cells:
        if cell.cell_type == "code":
            if exercise and "hide-cell" in tags(cell):
                solved[exercise] = True
            continue
        for level, text in headings(cell.source):
            if level == 2:
                section = text
            exercise = text if level == 3 and section == "Exercises" else ""
            if exercise:
                solved[exercise] = False
    unsolved = [exercise for exercise, done in solved.items() if not done]
    return [
        *(f"{path.name}: exercise {text!r} has no solution" for text in unsolved),
        *([] if solved else [f"{path.name}: there are no exercises"]),
    ]


def bibliography_problems(root: Path) -> list[str]:
    entries = parse_file(root / "book" / "references.bib").entries
    roles = [
        role
        for path in pages(root)
        for role in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", prose(path))
    ]
    cited = {key.strip() for role in roles for key in role.split(",")}
    return [
        *(f"{key} has no {part}" for key in entries for part in missing(entries[key])),
        *(f"{key} is cited nowhere" for key in entries.keys() - cited),
        *(f"{key} is cited, and is no entry" for key in cited - set(entries.keys())),
    ]


def missing(entry: Entry) -> Problems:
    if not entry.persons.get("author"):
        yield "author"
    for field in ("title", "year"):
        if not entry.fields.get(field):
            yield field
    if not any(entry.fields.get(field) for field in ("doi", "url", "eprint")):
        yield "doi, url or eprint"


# One stem everywhere, and imports that run one way.


def modules(root: Path) -> dict[str, ast.Module]:
    """Parse the package's modules, by name; "drawing.canvas" is a part of "drawing"."""
    package = root / "convnotes"
    return {
        ".".join(path.relative_to(package).with_suffix("").parts): ast.parse(
            path.read_text("utf-8")
        )
        for path in sorted(package.rglob("*.py"))
    }


def stem(module: str) -> str:
    """Return the name by which the rest of the project knows a module.

    >>> stem("drawing.canvas"), stem("standard")
    ('drawing', 'standard')
    """
    return module.split(".")[0]


def stems(root: Path) -> set[str]:
    return {stem(module) for module in modules(root)} - {"__init__"}


def layout_problems(root: Path) -> list[str]:
    contents = set(files_in_contents(root))
    expected = [
        *(f"convnotes/{path.stem}.py" for path in chapters(root)),
        *(f"tests/test_{name}.py" for name in sorted(stems(root))),
    ]
    named = [path.relative_to(root).with_suffix("").as_posix() for path in pages(root)]
    return [
        *(f"{file} is missing" for file in expected if not (root / file).exists()),
        *(f"{page} is not in _toc.yml" for page in named if page not in contents),
    ]


def files_in_contents(root: Path) -> list[str]:
    """Return the pages that ``_toc.yml`` lists, in order and without suffix."""

    def listed(entry: Any) -> Iterator[str]:
        if isinstance(entry, list):
            for part in entry:
                yield from listed(part)
        elif isinstance(entry, Mapping):
            for key, value in entry.items():
                if key in {"root", "file"}:
                    yield value
                yield from listed(value)

    return list(listed(yaml.safe_load((root / "_toc.yml").read_text("utf-8"))))


LAYERS = (
    {"arguments"},
    {"shapes", "windows", "costs"},
    set(VARIANTS),
    {"comparison", "matrices", "networks", "profiling", "receptive_field"},
)
DRAW_THEMSELVES = {"profiling"}


APART = {
    "__init__": set[str](),
    "drawing": {"drawing"},
    "explorer": {"arguments", "shapes", "explorer"},
    "notebook": {"drawing"},
}


def may_import(name: str) -> set[str] | None:
    """Which modules of the package one may import: its layer and those below.

    >>> sorted(may_import("windows"))
    ['arguments', 'costs', 'shapes', 'windows']
    """
    for height, layer in enumerate(LAYERS, start=1):
        if name in layer:
            draws = {"drawing"} if name in DRAW_THEMSELVES else set()
            return draws.union(*LAYERS[:height])
    return APART.get(name)


def import_problems(root: Path) -> list[str]:
    found = []
    for module, tree in modules(root).items():
        allowed = may_import(stem(module))
        if allowed is None:
            found.append(f"{module} has no place among the layers of book_checks.py")
            continue
        found += [
            f"{module} imports {origin}"
            for _, origin in imports(tree)
            if origin.split(".")[0] in {"benchmarks", "book", "tests", "tools"}
            or (origin.startswith("convnotes.") and sibling(origin) not in allowed)
        ]
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    r"""Yield each name that the code imports, and where it comes from.

    >>> dict(imports(ast.parse("import numpy as np\nfrom .shapes import size")))
    {'np': 'numpy', 'size': 'convnotes.shapes.size'}
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            package = "convnotes" if node.level else None
            for alias in node.names:
                parts = filter(None, [package, node.module, alias.name])
                yield alias.asname or alias.name, ".".join(parts)


def sibling(origin: str) -> str:
    """Return the module of the package that a name comes from, "" if from none.

    >>> sibling("convnotes.shapes.conv_output_size"), sibling("numpy")
    ('shapes', '')
    """
    package, *rest = origin.split(".")
    return rest[0] if package == "convnotes" and rest else ""


def oracle_problems(root: Path) -> list[str]:
    """See that the loops share nothing with the fast forms, which are tested against them."""
    return [
        f"{module}.{function} uses {origin}"
        for module, tree in modules(root).items()
        for function in definitions(tree)
        if function.endswith("_loops")
        for origin in sorted(used_by(function, tree))
        if origin.startswith("torch")
        or sibling(origin) not in {"", "arguments", "shapes"}
    ]


def definitions(tree: ast.Module) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def used_by(function: str, tree: ast.Module) -> set[str]:
    """Return where the names come from that a function uses, itself or by its neighbours."""
    local, imported = definitions(tree), dict(imports(tree))
    names, new = {function}, {function}
    while new:
        names |= new
        new = {
            node.id
            for name in new & local.keys()
            for node in ast.walk(local[name])
            if isinstance(node, ast.Name)
        } - names
    return {imported[name] for name in names & imported.keys()}


def documentation_problems(root: Path) -> list[str]:
    """See that each public function and class has an example, each module its place on a page."""
    page = (root / "book" / "api.md").read_text("utf-8")
    return [
        *(
            f"{module}.{name} has no example in its docstring"
            for module, tree in modules(root).items()
            for name, definition in definitions(tree).items()
            if not name.startswith("_")
            and ">>> " not in (ast.get_docstring(definition) or "")
            and not {stem(module), f"{module}.{name}"} & WITHOUT_EXAMPLE.keys()
        ),
        *(
            f"convnotes.{name} is not on the API page with its members"
            for name in sorted(stems(root))
            if f".. automodule:: convnotes.{name}\n   :members:\n" not in page
        ),
    ]


def all_problems(root: Path) -> list[str]:
    found = [
        *layout_problems(root),
        *import_problems(root),
        *oracle_problems(root),
        *documentation_problems(root),
        *bibliography_problems(root),
    ]
    for path in pages(root):
        found += number_problems(path)
    for path in notebooks(root):
        found += notebook_problems(path)
    for path in chapters(root):
        found += [*section_problems(path), *exercise_problems(path)]
    return found
