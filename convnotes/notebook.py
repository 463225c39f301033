"""What every notebook of the book does in its first cell, and how it shows code."""

import ast
import inspect
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch

from convnotes.drawing import STYLE


def setup(seed: int = 0) -> None:
    """Fix what could make two runs of a notebook differ.

    Seeds torch and NumPy, runs torch on one thread with deterministic algorithms,
    sets how numbers print, and shows figures as SVG that is the same every time.

    >>> setup()
    >>> torch.get_num_threads()
    1
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  for libraries that use the global generator
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_… loads the compiler as well
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=88, profile="default")
    np.set_printoptions(precision=4, suppress=True, linewidth=88)
    matplotlib.rcParams.update(STYLE)
    try:
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except (
        ModuleNotFoundError
    ):  # plain Python: there is no notebook to show a figure in
        return
    if get_ipython() is not None:
        set_matplotlib_formats("svg", metadata={"Date": None, "Creator": None})


def timings(case: str, record: str | Path = "../benchmarks/record.json") -> None:
    """Print the medians that the benchmark record holds for the cases that begin so.

    Nothing is timed here: the record says when and on what machine that was done, and
    is made anew by ``make bench``. The path is seen from the folder of the notebooks.
    Raises ``ValueError`` if no case begins so.

    >>> import tempfile
    >>> ways = {"convnotes": 3.0, "torch": 2.0}
    >>> result = {"case": "standard", "threads": 1, "ms": ways, "ratio": 1.5}
    >>> stored = {"machine": "a laptop", "versions": {"torch": "2"}, "date": "2026-11-23"}
    >>> with tempfile.NamedTemporaryFile("w+", suffix=".json") as file:
    ...     json.dump(stored | {"results": [result]}, file)
    ...     file.flush()
    ...     timings("standard", record=file.name)
    a laptop; torch 2; 2026-11-23
    standard, 1 thread
        convnotes 3.00 ms, torch 2.00 ms, ratio 1.50
    """
    stored = json.loads(Path(record).read_text(encoding="utf-8"))
    results = [one for one in stored["results"] if one["case"].startswith(case)]
    if not results:
        raise ValueError(f"case={case!r}: expected the beginning of a case in {record}")
    versions = ", ".join(
        f"{name} {version}" for name, version in stored["versions"].items()
    )
    print(f"{stored['machine']}; {versions}; {stored['date']}")
    for result in results:
        threads = f"{result['threads']} thread{'s' * (result['threads'] > 1)}"
        print(f"{result['case']}, {threads}")
        taken = [f"{way} {ms:.2f} ms" for way, ms in result["ms"].items()]
        if "ratio" in result:
            taken.append(f"ratio {result['ratio']:.2f}")
        line = ", ".join(taken).replace(" ", "\N{NO-BREAK SPACE}")
        line = line.replace(",\N{NO-BREAK SPACE}", ", ")  # here it may break
        lines = textwrap.fill(line, width=76).replace("\N{NO-BREAK SPACE}", " ")
        print(textwrap.indent(lines, "    "))


class Measured(NamedTuple):
    """What the benchmark record says of one thing that was timed, for a roofline.

    >>> Measured(ms=2.0, intensity=3.0, macs=3.0, elements=1.0).elements
    1.0
    """

    ms: float
    """The median time."""
    intensity: float
    """MACs for each element moved."""
    macs: float
    """Thousand millions of MACs a second."""
    elements: float
    """Thousand millions of elements moved a second."""


def measured(
    case: str, threads: int, record: str | Path = "../benchmarks/record.json"
) -> dict[str, Measured]:
    """Return what the record says of all that one case timed, on so many threads.

    Nothing is timed here, as in ``timings``. Raises ``ValueError`` if the record has no
    such case, or no counts of what the case computes and moves.

    >>> layers = measured("depthwise roofline", 1, "benchmarks/record.json")
    >>> round(layers["depthwise"].intensity, 1)
    4.5
    """
    stored = json.loads(Path(record).read_text(encoding="utf-8"))
    for result in stored["results"]:
        asked = (result["case"], result["threads"]) == (case, threads)
        if asked and "macs" in result:
            return {
                way: _measured(ms, result["macs"][way], result["elements"][way])
                for way, ms in result["ms"].items()
            }
    raise ValueError(
        f"case={case!r} with threads={threads!r}: expected one that {record} has counts of"
    )


def _measured(ms: float, macs: int, elements: int) -> Measured:
    return Measured(ms, macs / elements, macs / ms / 1e6, elements / ms / 1e6)


class Source:
    """Source code that a notebook shows highlighted, and any other place as text.

    >>> Source("x = 1")
    x = 1
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def show_source(function: Callable[..., Any]) -> Source:
    """Return the source of a function of the package, without its docstring.

    The page shows what is installed and tested, never a copy of it.

    >>> from convnotes.shapes import effective_kernel_size
    >>> show_source(effective_kernel_size)
    def effective_kernel_size(kernel_size: int, dilation: int = 1) -> int:
        kernel_size = integer("kernel_size", kernel_size, minimum=1)
        dilation = integer("dilation", dilation, minimum=1)
        return dilation * (kernel_size - 1) + 1
    """
    source = textwrap.dedent(inspect.getsource(function))
    lines = source.rstrip().splitlines()
    for node in reversed(list(ast.walk(ast.parse(source)))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            docstring = node.body[0]
            end = docstring.end_lineno or docstring.lineno
            followed_by_blank = lines[end : end + 1] == [""]
            del lines[docstring.lineno - 1 : end + followed_by_blank]
    return Source("\n".join(lines))
