"""The interactive figure as its readers use it: by mouse, keyboard and touch, in a browser."""

import html
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from book_checks import ROOT, assert_none
from browsers import chromium, lacking
from bs4 import BeautifulSoup
from cases import rejects
from playwright.sync_api import Browser, Locator, Page

from convnotes.explorer import explore
from convnotes.explorer.page import document, variants
from convnotes.standard import conv2d_loops

VARIANTS: list[str] = list(variants()["variants"])
LARGEST = 60_000  # bytes a figure

# From Python.


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_figure_is_one_small_frame_that_cannot_reach_its_page(variant: str) -> None:
    source = explore(variant)._repr_html_()
    around, frame = BeautifulSoup(source, "html.parser").find_all(True)
    assert frame.parent is around
    assert frame.name == "iframe"
    assert frame["sandbox"] == ["allow-scripts"]
    assert variants()["variants"][variant]["title"].lower() in frame["title"]
    assert len(source.encode()) <= LARGEST
    assert "//" not in str(frame["srcdoc"]).replace("</", "")  # no address of any host


def test_where_html_is_not_shown_a_sentence_says_the_same() -> None:
    said = repr(explore("dilated", input_size=(9, 7), kernel_size=(3, 2), dilation=2))
    for part in ("dilated convolution", "(9, 7)", "(3, 2)", "its output is 5 × 5"):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"variant": "diluted"}, ValueError, ["variant='diluted'", "dilated"]),
        ({"variant": None}, ValueError, ["variant=None"]),
        ({"variant": ["standard"]}, ValueError, ["variant=['standard']"]),
        ({"colour": "red"}, ValueError, ["colour", "kernel_size"]),
        ({"dilation": 2}, ValueError, ["dilation", "standard"]),
        ({"kernel_size": 8}, ValueError, ["kernel_size=8", "at most 7"]),
        ({"kernel_size": (3, 8)}, ValueError, ["kernel_size=(3, 8)", "at most 7"]),
        ({"kernel_size": (3, 0)}, ValueError, ["kernel_size=(3, 0)", ">= 1"]),
        ({"kernel_size": 7}, ValueError, ["kernel_size=7"] * 0 + ["input_size=4"]),
        ({"padding": -1}, ValueError, ["padding=-1", ">= 0"]),
        ({"padding": "same"}, TypeError, ["padding='same'"]),
        ({"in_channels": 9}, ValueError, ["in_channels=9", "at most 8"]),
        ({"in_channels": 2.0}, TypeError, ["in_channels=2.0"]),
        ({"variant": "grouped", "groups": 3}, ValueError, ["groups=3", "divisor"]),
        (
            {"variant": "transposed", "output_padding": 2},
            ValueError,
            ["output_padding=2"],
        ),
        ({"variant": "transposed", "kernel_size": 6}, ValueError, ["kernel_size=6"]),
    ],
    ids=str,
)
def test_a_setting_that_is_no_setting_is_named(
    arguments: dict[str, Any], error: type[Exception], said: list[str]
) -> None:
    sizes = {"input_size": (4, 4)} if arguments.get("kernel_size") == 7 else {}
    with rejects(error, *said):
        explore(**(sizes | arguments))


def test_what_stands_in_a_frame_is_escaped() -> None:
    """No title or setting can end the script, the frame's content or the title."""
    figure = explore("standard")
    figure.variant = 'x" onload="alert(1)'
    hostile = '</script><script>alert("1")</script>'
    content = document({"variant": hostile}, html.escape(hostile))
    parsed = BeautifulSoup(content, "html.parser")
    assert len(parsed.find_all("script")) == 1
    assert parsed.title is not None
    assert parsed.title.text == hostile


# In a browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Tab:
    """A browser's tab for one figure after another, and what went wrong in it."""

    def __init__(self, browser: Browser, **how: Any) -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(**how)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("request", lambda request: self.complaints.append(request.url))

    @contextmanager
    def open(
        self,
        variant: str = "standard",
        width: int = 720,
        settings: dict[str, Any] | None = None,
        **media: Any,
    ) -> Iterator[Page]:
        """Open a figure as in its frame; an error or a message in the browser is an error here.

        Nothing is left of it afterwards: neither its document nor where the mouse was.
        """
        usual = {"color_scheme": "light", "reduced_motion": "no-preference"}
        self.page.emulate_media(**usual | media)
        self.page.set_viewport_size({"width": width, "height": 1000})
        figure = explore(variant, **settings or {})
        self.complaints.clear()
        self.page.set_content(
            document({"variant": variant, **figure.settings}, figure.title)
        )
        try:
            self.page.wait_for_selector(".tiles div")
            yield self.page
        finally:
            self.page.goto("about:blank")
            self.page.mouse.move(0, 0)
        assert_none(self.complaints)


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Tab:
    return Tab(browser)


def spot(page: Page, grid: str) -> Locator:
    return page.locator(f".hot[aria-label^={grid}]")


def cell(page: Page, grid: str, i: int, j: int, border: int = 0) -> tuple[float, float]:
    """Return the middle of a cell of a grid, on the page."""
    box = spot(page, grid).bounding_box()
    assert box is not None
    label = spot(page, grid).get_attribute("aria-label") or ""
    rows, columns = (int(n) for n in label.split(", ")[-1].split(".")[0].split(" by "))
    across = (box["width"] - 3) / (columns + 2 * border)
    down = (box["height"] - 3) / (rows + 2 * border)
    return (
        box["x"] + 2 + (j + border + 0.5) * across,
        box["y"] + 2 + (i + border + 0.5) * down,
    )


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def value(page: Page, tile: str) -> str:
    return page.locator(f".tiles dt:has-text('{tile}') b").inner_text()


def engine_output(page: Page) -> np.ndarray:
    """Compute the shown standard layer (3 channels to 4, padding 1) from what its page holds."""
    names = "inputValues, weightValues, steps"
    source = (ROOT / "convnotes" / "explorer" / "geometry.js").read_text("utf-8")
    page.add_script_tag(
        type="module", content=f"{source}\nwindow.engine = {{ {names} }}"
    )
    page.wait_for_function("!!window.engine")
    x, w = page.evaluate(
        """() => {
            const s = { variant: 'standard', input_size: [6, 7], kernel_size: [3, 3],
                stride: [1, 1], padding: [1, 1], in_channels: 3, out_channels: 4 }
            return [engine.inputValues(s), engine.weightValues(engine.steps(s)[0], 0)]
        }"""
    )
    x, w = np.reshape(x, (1, 3, 6, 7)), np.reshape(w, (4, 3, 3, 3))
    return conv2d_loops(x, w, padding=1)[0]


def test_the_mouse_points_at_an_output_and_at_an_input(tab: Tab) -> None:
    with tab.open() as page:
        page.mouse.move(*cell(page, "Output", 4, 2))
        expected = engine_output(page)[0, 4, 2]
        shown = f"y[0, 4, 2] = {expected:g}".replace("-", "−")
        assert text(page, ".sum").startswith(shown)
        page.mouse.move(*cell(page, "Input", 0, 6, border=1))
        said = text(page, ".sum")
        assert said.startswith("x[0, 0, 6]")
        assert said.count("y[0, ") == 4  # a corner is read four times
        page.mouse.move(*cell(page, "Kernel", 1, 1))
        assert page.locator(".sum .on").count() == 1


def test_the_numbers_in_the_cells_can_count_reads(tab: Tab) -> None:
    with tab.open("transposed") as page:
        before = page.locator("canvas.grids").screenshot()
        page.get_by_role("button", name="overlaps").click()
        assert page.locator("canvas.grids").screenshot() != before
        page.get_by_role("button", name="output", exact=True).click()
        assert text(page, ".sum").startswith("y[0, 1, 1]")


def test_a_small_map_is_clicked_to_see_its_channel(tab: Tab) -> None:
    with tab.open("grouped", settings={"groups": 4}) as page:
        box = page.locator(".mix canvas").bounding_box()
        assert box is not None
        page.mouse.click(
            box["x"] + box["width"] * 5.5 / 8, box["y"] + box["height"] - 25
        )
        assert text(page, ".sum").startswith("y[5, 1, 1]")
        assert "input channel 4:" in text(page, ".sum")  # its group is 4 and 5


def test_the_keyboard_reaches_everything_and_where_it_is_can_be_seen(
    tab: Tab,
) -> None:
    with tab.open("deformable") as page:
        wanted = page.evaluate(
            """() => [...document.querySelectorAll(
                'button, select, input, [tabindex="0"]')].filter(
                element => element.checkVisibility() && !element.disabled).length"""
        )
        reached = set()
        for _ in range(wanted):
            page.keyboard.press("Tab")
            name, style, box = page.evaluate(
                """() => {
                    const element = document.activeElement, style = getComputedStyle(element)
                    const all = [...document.querySelectorAll('*')]
                    const name = element.ariaLabel || element.textContent || element.type
                    return [[all.indexOf(element), name || element.id],
                        style.outlineStyle, element.getBoundingClientRect().width]
                }"""
            )
            reached.add(tuple(name))
            assert style == "solid", name
            assert box > 5, name
        assert len(reached) == wanted
        assert all(name for _, name in reached)


def test_arrow_keys_step(tab: Tab) -> None:
    with tab.open() as page:
        spot(page, "Output").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
        assert text(page, ".sum").startswith("y[0, 3, 0]")
        page.keyboard.press("ArrowLeft")  # at the border it stays
        assert text(page, ".sum").startswith("y[0, 3, 0]")
        spot(page, "Kernel").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".sum .on").count() == 2  # the term, and its channel's sum
        page.get_by_role("button", name="Step on").press("Enter")
        assert text(page, ".sum").startswith("y[0, 3, 1]")
        page.get_by_label("out channel", exact=True).press("ArrowRight")
        assert text(page, ".sum").startswith("y[1, 3, 1]")


def test_a_knob_changes_numbers_code_and_what_is_said(tab: Tab) -> None:
    with tab.open() as page:
        page.get_by_label("stride", exact=True).press("ArrowRight")
        assert value(page, "Output size") == "3 × 4"
        assert value(page, "MACs") == "1,296"
        assert "nn.Conv2d(3, 4, 3, stride=2, padding=1" in text(page, "code")
        page.wait_for_function(
            "document.querySelector('.live').textContent.startsWith("
            "'Output 3 by 4. 108 parameters, 1,296 MACs.')"
        )
        page.get_by_label("rows = columns").uncheck()
        page.get_by_label("stride, columns").press("ArrowLeft")
        assert value(page, "Output size") == "3 × 7"
        page.get_by_label("Variant").select_option("depthwise")
        assert "groups=4" in text(page, "code")


def test_one_slider_leads_from_standard_to_depthwise(tab: Tab) -> None:
    with tab.open("grouped", settings={"groups": 1}) as page:
        shares = [value(page, "Against standard")]
        slider = page.get_by_label("groups", exact=True)
        for _ in range(3):
            slider.press("ArrowRight")
            shares.append(value(page, "Against standard"))
        assert [float(share) for share in shares] == [1, 0.5, 0.25, 0.13]
        said = slider.get_attribute("aria-valuetext") or ""
        assert said.endswith("the depthwise convolution")


def test_what_cannot_be_is_explained(tab: Tab) -> None:
    with tab.open(settings={"padding": 0, "input_size": (4, 6)}) as page:
        knob = page.get_by_label("kernel size", exact=True)
        knob.press("ArrowRight")
        assert not page.locator(".why").is_visible()
        knob.press("ArrowRight")
        assert "spans 5 rows" in text(page, ".why")
        shown = text(page, "main")
        assert not any(wrong in shown for wrong in ("NaN", "undefined", "Infinity"))
        page.mouse.move(*cell(page, "Input", 1, 1))
        knob.press("ArrowLeft")
        assert value(page, "Output size") == "1 × 3"
        assert not page.locator(".why").is_visible()


def test_an_output_that_reads_only_padding_has_its_sum(tab: Tab) -> None:
    settings = {"kernel_size": 1, "padding": 1}
    with tab.open("separable", settings=settings) as page:
        page.get_by_label("output column", exact=True).press("ArrowLeft")
        assert text(page, ".sum").startswith("y[0, 1, 0] =")


def test_a_finger_points_too_and_turns_knobs(browser: Browser) -> None:
    with Tab(browser, has_touch=True).open(width=360) as page:
        page.touchscreen.tap(*cell(page, "Output", 2, 5))
        assert text(page, ".sum").startswith("y[0, 2, 5]")
        page.touchscreen.tap(*cell(page, "Input", 1, 0, border=1))
        assert text(page, ".sum").startswith("x[0, 1, 0]")
        page.get_by_role("button", name="Step on").tap()
        assert text(page, ".sum").startswith("x[0, 1, 1]")
        page.get_by_label("padding", exact=True).scroll_into_view_if_needed()
        box = page.get_by_label("padding", exact=True).bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
        assert value(page, "Output size") == "12 × 13"


def test_a_sampling_point_is_dragged_by_mouse_and_by_keyboard(tab: Tab) -> None:
    settings = {"offset_range": 1, "kernel_size": 2, "in_channels": 1}
    with tab.open("deformable", settings=settings) as page:
        handle = page.get_by_role("button", name="Sampling point 1, 0")
        box = handle.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before = text(page, ".sum")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 20, steps=3)
        page.mouse.up()
        assert handle.get_attribute("aria-pressed") == "true"
        said = text(page, ".sum")
        assert said != before
        assert said.startswith("point 1, 0 at row ")
        weights = [
            float(term.split("·")[0])
            for term in said.split(":")[1].split(" = ")[0].split(" + ")
        ]
        assert len(weights) == 4
        assert sum(weights) == pytest.approx(1, abs=0.002)
        offset = handle.get_attribute("aria-label")
        page.keyboard.press("ArrowDown")
        assert handle.get_attribute("aria-label") != offset


def test_deformed_outputs_that_read_an_input_are_those_of_the_sum(
    tab: Tab,
) -> None:
    with tab.open("deformable") as page:
        page.get_by_role("button", name="input", exact=True).click()
        named = re.findall(r"y\[0, (\d+), (\d+)\]", text(page, ".sum"))
        rows = sorted({int(row) for row, _ in named})
        said = (
            f"read by output {len(set(named))} positions, rows {rows[0]} to {rows[-1]}"
        )
        page.wait_for_selector(f".live:has-text('{said}')", state="attached")


def test_playing_goes_on_and_stops(tab: Tab) -> None:
    with tab.open() as page:
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(
            "document.querySelector('.sum').textContent.startsWith('y[0, 1, 2]')"
        )
        page.get_by_role("button", name="Stop").click()


def test_nothing_moves_for_who_asked_for_less_motion(tab: Tab) -> None:
    with tab.open(reduced_motion="reduce") as page:
        assert not page.get_by_role("button", name="Play").is_visible()
        assert page.evaluate("document.getAnimations().length") == 0
        assert page.evaluate(
            """() => [...document.querySelectorAll('*')].every(element => {
                const { transitionDuration, animationName } = getComputedStyle(element)
                return transitionDuration === '0s' && animationName === 'none' })"""
        )


def test_the_line_of_pytorch_is_copied_or_selected(tab: Tab) -> None:
    with tab.open() as page:
        page.get_by_role("button", name="Copy").click()
        page.wait_for_selector(".copy:text-matches('Copied|Selected')")
        if text(page, ".copy") == "Selected":
            assert page.evaluate("`${getSelection()}`").startswith("nn.Conv2d(3, 4")


@pytest.mark.parametrize(
    ("variant", "scheme"),
    [("separable", "light"), ("transposed", "dark"), ("deformable", "dark")],
)
def test_a_figure_is_accessible(tab: Tab, variant: str, scheme: str) -> None:
    with tab.open(variant, color_scheme=scheme) as page:
        rules = {"page-has-heading-one": {"enabled": False}}  # a frame is no page
        options = {"resultTypes": ["violations"], "rules": rules}
        found = Axe().run(page, options=options).response
        assert_none(
            [
                f"{violation['id']}: {node['html'][:200]}"
                for violation in found["violations"]
                for node in violation["nodes"]
            ]
        )


def test_on_a_phone_nothing_is_wider_than_the_screen(tab: Tab) -> None:
    with tab.open(width=328) as page:
        for variant in VARIANTS:
            page.get_by_label("Variant").select_option(variant)
            wide = page.evaluate(
                """() => [...document.querySelectorAll('main *')].filter(element =>
                    element.getBoundingClientRect().right > 328.5 && element.checkVisibility()
                ).map(element => element.outerHTML.slice(0, 100))"""
            )
            assert_none(wide)
            assert page.evaluate("document.documentElement.scrollWidth") == 328


WIDTHS = (288, 328, 420, 558, 568, 640, 674, 676, 860)


@pytest.fixture(scope="module")
def framed(browser: Browser) -> Page:
    """Open a page with every figure in its frame, side by side: out of sight none is drawn."""
    screen = {"width": max(WIDTHS) * len(VARIANTS), "height": 2100}
    page = browser.new_page(viewport=screen)  # type: ignore[arg-type]
    figures = (explore(variant)._repr_html_() for variant in VARIANTS)
    page.set_content(
        "<style>body { margin: 0 } main { display: flex } main > * { flex: none }</style>"
        f"<p hidden>secret</p><main>{''.join(figures)}</main>"
    )
    for frame in page.frames[1:]:
        frame.wait_for_selector(".tiles div")
    return page


def test_the_frame_holds_the_whole_figure_at_every_width(framed: Page) -> None:
    """It is the width of the frame that counts, in a page as wide as it may be."""
    for frame in framed.frames[1:]:
        frame.evaluate(
            """() => addEventListener('message', async ({ source, data: width }) => {
                const drawn = () => new Promise(requestAnimationFrame)
                while (innerWidth !== width) await drawn()
                for (let n = 0; n < 3; n++) await drawn()
                const { scrollHeight, scrollWidth } = document.documentElement
                const over = [scrollWidth - innerWidth, scrollHeight - innerHeight]
                const cut = over.some(Boolean) && `${document.title} at ${width}: ${over}`
                source.postMessage(cut, '*') })"""
        )
    answers = framed.evaluate(
        """async widths => {
            const frames = [...document.querySelectorAll('iframe')], answers = []
            for (const width of widths) {
                for (const { parentElement } of frames) parentElement.style.width = `${width}px`
                await new Promise((settle, fail) => {
                    setTimeout(fail, 20000, Error(`not every frame is ${width} px wide`))
                    onmessage = ({ data }) => {
                        if (answers.push(data) % frames.length === 0) settle()
                    }
                    for (const frame of frames) frame.contentWindow.postMessage(width, '*')
                })
            }
            return answers }""",
        WIDTHS,
    )
    assert len(answers) == len(VARIANTS) * len(WIDTHS)
    assert_none([answer for answer in answers if answer])


def test_the_frame_is_cut_off_from_the_page_around_it(framed: Page) -> None:
    assert "secret" in (framed.text_content("body") or "")
    frame = framed.frames[1 + VARIANTS.index("dilated")]
    assert frame.locator("code").inner_text().startswith("nn.Conv2d(2, 3, 3")
    reached = frame.evaluate(
        """() => { try { return parent.document.body.textContent }
            catch (error) { return error.name } }"""
    )
    assert reached == "SecurityError"
    frame.get_by_role("button", name="Copy").click()
    frame.locator(".copy:text-matches('Copied|Selected')").wait_for()


# Its own page of the built site.

SITE = Path(os.environ.get("BOOK_SITE", ROOT / "_build" / "html"))


@pytest.fixture(scope="module")
def site_page(browser: Browser) -> Page:
    if not (SITE / "book" / "explorer.html").exists():
        lacking(f"there is no site at {SITE}: run make book")
    return browser.new_page()


@pytest.fixture
def own_page(site_page: Page) -> Iterator[Page]:
    """Lend a page in which nothing is open, and forget what it kept."""
    yield site_page
    site_page.evaluate("localStorage.clear()")
    site_page.goto("about:blank")


def go(page: Page, address: str) -> None:
    page.goto((SITE.resolve() / "book" / "explorer.html").as_uri() + address)
    page.wait_for_selector(".tiles div")


def test_settings_are_in_the_address(own_page: Page) -> None:
    go(own_page, "#variant=dilated&input_size=9,7&kernel_size=3&dilation=2")
    assert value(own_page, "Output size") == "5 × 3"
    own_page.get_by_label("dilation", exact=True).press("ArrowLeft")
    own_page.wait_for_function("location.hash.includes('dilation=1,1')")
    own_page.reload()
    own_page.wait_for_selector(".tiles div")
    assert value(own_page, "Output size") == "7 × 5"
    own_page.evaluate("location.hash = '#variant=pointwise&stride=2,3'")
    own_page.wait_for_function("location.hash.includes('in_channels')")
    assert "stride=(2, 3)" in text(own_page, "#explorer code")


IN_VAIN = {
    "#variant=nonsense": "no variant “nonsense”",
    "#variant=constructor": "no variant “constructor”",
    "#variant=standard&stride=9": "stride=9",
    "#variant=standard&stride=1,2,3": "stride=1,2,3",
    "#variant=standard&kernel_size=-1": "kernel_size=-1",
    "#variant=standard&dilation=2": "“dilation” is no setting",
    "#variant=standard&<img src=x>=1": "<img src",
    "#variant=grouped&groups=3": "groups=3",
}


def test_what_an_address_asks_for_in_vain_is_said(own_page: Page) -> None:
    go(own_page, "#a-heading-of-the-page")
    assert not own_page.locator(".note").is_visible()
    for address, said in IN_VAIN.items():
        own_page.evaluate("address => { location.hash = address }", address)
        own_page.wait_for_selector(f".note:has-text('{said}')")
        assert "nn.Conv2d" in text(own_page, "#explorer code")


def test_the_figure_follows_the_theme_of_the_page(own_page: Page) -> None:
    go(own_page, "")
    papers = set()
    for theme in ("light", "dark"):
        own_page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        papers.add(
            own_page.locator(".explorer").evaluate(
                "element => getComputedStyle(element).backgroundColor"
            )
        )
    assert papers == {"rgb(255, 255, 255)", "rgb(18, 18, 18)"}


def test_in_a_chapter_the_frame_is_turned_over_where_theme_and_system_differ(
    own_page: Page,
) -> None:
    own_page.goto((SITE.resolve() / "book" / "standard.html").as_uri())
    turned = {}
    for system in ("light", "dark"):
        own_page.emulate_media(color_scheme=system)
        own_page.wait_for_selector(f"html[data-theme={system}]")
        # The light theme last: dark is then what the system brings, and may be waited for.
        for theme in ("dark", "light"):
            own_page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            style = own_page.locator("iframe.explorer").evaluate(
                "element => getComputedStyle(element).filter"
            )
            turned[system, theme] = style != "none"
    assert turned == {pair: pair[0] != pair[1] for pair in turned}
