"""What the README says to run is what runs, and what it installs is pinned."""

import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from book_checks import ROOT, assert_none, headings
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from prose import fenced, run_python, without_fenced


def text(file: str) -> str:
    return (ROOT / file).read_text("utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
LEAST_PYTHON = PROJECT["requires-python"].removeprefix(">=")

# Code and commands.


def test_the_code_runs() -> None:
    blocks = fenced(text("README.md"), "python")
    assert blocks
    namespace: dict[str, Any] = {}
    for block in blocks:
        run_python(block, "README.md", namespace)


def typed(markdown: str) -> list[str]:
    r"""Return what a page tells its reader to type, without comments.

    >>> typed("So:\n```console\n$ make book  # the site\n```\n")
    ['make book']
    """
    lines = "".join(fenced(markdown, "console")).splitlines()
    return [line.removeprefix("$ ").partition(" #")[0].strip() for line in lines]


def unknown_targets(markdown: str, makefile: str) -> set[str]:
    spans = re.findall(r"`([^`\n]+)`", without_fenced(markdown))
    named = {
        command.split()[1]
        for command in [*typed(markdown), *spans]
        if command.startswith("make ")
    }
    return named - set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/intro.md"])
def test_every_make_target_that_a_page_names_is_there(page: str) -> None:
    assert unknown_targets(text(page), text("Makefile")) == set()


def test_the_two_commands_are_the_readmes_and_the_ones_that_ci_runs() -> None:
    assert {"make book", "make test"} <= set(typed(text("README.md")))
    assert {"make book", "make test"} <= set(text(".ci/run").splitlines())
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def calls(program: str, lines: Iterable[str]) -> list[set[str]]:
    """Return what a program is given where it is called; a Makefile's variables left out.

    >>> calls("pytest", ["$(BIN)/pytest -n 2 $(MORE)"]) == [{"-n", "2"}]
    True
    """
    found = [re.search(rf"(?:^|[/ ]){program} (.+)", line) for line in lines]
    return [
        set(shlex.split(re.sub(r"\$\(\w+\)", "", match[1]))) for match in found if match
    ]


ONLY_IN_MAKEFILE = {  # how a program runs, not what it does
    "pip install": {"--quiet"},
    "jupyter-book build": set[str](),
    "pytest": {"-n", "2"},
}
THE_PACKAGE_ALONE = {"."}


def command_problems(program: str, readme: str, makefile: str) -> list[str]:
    recipes = re.findall(r"^\t(.*)", makefile, re.MULTILINE)
    made = [call - ONLY_IN_MAKEFILE[program] for call in calls(program, recipes)]
    told = [call for call in calls(program, typed(readme)) if call != THE_PACKAGE_ALONE]
    return [
        *([] if told else [f"the README does not say how to call {program}"]),
        *(f"{program}: {call} is in one only" for call in told if call not in made),
        *(f"{program}: {call} is in one only" for call in made if call not in told),
    ]


@pytest.mark.parametrize("program", ONLY_IN_MAKEFILE)
def test_the_commands_without_make_are_those_of_the_makefile(program: str) -> None:
    assert_none(command_problems(program, text("README.md"), text("Makefile")))


def test_the_extras_that_are_installed_are_the_projects() -> None:
    [extras] = re.findall(r'"\.\[(.+)\]"', text("Makefile"))
    assert set(extras.split(",")) == set(PROJECT["optional-dependencies"])


# Links.


def anchors(markdown: str) -> set[str]:
    """Return what a link can lead to in a page, as GitHub names it.

    >>> anchors("## What's `new`, what not")
    {'whats-new-what-not'}
    """
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for _, title in headings(markdown)
    }


def link_problems(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)", without_fenced(page.read_text("utf-8"))):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if re.match(r"\w+:", link):
            continue
        if not target.exists():
            yield f"{page.name}: {link} leads to no file"
        elif anchor and anchor not in anchors(target.read_text("utf-8")):
            yield f"{page.name}: {link} leads to no heading"


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_to_files_of_the_repository_lead_somewhere(page: Path) -> None:
    assert_none(list(link_problems(page)))


# Versions.


def versions_tested(workflow: Any) -> Iterator[str]:
    """Find the Python versions that a workflow sets up, wherever they stand in it.

    >>> list(versions_tested({"matrix": {"python": ["3.11", "3.12"]}, "on": ["push"]}))
    ['3.11', '3.12']
    """
    if isinstance(workflow, list):
        for part in workflow:
            yield from versions_tested(part)
    elif isinstance(workflow, dict):
        for key, value in workflow.items():
            if key in {"python", "python-version"}:
                yield from re.findall(r"\b3\.\d+\b", str(value))
            else:
                yield from versions_tested(value)


def test_the_oldest_python_is_named_and_tested() -> None:
    assert f"Python {LEAST_PYTHON} or newer" in text("README.md")
    assert f"Python {LEAST_PYTHON} or newer" in text("Makefile")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    tested = {
        version
        for path in workflows
        for version in versions_tested(yaml.safe_load(path.read_text("utf-8")))
    }
    assert not workflows or LEAST_PYTHON in tested
    assert all(version in SpecifierSet(f">={LEAST_PYTHON}") for version in tested)


def pins(constraints: str) -> list[Requirement]:
    return [Requirement(line) for line in constraints.splitlines() if line.strip()]


def loose(constraints: str) -> list[str]:
    r"""Return the lines that let pip choose.

    >>> loose("numpy==2.4.6\ntorch>=2\nruff==0.17.*\nsix==1 ; os_name == 'nt'")
    ['torch>=2', 'ruff==0.17.*']
    """
    return [
        str(pin)
        for pin in pins(constraints)
        if not re.fullmatch(r"==[\w.!+]+", str(pin.specifier))
    ]


def needed(requirements: Iterable[str]) -> set[str]:
    """Return the installed distributions that requirements need here, at any depth."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(Requirement(line), frozenset[str]()) for line in requirements]
    while todo:
        requirement, extras = todo.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": e}) for e in extras | {""}):
            continue
        found = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if found in seen or not installed(requirement.name):
            continue
        seen.add(found)
        for line in importlib.metadata.requires(requirement.name) or []:
            todo.append((Requirement(line), found[1]))
    return {name for name, _ in seen}


def installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_every_pin_is_exact() -> None:
    assert loose(text("constraints.txt")) == []


def pin_problems(names: Iterable[str], constraints: str) -> list[str]:
    """See that each installed distribution has a pin here, and the version it says."""
    pinned: dict[str, SpecifierSet] = {
        canonicalize_name(pin.name): pin.specifier
        for pin in pins(constraints)
        if pin.marker is None or pin.marker.evaluate()
    }
    versions = {name: importlib.metadata.version(name) for name in sorted(names)}
    return [
        f"{name} {version} is installed, pinned is {pinned.get(name, 'nothing')}"
        for name, version in versions.items()
        if name not in pinned or version not in pinned[name]
    ]


def test_everything_that_is_installed_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    requirements = [*PROJECT["dependencies"], *(line for e in extras for line in e)]
    assert {"torch", "sphinx", "packaging"} < needed(requirements)
    assert_none(pin_problems(needed(requirements), text("constraints.txt")))


# The wheel.


def wheel_problems(files: Iterable[str]) -> list[str]:
    """See that a wheel holds the package, whole and typed, and nothing else."""
    held = set(files)
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "convnotes").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return [
        *(f"{file} is missing" for file in sorted(expected - held)),
        *(
            f"{file} does not belong to the package"
            for file in sorted(held - expected)
            if not re.match(r"convnotes-[\w.]+\.dist-info/", file)
        ),
    ]


@pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="hatchling, which builds the wheel, is not installed",
)
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    command = "-m pip wheel --no-build-isolation --no-deps --no-index --wheel-dir"
    done = subprocess.run(
        [sys.executable, *command.split(), tmp_path, ROOT],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    assert_none(wheel_problems(zipfile.ZipFile(wheel).namelist()))


# The checks can fail.


def test_a_target_that_is_gone_is_reported() -> None:
    page = (
        "To `make books` or `make it`, not to make do:\n```console\n$ make book\n```\n"
    )
    assert unknown_targets(page, "BIN := x\nbook: it\nit:\n") == {"books"}


@pytest.mark.parametrize(
    ("program", "there", "instead"),
    [
        ("pip install", "--constraint constraints.txt", ""),
        ("pip install", "constraints.txt", "requirements.txt"),
        ("pip install", "[book,test]", "[book]"),
        ("pip install", "$ pip install", "$ uv add"),
        ("jupyter-book build", " -W", ""),
        ("pytest", "convnotes tools", "convnotes"),
        ("pytest", "--nbval ", "--nbval-lax "),
    ],
)
def test_a_command_that_differs_is_reported(
    program: str, there: str, instead: str
) -> None:
    readme = text("README.md")
    assert there in readme
    changed = readme.replace(there, instead)
    assert command_problems(program, changed, text("Makefile"))


def test_a_link_that_leads_nowhere_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n[a](#a) [b](#b) [c](c.md) [out](https://a.org) [d](page.md#d)"
    )
    assert list(link_problems(page)) == [
        "page.md: #b leads to no heading",
        "page.md: c.md leads to no file",
        "page.md: page.md#d leads to no heading",
    ]


def test_code_that_is_wrong_is_reported() -> None:
    with pytest.raises(AssertionError):
        run_python("x = 1\nassert x == 2", "page", {})
    with pytest.raises(AssertionError, match="Expected:"):
        run_python(">>> 1 + 1\n3\n", "page", {})


def test_a_distribution_without_its_pin_is_reported() -> None:
    names, version = ["numpy", "torch"], importlib.metadata.version("numpy")
    here = f"numpy=={version}\ntorch==0.1"
    [problem] = pin_problems(names, here)
    assert problem.startswith("torch ")
    assert problem.endswith(" is installed, pinned is ==0.1")
    elsewhere = text("constraints.txt").replace("numpy==", "numpy-of-old==")
    assert pin_problems(names, elsewhere) == [
        f"numpy {version} is installed, pinned is nothing"
    ]


def test_a_wheel_with_too_much_or_too_little_is_reported() -> None:
    files = [
        "convnotes/py.typed",
        "tests/test_book.py",
        "convnotes-0.1.dist-info/WHEEL",
    ]
    problems = wheel_problems(files)
    assert "convnotes/standard.py is missing" in problems
    assert "tests/test_book.py does not belong to the package" in problems
    assert not [problem for problem in problems if "py.typed" in problem]
