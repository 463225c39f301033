"""Re-execute the book's notebooks in place: ``python -m tools.notebooks [NOTEBOOK ...]``.

Run twice, it leaves no difference: no times, versions or random identifiers are
stored. A figure's alternative text is written once, in its cell's
``mystnb.image.alt``, and copied to the output, where Jupyter looks for it.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path) -> None:
    """Run one notebook from a fresh kernel and store it; an error in a cell is an error here."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = NotebookNode(
        kernelspec=KERNEL, language_info={"name": "python"}
    )
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        record_timing=False,
        coalesce_streams=True,  # where a print is cut in two is a matter of luck
        timeout=300,
        resources=resources,
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute()
    notebook.metadata = NotebookNode(
        kernelspec=KERNEL, language_info={"name": "python"}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                describe(output, cell)
    nbformat.write(notebook, path)


def describe(output: NotebookNode, cell: NotebookNode) -> None:
    """Give an output image the alternative text of its cell."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    if alt and "image/svg+xml" in output.get("data", {}):
        output.metadata = NotebookNode({"image/svg+xml": {"alt": alt}})


def main(arguments: list[str]) -> None:
    paths = [Path(argument) for argument in arguments] or sorted(
        (ROOT / "book").glob("*.ipynb")
    )
    for path in paths:
        print(path.name, flush=True)
        execute(path.resolve())


if __name__ == "__main__":
    main(sys.argv[1:])
