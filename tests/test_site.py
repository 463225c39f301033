"""The built site is whole, asks nothing of other hosts, and can be read by everyone."""

import importlib
import inspect
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from book_checks import ROOT, assert_none, chapters, files_in_contents, stems
from browser_checks import (
    PHONE,
    THEMES,
    Tab,
    Theme,
    axe_problems,
    formula_problems,
    narrow_problems,
    show,
)
from browsers import chromium, lacking
from playwright.sync_api import Browser
from site_checks import Pages, all_problems, attribute, elements, parse

from tools.book_site import link_options

SITE = Path(os.environ.get("BOOK_SITE", ROOT / "_build" / "html"))
PAGES = [f"{page}.html" for page in files_in_contents(ROOT)]


@pytest.fixture(scope="module")
def site() -> Path:
    if not (SITE / "index.html").exists():
        lacking(f"there is no site at {SITE}: run make book")
    return SITE


# The files of the site.


@pytest.fixture(scope="module")
def html(site: Path) -> Pages:
    return parse(site)


def test_links_pictures_and_markup_are_in_order(site: Path, html: Pages) -> None:
    assert_none(all_problems(site, html))


def test_every_page_of_the_contents_is_there(site: Path) -> None:
    assert [page for page in PAGES if not (site / page).exists()] == []


def test_every_public_name_of_the_package_is_on_the_api_page(
    site: Path, html: Pages
) -> None:
    api = html[site.resolve() / "book" / "api.html"]
    documented = {tag.get("id") for tag in elements(api, "dt")}
    modules = [importlib.import_module(f"convnotes.{name}") for name in stems(ROOT)]
    public = {
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) or inspect.isclass(value)
        if f"{value.__module__}.".startswith(f"{module.__name__}.")
        if not name.startswith("_")
    }
    assert_none(sorted(public - documented))


def repository_links(html: Pages) -> set[str]:
    return {
        attribute(button, "href")
        for page in html.values()
        for button in page.find_all("a", class_="btn-source-repository-button")
    }


def test_the_repository_is_linked_only_if_the_build_knew_its_address(
    html: Pages,
) -> None:
    options = link_options(os.environ)
    assert repository_links(html) == ({options["repository_url"]} if options else set())


GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "reader/fork",
}


@pytest.mark.parametrize("name", GITHUB)
def test_without_the_whole_address_there_are_no_repository_links(name: str) -> None:
    assert link_options({key: GITHUB[key] for key in GITHUB if key != name}) == {}
    assert link_options(GITHUB | {name: ""}) == {}


@pytest.mark.parametrize(
    ("environment", "branch"),
    [
        ({}, "main"),
        ({"GITHUB_REF_NAME": "draft"}, "draft"),
        ({"GITHUB_REF_NAME": "7/merge", "GITHUB_BASE_REF": "main"}, "main"),
    ],
)
def test_a_fork_links_to_itself(environment: dict[str, str], branch: str) -> None:
    options = link_options(GITHUB | environment)
    assert options["repository_url"] == "https://github.com/reader/fork"
    assert options["repository_branch"] == branch
    assert options["use_edit_page_button"]
    assert options["launch_buttons"]["binderhub_url"] == "https://mybinder.org"


# Broken pages: what is wrong with them is reported.

GOOD_PAGE = """<html lang="en"><head><title>Title</title></head><body><article>
<h1 id="top">Title</h1> <a href="#top">up</a> <a href="https://example.org">out</a>
<img src="a.svg" alt="A grid"> <p>Words. <code>{cite}`a`</code></p>
</article></body></html>"""


@pytest.mark.parametrize(
    ("there", "instead", "report"),
    [
        ('href="#top"', 'href="#end"', "#end leads to no place on the page"),
        ('href="#top"', 'href="gone.html"', "gone.html leads to no file"),
        ('href="#top"', 'href="../book/#top"', "../book/#top leads to no file"),
        ('src="a.svg"', 'src="b.svg"', "b.svg leads to no file"),
        ('src="a.svg"', 'src="//a.org/a.svg"', "<img> loads //a.org/a.svg"),
        ('src="a', 'srcset="a.svg 1x, //a.org/b 2x" src="a', "<img> loads a.svg 1x,"),
        ("<p>", '<link rel="prefetch" href="http://a.org/"><p>', "<link> loads"),
        ("<p>", '<iframe src="https://a.org/"></iframe><p>', "<iframe> loads"),
        ("<p>", '<script src="//a.org/b.js"></script><p>', "<script> loads"),
        ("<p>", "<script>fetch('https://a.org')</script><p>", "a script names"),
        ("<p>", "<style>@import url(//a.org/b)</style><p>", "a style loads //a.org/b"),
        ("<p>", "<p style=\"background: url('http://a.org/b')\">", "a style loads"),
        (' alt="A grid"', "", "has no alternative text"),
        ('alt="A grid"', 'alt=""', "has no alternative text"),
        ('alt="A grid"', 'alt="../_images/ab12.svg"', "is a file's name"),
        ("<p>", "<svg></svg><p>", "an <svg> has no alternative text"),
        ("<title>Title</title>", "", "the page has no title"),
        (' lang="en"', "", "the page does not say its language"),
        ("Words.", '<span class="problematic">|a|</span>', "Sphinx reports: |a|"),
        ("Words.", "{cite}`a`", "markup is left over: {cite}`a`"),
        ("Words.", "::: {note}", "markup is left over: ::: {note}"),
        ("Words.", "$$x$$", "markup is left over: $$x$$"),
    ],
)
def test_a_broken_page_is_reported(
    tmp_path: Path, there: str, instead: str, report: str
) -> None:
    (tmp_path / "a.svg").touch()
    page = tmp_path / "page.html"
    page.write_text(GOOD_PAGE)
    assert all_problems(tmp_path, parse(tmp_path)) == []
    assert there in GOOD_PAGE
    page.write_text(GOOD_PAGE.replace(there, instead))
    [problem] = all_problems(tmp_path, parse(tmp_path))
    assert report in problem


def test_a_style_sheet_that_loads_from_another_host_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p { src: url(data:,//a) url('https://a.org/b') }")
    assert all_problems(tmp_path, {}) == ["a.css: a style loads https://a.org/b"]


# The pages in a browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site, as a web server would."""
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=site)
    ) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Tab]:
    """Visit the pages one after the other in the same tab, which keeps their scripts compiled."""
    with browser.new_context() as context:
        yield Tab(context)


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Tab]:
    with browser.new_context() as context:
        yield Tab(context, PHONE)


@pytest.fixture(scope="module", params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    """Name each page once, for all the tests that open it."""
    return request.param


@pytest.fixture(scope="module")
def visited(tab: Tab, address: str, name: str) -> Tab:
    return tab.visit(f"{address}/{name}")


@pytest.fixture(scope="module")
def in_hand(phone: Tab, site: Path, name: str) -> Tab:
    """Open a page on a phone, and from its file: without a server."""
    return phone.visit((site.resolve() / name).as_uri())


@pytest.fixture(scope="module")
def other_tab(browser: Browser) -> Iterator[Tab]:
    """Leave the page alone that is open for several tests."""
    with browser.new_context() as context:
        yield Tab(context)


def test_a_page_works_from_a_file(in_hand: Tab) -> None:
    assert_none(in_hand.complaints + formula_problems(in_hand.page))


def test_a_page_loads_without_an_error_and_from_its_own_host(visited: Tab) -> None:
    assert_none(visited.complaints)


def test_every_formula_is_typeset(visited: Tab) -> None:
    assert_none(formula_problems(visited.page))


def test_nothing_moves_for_who_asked_for_less_motion(visited: Tab) -> None:
    moving = visited.page.evaluate(
        """() => [...document.querySelectorAll('*')].filter(element => {
            const style = getComputedStyle(element)
            const times = [style.transitionDuration, style.animationDuration].join()
            return style.scrollBehavior == 'smooth' || times.split(',').some(
                time => parseFloat(time) > 0.01)
        }).map(element => element.cloneNode().outerHTML)"""
    )
    assert_none(moving)


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_is_accessible(visited: Tab, theme: Theme) -> None:
    show(visited.page, theme)
    assert_none(axe_problems(visited.page))


def test_on_a_phone_only_code_scrolls_sideways_and_by_keyboard_too(
    in_hand: Tab,
) -> None:
    assert_none(narrow_problems(in_hand.page))


CHAPTERS = [f"book/{path.stem}.html" for path in chapters(ROOT)]


@pytest.mark.parametrize("name", CHAPTERS, indirect=True)
def test_a_hidden_solution_opens_with_the_keyboard(visited: Tab) -> None:
    solution = visited.page.locator("details.hide").last
    solution.evaluate("element => element.open = false")
    solution.locator("summary").focus()
    for opened in (True, False):
        visited.page.keyboard.press("Enter")
        assert solution.evaluate("element => element.open") == opened


def test_the_cheat_sheet_prints_on_one_page_of_a4(other_tab: Tab, address: str) -> None:
    page = other_tab.visit(f"{address}/book/cheat_sheet.html").page
    for theme in THEMES:
        page.emulate_media(media="screen")
        show(page, theme)
        page.emulate_media(media="print")
        printed = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        page.set_viewport_size({"width": 718, "height": 1046})  # A4 without its margins
        sheet = page.evaluate(
            """() => {
                const sheet = document.querySelector('#cheat-sheet')
                const parts = [...sheet.querySelectorAll('section, section > *')]
                const cut = parts.filter(part => part.scrollWidth > part.clientWidth + 1)
                return {
                    alone: document.body.innerText.trim() == sheet.innerText.trim(),
                    color: getComputedStyle(sheet).color,
                    cut: cut.map(part => part.innerText),
                }
            }"""
        )
        assert sheet == {"alone": True, "color": "rgb(0, 0, 0)", "cut": []}


def test_the_theme_button_turns_the_page_dark_and_it_stays_so(
    browser: Browser, address: str
) -> None:
    with browser.new_context() as context:  # which forgets the choice afterwards
        page = Tab(context).visit(f"{address}/{PAGES[0]}").page
        for _ in range(3):  # automatic, light and dark take turns
            if page.locator("html[data-theme=dark]").count():
                break
            page.locator(".theme-switch-button:visible").first.click()
        page.reload()
        assert page.locator("html[data-theme=dark]").count() == 1


# What is wrong with a page is reported, and in the theme in which it is wrong.


def test_in_a_browser_a_broken_page_is_reported(other_tab: Tab, tmp_path: Path) -> None:
    """Every check of a page in the browser but axe's finds what is wrong with this one."""
    (tmp_path / "page.html").write_text(
        """<html lang="en"><title>Broken</title><main>
        <script src="https://example.org/a.js"></script>
        <script>console.error('a message'); throw Error('an error')</script>
        <div class="math">x</div> <mjx-merror></mjx-merror>
        <div style="width: 700px" id="wide">wide</div>
        <div style="overflow-x: scroll"><p style="width: 700px">scrolls</p></div>
        <div style="overflow: hidden"><p style="width: 700px">is cut off</p></div>
        <div style="overflow: auto" id="t"><table style="width: 700px"><td>1</table></div>
        <div style="overflow: auto" class="math"><p style="width: 700px">x</p></div>
        <pre style="overflow: auto" tabindex="0"><b style="padding: 350px">code</b></pre>
        <pre style="overflow: auto" id="far"><b style="padding: 350px">code</b></pre>
        </main><div style="overflow: auto; height: 9px" id="down"><p>1<p>2</div><main>
        </main>"""
    )
    other_tab.visit((tmp_path / "page.html").as_uri())
    complaints = "\n".join(other_tab.complaints)
    assert "asks another host: https://example.org/a.js" in complaints
    assert "a message" in complaints
    assert "an error" in complaints
    assert formula_problems(other_tab.page) == [
        "0 of 2 formulas are typeset",
        "1 formulas have an error",
    ]
    narrow = "\n".join(narrow_problems(other_tab.page))
    wide = "\n".join(re.findall(r"^\d+ px: (.*)", narrow, re.MULTILINE))
    for part in ('id="wide"', "-x: scroll", "hidden", 'id="t"', 'class="math"'):
        assert part in wide
    far = "\n".join(re.findall("out of reach of the keyboard: (.*)", narrow))
    assert all(part in far for part in ('id="far"', 'id="down"', 'id="t"'))
    assert "tabindex" not in narrow
    assert "the page is" in narrow


ACCESSIBLE_PAGE = """<!DOCTYPE html><html lang="en"><title>Page</title><style>
:root { --text: #333; --ground: #fff; --link: #00f; --line: underline }
:root[data-theme=dark] { --text: #ccc; --ground: #111; --link: #8cf }
html { color: var(--text); background: var(--ground) }
a { color: var(--link); text-decoration: var(--line) }
</style><script>
const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light'
dark.onchange = follow
follow()
</script><main><h1>Page</h1> <p>What is meant is <a href="https://example.org">here</a></p>
<img src="data:," alt="A grid"> <label>Size <input></label>
<p><b>one</b></p> <p><b>two</b></p> <p><b>six</b></p>
</main></html>"""
LIGHT, DARK, BOTH = ["light"], ["dark"], ["light", "dark"]


@pytest.mark.parametrize(
    ("there", "instead", "rule", "themes"),
    [
        ("one", "1", "", []),
        (' alt="A grid"', "", "image-alt", BOTH),
        ("<label>Size ", "<label>", "label", BOTH),
        (' lang="en"', "", "html-has-lang", BOTH),
        ("<p>What", '<p role="text-with-link">What', "aria-roles", BOTH),
        ("--text: #333", "--text: #aaa", "color-contrast", LIGHT),
        ("--text: #ccc", "--text: #555", "color-contrast", DARK),
        ("--link: #8cf", "--link: #bbb; --line: none", "link-in-text-block", DARK),
    ],
)
def test_what_axe_finds_is_reported(
    other_tab: Tab,
    tmp_path: Path,
    there: str,
    instead: str,
    rule: str,
    themes: list[Theme],
) -> None:
    assert there in ACCESSIBLE_PAGE
    page = tmp_path / "page.html"
    page.write_text(ACCESSIBLE_PAGE.replace(there, instead))
    other_tab.visit(page.as_uri())
    for theme in THEMES:
        show(other_tab.page, theme)
        found = {line.partition(":")[0] for line in axe_problems(other_tab.page)}
        assert found == ({rule} if theme in themes else set())


@pytest.mark.parametrize(
    "odd",
    [
        '<p><b id="odd" style="color: #777; background: #888">two</b></p>',
        '<p><b id="odd" class="pale">two</b></p>',
        '<pre><b class="pale">2</b> <b class="pale" id="odd">two</b></pre>',
        '<p style="background: #777"><b id="odd">two</b></p>',
        '<p style="opacity: 0.3"><b id="odd">two</b></p>',
        '<div style="height: 4em; background: #777"></div>'
        '<p style="transform: translateY(-3em)"><b id="odd">two</b></p>',
    ],
)
def test_of_parts_that_look_alike_the_odd_one_is_reported(
    other_tab: Tab, tmp_path: Path, odd: str
) -> None:
    page = tmp_path / "page.html"
    style = "<style>.pale { color: #777; background: #888 }"
    changed = ACCESSIBLE_PAGE.replace("<p><b>two</b></p>", odd)
    page.write_text(changed.replace("<style>", style))
    other_tab.visit(page.as_uri())
    for theme in THEMES:
        show(other_tab.page, theme)
        [problem] = axe_problems(other_tab.page)
        assert problem.startswith("color-contrast: #odd ")


def test_of_words_that_look_alike_the_one_that_axe_can_judge_is_reported(
    other_tab: Tab, tmp_path: Path
) -> None:
    """Of one letter axe does not tell whether it is pale."""
    words = '<pre><i class="pale">a</i> <span class="pale">a</span> {}</pre>'
    style = "<style>.pale { color: #777; background: #888 }"
    page = tmp_path / "page.html"
    changed = ACCESSIBLE_PAGE.replace("<style>", style)
    page.write_text(changed.replace("<b>two</b>", words.format("")))
    assert axe_problems(other_tab.visit(page.as_uri()).page) == []
    more = '<span class="pale">a</span> <span class="pale">word</span>'
    page.write_text(changed.replace("<b>two</b>", words.format(more)))
    [problem] = axe_problems(other_tab.visit(page.as_uri()).page)
    assert problem.startswith("color-contrast: ")
    assert "word" in problem


def test_what_axe_leaves_open_of_words_that_look_alike_is_reported(
    other_tab: Tab, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    words = """<pre style="position: relative"><span class="word">covered</span>
    <i style="position: absolute; inset: 0; background: #fff"></i></pre>
    <pre style="position: relative"><span class="word">seen</span></pre>"""
    page.write_text(ACCESSIBLE_PAGE.replace("<p><b>two</b></p>", words))
    [problem] = axe_problems(other_tab.visit(page.as_uri()).page)
    assert problem == 'contrast left open: <span class="word">covered</span>'
