"""The figure's HTML: the modules of this folder and some settings, in one self-contained page."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODULES = ("geometry.js", "settings.js", "draw.js", "app.js")
COMMENT = re.compile(r"(^| )// .*")
SPACED = re.compile(r"('[^']*')| ?([=,?:<>*+%{}&|;]+) ?")
IMPORT = re.compile(r"^import [^;]*? from '[^']+'.*\n", re.MULTILINE)


def read(name: str) -> str:
    """Return a file of this folder.

    >>> read("geometry.js").splitlines()[0]
    '// The arithmetic of the interactive figure: sizes, who reads what, values, costs, formulas.'
    """
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def variants() -> dict[str, Any]:
    """Return ``variants.json``: the variants, their knobs, and the knobs' ranges.

    >>> variants()["knobs"]["padding"]["min"], variants()["knobs"]["padding"]["max"]
    (0, 4)
    """
    return json.loads(read("variants.json"))


def joined(*names: str) -> str:
    """Return modules as one, without the imports and exports by which they know each other.

    Left out as well is what a page can do without: comments, indentation,
    and the spaces beside operators, except in text and in lines that may hold a pattern or
    a part of a longer text. Names must differ between the modules.

    >>> joined("settings.js").splitlines()[1]
    'const KNOBS=VARIANTS.knobs'
    """
    lines = [f"const VARIANTS = {literal(variants())}"]
    for name in names:
        for line in IMPORT.sub("", read(name)).splitlines():
            code = COMMENT.sub("", line.strip().removeprefix("export "))
            if code:
                plain = not set(code) & set('"`/')
                lines.append(SPACED.sub(r"\1\2", code) if plain else code)
    return "\n".join(lines)


def literal(value: Any) -> str:
    r"""Return a value as JavaScript that may stand in a page: nothing in it ends the script.

    Keys are written without quotation marks and strings with single ones: the page becomes
    an attribute, where a double one takes six characters.

    >>> print(literal({"says": "It's </script>", "pair": (1, 2)}))
    {says:'It\u0027s \u003c/script>',pair:[1,2]}
    """
    if isinstance(value, Mapping):
        parts = (f"{key}:{literal(part)}" for key, part in value.items())
        return f"{{{','.join(parts)}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(map(literal, value))}]"
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        text = text[1:-1].replace("'", r"\u0027").replace("<", r"\u003c")
        return f"'{text}'"
    return text


def style() -> str:
    """Return the style sheet, without the spaces that a browser does not need.

    >>> style().splitlines()[0]
    ':host,.explorer{'
    """
    lines = read("explorer.css").splitlines()
    return re.sub(
        r" ?([{};,]) ?", r"\1", "\n".join(line.strip() for line in lines if line)
    )


def document(settings: Mapping[str, Any], title: str) -> str:
    """Return the page that stands in the frame: the figure alone, with these settings.

    >>> document({"variant": "standard"}, title="A figure").splitlines()[0]
    '<!DOCTYPE html>'
    """
    return f"""<!DOCTYPE html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content='width=device-width'>
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0; background: light-dark(#fff, #121212) }}
main {{ max-width: 860px; margin: auto }}
{style()}
</style>
<body>
<main class=explorer></main>
<script type=module>
{joined(*MODULES)}
mount(document.querySelector('main'), {{ settings: {literal(settings)} }})
</script>
"""


def element() -> str:
    """Return the figure for a page of its own, which keeps the settings in its address.

    It stands in a shadow tree, out of reach of the page's style sheets.

    >>> element().splitlines()[0]
    '<div id="explorer"></div>'
    """
    return f"""<div id="explorer"></div>
<script type="module">
{joined(*MODULES, "address.js")}
const root = document.getElementById('explorer').attachShadow({{ mode: 'open' }})
root.innerHTML = `<style>{style()}</style><div class="explorer"></div>`
mount(root.lastChild, {{ settings: {{ variant: 'standard' }}, address: {{ read, written }} }})
</script>
"""
