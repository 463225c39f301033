"""What the built site promises, as far as its files show it; each check lists problems.

Files of JavaScript are not searched for addresses of other hosts: libraries hold such
addresses for features that the book does not use. That nothing is asked of another host
when a page is open is seen in a browser, by tests/test_site.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

Pages = dict[Path, BeautifulSoup]
Places = dict[Path, set[str]]  # what a link can lead to in each page

FOREIGN = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
LOADED = {"src", "srcset", "data", "poster", "href", "action"}


WORD = re.compile(r'<span class="\w{1,3}">([^<]*)</span>')  # of code, to colour it


def parse(site: Path) -> Pages:
    """Parse every page; in ``_static`` there are none, only the theme's templates.

    Three elements of four colour a word of code. Nothing is asked of them, so they are left out.
    """
    return {
        path: BeautifulSoup(WORD.sub(r"\1", path.read_text("utf-8")), "html.parser")
        for path in sorted(site.resolve().rglob("*.html"))
        if "_static" not in path.relative_to(site.resolve()).parts
    }


def all_problems(site: Path, pages: Pages) -> list[str]:
    found = css_problems(site)
    places = {
        path: {attribute(tag, "id") for tag in elements(soup)}
        for path, soup in pages.items()
    }
    for path, soup in pages.items():
        checks = [
            links(path, soup, places),
            foreign(soup),
            undescribed(soup),
            unfinished(soup),
        ]
        name = path.relative_to(site.resolve()).as_posix()
        found += [f"{name}: {problem}" for check in checks for problem in check]
    return found


def elements(soup: BeautifulSoup | Tag, *names: str) -> list[Tag]:
    return [tag for tag in soup.find_all(names or True) if isinstance(tag, Tag)]


def attribute(tag: Tag, name: str) -> str:
    value = tag.get(name) or ""
    return value if isinstance(value, str) else " ".join(value)


def refresh(soup: BeautifulSoup) -> str:
    """Return the address that a page does nothing but lead to, "" if it is a real page."""
    for tag in elements(soup, "meta"):
        if attribute(tag, "http-equiv").lower() == "refresh":
            return attribute(tag, "content").partition("url=")[2]
    return ""


def links(path: Path, soup: BeautifulSoup, places: Places) -> Iterator[str]:
    """Find the links inside the site that lead to no file, or to no place in the file."""
    addresses = {refresh(soup)} | {
        attribute(tag, name)
        for tag in elements(soup)
        for name in tag.attrs.keys() & LOADED - {"srcset"}
    }
    for address in sorted(addresses):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not file.is_file():
            yield f"{address} leads to no file"
            continue
        place = unquote(parts.fragment)
        if place and place not in places.get(file, {place}):
            yield f"{address} leads to no place on the page"


def foreign(soup: BeautifulSoup) -> Iterator[str]:
    """Find what a page would load from another host. A link may lead there."""
    for tag in elements(soup):
        for name in LOADED & tag.attrs.keys():
            link = name == "href" and tag.name in {"a", "area"}
            parts = attribute(tag, name).split(",")  # a srcset has several
            if not link and any(FOREIGN.match(part) for part in parts):
                yield f"<{tag.name}> loads {attribute(tag, name)}"
        css = attribute(tag, "style") + (tag.text if tag.name == "style" else "")
        yield from foreign_in_css(css)
        inline = tag.name == "script" and attribute(tag, "type") in {"", "module"}
        if inline and re.search(r"https?://|[\"'`]//", tag.text):
            yield f"a script names another host: {tag.text.strip()[:100]}"


def css_problems(site: Path) -> list[str]:
    return [
        f"{path.name}: {problem}"
        for path in sorted(site.rglob("*.css"))
        for problem in foreign_in_css(path.read_text("utf-8"))
    ]


STYLE_LOADS = re.compile(r"(?:@import\s|url\()\s*(?:url\(\s*)?[\"']?([^\"')\s;]+)")


def foreign_in_css(css: str) -> Iterator[str]:
    """Find addresses of other hosts in a style sheet.

    >>> list(foreign_in_css("@import '//a.org/b.css'; p { src: url(c.woff) }"))
    ['a style loads //a.org/b.css']
    """
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    for match in STYLE_LOADS.finditer(css):
        if FOREIGN.match(match[1]):
            yield f"a style loads {match[1]}"


def undescribed(soup: BeautifulSoup) -> Iterator[str]:
    """Find pictures that a reader who does not see them hears nothing of.

    Outside the article, and where it is hidden on purpose, a picture may be decoration.
    """
    for tag in elements(soup, "img"):
        alt = attribute(tag, "alt")
        decoration = not tag.find_parent("article") or hidden(tag)
        if "alt" not in tag.attrs or not (alt.strip() or decoration):
            yield f"<img src={attribute(tag, 'src')!r}> has no alternative text"
        elif re.search(r"\.(svg|png|jpe?g|gif|webp)$", alt):  # what Sphinx puts instead
            yield f"the alternative text {alt!r} is a file's name"
    for tag in elements(soup, "svg"):
        named = attribute(tag, "aria-label") or attribute(tag, "aria-labelledby")
        if not (hidden(tag) or named or tag.find("title", recursive=False)):
            yield "an <svg> has no alternative text"


def hidden(tag: Tag) -> bool:
    return attribute(tag, "aria-hidden") == "true" or attribute(tag, "role") in {
        "presentation",
        "none",
    }


LEFT_OVER = re.compile(r"\{[\w:+-]+\}`|:::|\$\$|```")


def unfinished(soup: BeautifulSoup) -> Iterator[str]:
    """Find what Sphinx could not make sense of, and pages without title or language."""
    if refresh(soup):
        return
    if not (soup.title and soup.title.text.strip()):
        yield "the page has no title"
    if not (soup.html and attribute(soup.html, "lang")):
        yield "the page does not say its language"
    for tag in soup.find_all(class_=["system-message", "problematic"]):
        yield f"Sphinx reports: {tag.text.strip()[:100]}"
    for string in soup.find_all(string=LEFT_OVER):
        if not string.find_parent(["pre", "code", "script", "style"]):
            yield f"markup is left over: {string.strip()[:100]}"
