"""Sphinx extension of the site: links to the repository, no third party, one figure.

Where the build knows the repository's address (GitHub's CI says it), the pages get
their launch and edit buttons, so that a fork's site points at the fork. Where it is
unknown there are none.
"""

import os
import re
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

from convnotes.explorer import page


def link_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the theme's options for the repository that ``environment`` names, {} if none.

    >>> link_options({})
    {}
    >>> ci = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "reader/fork"}
    >>> link_options(ci | {"GITHUB_REF_NAME": "main"})["repository_url"]
    'https://github.com/reader/fork'
    """
    server, repository = (
        environment.get("GITHUB_SERVER_URL"),
        environment.get("GITHUB_REPOSITORY"),
    )
    if not server or not repository:
        return {}
    # A pull request is built from a merge that has no page of its own: link its target.
    branch = (
        environment.get("GITHUB_BASE_REF")
        or environment.get("GITHUB_REF_NAME")
        or "main"
    )
    return {
        "repository_url": f"{server}/{repository}",
        "repository_branch": branch,
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }


def link_repository(app: Sphinx, config: Config) -> None:
    config.html_theme_options = {
        **config.html_theme_options,
        **link_options(os.environ),
    }


def drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Leave out the scripts of thebe, which would fetch itself from another host."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}"
    ]


LANGUAGES = {
    "Korean": "ko",
    "Traditional Chinese": "zh-Hant",
    "Simplified Chinese": "zh-Hans",
}


def name_languages(app: Sphinx, doctree: nodes.document) -> None:
    """Tell browsers the language of each table column that is headed by one.

    Docutils writes the class ``language-ko`` as ``lang="ko"``.
    """
    for table in doctree.findall(nodes.table):
        rows = list(table.findall(nodes.row))
        for column, head in enumerate(rows[0].children):
            code = LANGUAGES.get(head.astext())
            for row in rows[1:] if code else []:
                entry = row.children[column]
                assert isinstance(entry, nodes.entry)
                entry["classes"].append(f"language-{code}")


def list_bibliography(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Make bibliography entries items of their list: their own role may stand in no list."""
    if "body" in context:
        context["body"] = context["body"].replace(
            'role="doc-biblioentry"', 'role="listitem"'
        )


ROLES = {
    "table": "table",
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "th": "columnheader",
    "td": "cell",
}


def repeat_heads(table: str) -> str:
    r"""Write in each cell of a wide table, in HTML, what heads its column.

    On a phone the style sheet then stacks the cells of a row, each behind its head. A
    browser may forget what is a row once it is drawn otherwise, so the roles are written
    too. A table of fewer than four columns has room beside it, one of terms in several
    languages is short: both stay as they are.

    >>> heads = "".join(f"<th>{head}</th>" for head in ("name", "rows", "columns", "of"))
    >>> narrow = "<tr><td>x</td>\n<td>3</td></tr>"
    >>> print(repeat_heads(f"<tr>{heads}</tr>\n{narrow}").split("\n", 1)[1])
    <tr role="row"><td role="cell" data-head="name">x</td>
    <td role="cell" data-head="rows">3</td></tr>
    >>> repeat_heads(narrow) == narrow
    True
    """
    cells = re.findall("<th\\b[^>]*>(.*?)</th>", table, re.DOTALL)
    heads = [re.sub(r"<[^>]*>|\\[()]", "", cell).replace("'", "′") for cell in cells]
    if len(heads) < 4 or not LANGUAGES.keys().isdisjoint(heads):
        return table
    table = table.replace('class="table', 'class="table stacked', 1)
    table = re.sub(
        rf"<({'|'.join(ROLES)})\b",
        lambda tag: f'{tag[0]} role="{ROLES[tag[1]]}"',
        table,
    )
    head = cycle(heads)
    return re.sub("<td[^>]*", lambda cell: f'{cell[0]} data-head="{next(head)}"', table)


def stack_tables(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    if "body" in context:
        context["body"] = re.sub(
            '<table class="table.*?</table>',
            lambda table: repeat_heads(table[0]),
            context["body"],
            flags=re.DOTALL,
        )


class InteractiveFigure(SphinxDirective):
    """The directive ``explorer``: the interactive figure, in the page itself.

    There it can read the page's address; in a frame it could not.
    """

    def run(self) -> list[nodes.Node]:
        for file in page.FOLDER.iterdir():
            self.env.note_dependency(str(file))
        return [nodes.raw("", page.element(), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("explorer", InteractiveFigure)
    app.connect("config-inited", link_repository)
    app.connect("doctree-read", name_languages)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", list_bibliography)
    app.connect("html-page-context", stack_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
