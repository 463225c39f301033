"""A notebook's first cell fixes what could differ, and its source is the package's."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch

from convnotes.costs import Cost
from convnotes.drawing import STYLE, grids
from convnotes.notebook import Measured, Source, measured, setup, show_source, timings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """All that ``setup`` sets is global: put it back after each test."""
    threads, numpy_state = torch.get_num_threads(), np.random.get_state()  # noqa: NPY002
    deterministic = torch.get_deterministic_debug_mode()
    with (
        torch.random.fork_rng(),
        torch._tensor_str.printoptions(),
        np.printoptions(),
        matplotlib.rc_context(),
    ):
        yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(deterministic)
    np.random.set_state(numpy_state)  # noqa: NPY002


def random_numbers() -> list[float]:
    return [*torch.rand(3).tolist(), *np.random.rand(3)]  # noqa: NPY002


def test_random_numbers_are_the_same_after_each_setup_and_others_with_another_seed() -> (
    None
):
    setup()
    first = random_numbers()
    setup()
    assert random_numbers() == first
    setup(seed=1)
    assert not set(random_numbers()) & set(first)


def test_torch_runs_on_one_thread_with_deterministic_algorithms() -> None:
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode("default")
    setup()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


def test_numbers_print_with_four_digits_and_no_powers_of_ten() -> None:
    torch.set_printoptions(precision=2, sci_mode=True, threshold=1)
    np.set_printoptions(precision=2, suppress=False)
    setup()
    assert str(torch.tensor([0.00012, 12345.5])) == "tensor([    0.0001, 12345.5000])"
    assert str(np.array([0.00012, 12345.5])) == "[    0.0001 12345.5   ]"


def test_lines_hold_88_characters() -> None:
    setup()
    assert 80 < max(map(len, str(torch.arange(99)).splitlines())) <= 88
    assert 80 < max(map(len, str(np.arange(99)).splitlines())) <= 88


def test_figures_have_the_books_style() -> None:
    matplotlib.rcdefaults()
    setup()
    assert {name: matplotlib.rcParams[name] for name in STYLE} == STYLE


def test_it_runs_without_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)
    setup()
    assert torch.get_num_threads() == 1


def test_in_ipython_a_figure_is_the_same_svg_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib_inline")
    Config = pytest.importorskip("traitlets.config").Config
    shells = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # not the reader's own
    monkeypatch.setitem(
        sys.modules, "__main__", sys.modules["__main__"]
    )  # nor pytest's
    shell = shells.instance(config=Config(HistoryManager={"enabled": False}))
    try:
        setup()
        showing = shell.display_formatter.format
        first, again = (showing(grids({"a": [[1.0, 2.0]]}))[0] for _ in range(2))
    finally:
        shells.clear_instance()
    assert first == again
    assert sorted(first) == ["image/svg+xml", "text/plain"]
    assert "dc:date" not in first["image/svg+xml"]


def test_timings_are_read_from_the_record_and_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def result(case: str, threads: int) -> dict[str, Any]:
        ms = {"torch": 1.04, "ours": 2.0}
        return {"case": case, "threads": threads, "ms": ms, "ratio": 1.923}

    record = {
        "machine": "a machine",
        "versions": {"torch": "2.0", "numpy": "2.1"},
        "date": "2026-01-31",
        "results": [
            result("standard 3×3", 1),
            result("dilated", 1),
            result("standard", 2),
        ],
    }
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    timings("standard", tmp_path / "record.json")
    assert capsys.readouterr().out.splitlines() == [
        "a machine; torch 2.0, numpy 2.1; 2026-01-31",
        "standard 3×3, 1 thread",
        "    torch 1.04 ms, ours 2.00 ms, ratio 1.92",
        "standard, 2 threads",
        "    torch 1.04 ms, ours 2.00 ms, ratio 1.92",
    ]


def test_rates_are_computed_from_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def result(threads: int, ms: float) -> dict[str, Any]:
        counts = {"macs": {"a": 6_000_000}, "elements": {"a": 2_000_000}}
        return {"case": "roofline", "threads": threads, "ms": {"a": ms}, **counts}

    record = tmp_path / "record.json"
    plain = {"case": "plain", "threads": 1, "ms": {"a": 1.0}, "ratio": 1.0}
    stored: dict[str, Any] = {"machine": "m", "versions": {}, "date": "d"}
    stored["results"] = [result(1, 4.0), result(2, 2.0), plain]
    record.write_text(json.dumps(stored), encoding="utf-8")
    # 6 million MACs in 2 ms are 3 thousand million a second.
    assert measured("roofline", 2, record) == {"a": Measured(2.0, 3.0, 3.0, 1.0)}
    timings("roofline", record)
    assert capsys.readouterr().out.splitlines()[-1] == "    a 2.00 ms"
    for case, threads in [("roofline", 3), ("roof", 1), ("plain", 1)]:
        with pytest.raises(ValueError, match=f"case='{case}' with threads={threads}"):
            measured(case, threads, record)


# The source shown on a page. These functions are what is shown, word for word.


def plain(size: int) -> int:
    """One line."""
    return size + 1


def long(size: int) -> str:
    """Several lines.

    The second paragraph.
    """
    # A comment stays,
    text = '"""kept"""'

    return text * size  # and an empty line.


def undocumented(size: int) -> int:
    return size


class Shown:
    """A class has a docstring too."""

    size = 3

    def method(self) -> int:
        """Be shown from the method's own margin."""
        return self.size


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, "def plain(size: int) -> int:\n    return size + 1"),
        (
            long,
            "def long(size: int) -> str:\n"
            "    # A comment stays,\n"
            '    text = \'"""kept"""\'\n'
            "\n"
            "    return text * size  # and an empty line.",
        ),
        (undocumented, "def undocumented(size: int) -> int:\n    return size"),
        (Shown.method, "def method(self) -> int:\n    return self.size"),
    ],
)
def test_the_docstring_is_dropped_and_the_code_is_kept(
    function: Callable[..., Any], expected: str
) -> None:
    source = show_source(function)
    assert repr(source) == expected
    assert source._repr_markdown_() == f"```python\n{expected}\n```"


def test_decorators_are_kept() -> None:
    assert repr(show_source(Cost)).startswith("@dataclass(frozen=True)\nclass Cost:\n")


def test_a_class_is_shown_without_any_docstring() -> None:
    expected = [
        "class Shown:",
        "    size = 3",
        "",
        "    def method(self) -> int:",
        "        return self.size",
    ]
    assert repr(show_source(Shown)).splitlines() == expected


@pytest.mark.parametrize("value", [3, "conv2d", len], ids=repr)
def test_what_has_no_source_is_a_wrong_type(value: Any) -> None:
    with pytest.raises(TypeError, match="expected"):
        show_source(value)


def test_a_source_is_text_anywhere_but_in_a_notebook() -> None:
    assert str(Source("x = 1")) == "x = 1"
