"""Sphinx extension of the site: links to the repository, no third party, one figure.

Where the build knows the repository's address (GitHub's CI says it), the pages get
their launch and edit buttons, so that a fork's site points at the fork. Where it is
unknown there are none.
"""

import os
from collections.abc import Mapping
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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
