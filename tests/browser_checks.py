"""What a page promises when it is open in a browser; each check lists problems."""

import re
from typing import Literal, Self, get_args

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
)

Theme = Literal["light", "dark"]
LAPTOP: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 360, "height": 800}
THEMES: tuple[Theme, ...] = get_args(Theme)


def show(page: Page, theme: Theme) -> None:
    """Turn an open page light or dark, as the reader's system asks for it."""
    # Drawing the page anew takes a while: only where it looks otherwise.
    if page.evaluate("document.documentElement.dataset.theme") != theme:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_selector(f"html[data-theme={theme}]")


class Tab:
    """A browser's tab, as large as a screen, and what went wrong in it."""

    def __init__(self, context: BrowserContext, screen: ViewportSize = LAPTOP) -> None:
        self.complaints: list[str] = []
        self.screen = screen
        self.page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._watch)
        self.page.on(
            "requestfailed", lambda r: self.complaints.append(f"fails: {r.url}")
        )

    def _watch(self, request: Request) -> None:
        if re.match(r"(https?|wss?)://(?!127\.0\.0\.1[:/])", request.url):
            self.complaints.append(f"asks another host: {request.url}")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def visit(self, url: str) -> Self:
        """Open a page, all of its folded parts and formulas too."""
        self.page.goto("about:blank")
        self.complaints.clear()  # what goes wrong from here on is this page's
        self.page.set_viewport_size(self.screen)
        self.page.emulate_media(
            media="null", color_scheme="light", reduced_motion="reduce"
        )
        self.page.goto(url)
        self.page.evaluate(
            """async () => {
                await window.MathJax?.startup?.promise
                document.querySelectorAll('details').forEach(d => d.open = true)
                // After 300 ms the theme makes reachable by keyboard what now scrolls.
                window.answered = new Promise(done => setTimeout(done, 500))
            }"""
        )
        return self


def formula_problems(page: Page) -> list[str]:
    formulas, typeset, failed = page.evaluate(
        """() => ['.math', 'mjx-container', 'mjx-merror'].map(
            selector => document.querySelectorAll(selector).length)"""
    )
    return [
        *([f"{typeset} of {formulas} formulas are typeset"] * (typeset != formulas)),
        *([f"{failed} formulas have an error"] * bool(failed)),
    ]


# Axe takes milliseconds to judge the contrast of one element, and a page has thousands, most
# of them in its code. Elements look alike if they are of the same kind and style, and inside
# elements of the same kinds and styles. What is taken out of the page's flow may lie over
# anything: it is like nothing else, and so is all that it holds.
#
# Of the words of code that look alike the longest stays, and the others become plain text; axe
# may not leave open whether its contrast is enough (of brackets and signs it always does). Any
# other element passes unjudged if one that looks like it has passed.
RUN_AXE = """async options => {
    const STYLES = [
        'color', 'backgroundColor', 'backgroundImage', 'opacity', 'filter', 'mixBlendMode',
        'fontSize', 'fontWeight', 'textShadow', 'webkitTextStrokeWidth', 'float', 'zIndex',
        'display', 'visibility',
    ]
    const looks = new Map([[null, 'page']]), numbers = new Map()

    function lookOf(element) {
        if (looks.has(element)) return looks.get(element)
        const style = getComputedStyle(element), around = lookOf(element.parentElement)
        const flows = style.transform == 'none' && !/absolute|fixed/.test(style.position)
        let look = null
        if (around && flows) {
            const parts = [around, element.tagName, element.className]
            look = JSON.stringify([...parts, ...STYLES.map(name => style[name])])
            if (!numbers.has(look)) numbers.set(look, numbers.size + 1)
            look = numbers.get(look)
        }
        looks.set(element, look)
        return look
    }

    const again = 'stay' in window // in another theme, where what looked alike still does
    const code = document.querySelectorAll('pre span, article code span, .sig span')
    const words = again ? [] : [...code].filter(span => lookOf(span)
        && !span.childElementCount && getComputedStyle(span).display == 'inline'
        && span.getAttributeNames().every(name => name == 'class'))
    const letters = word => word.textContent.match(/[\\p{L}\\p{N}]/gu)?.length ?? 0
    const longest = new Map()
    for (const word of words) {
        const other = longest.get(lookOf(word))
        if (!other || letters(word) > letters(other)) longest.set(lookOf(word), word)
    }
    for (const formula of document.querySelectorAll('mjx-math')) formula.textContent = 'x + y'
    const buttons = new Set()
    for (const button of document.querySelectorAll('.copybtn')) {
        const written = button.outerHTML.replace(button.dataset.clipboardTarget, '')
        if (buttons.has(written)) button.remove()
        buttons.add(written)
    }
    const stay = window.stay ??= new Set()
    for (const word of words) {
        const one = longest.get(lookOf(word))
        if (word == one) continue
        if (letters(one)) stay.add(one)
        word.replaceWith(word.textContent)
    }
    document.body.normalize()

    const judge = axe.judge ??= axe._audit.checks['color-contrast'].evaluate
    const judged = new Set(), passed = new Set()
    function evaluate(element, ...more) {
        const look = lookOf(element)
        if (passed.has(look)) return true
        const passes = judge.call(this, element, ...more)
        if (passes !== undefined) judged.add(element)
        if (passes && look) passed.add(look)
        return passes
    }
    axe.configure({checks: [{id: 'color-contrast', evaluate}]})

    const {violations} = await axe.run(options)
    const serious = violations.filter(rule => ['serious', 'critical'].includes(rule.impact))
    const open = [...stay].filter(word => !judged.has(word) && !passed.has(lookOf(word)))
    return [
        ...serious.flatMap(({id, nodes}) =>
            nodes.map(({target, html}) => `${id}: ${target} ${html.slice(0, 200)}`)),
        ...open.map(word => `contrast left open: ${word.outerHTML}`),
    ]
}"""


MODERATE = {"region": {"enabled": False}}  # slow, and never serious


def axe_problems(page: Page) -> list[str]:
    """List the serious violations that axe finds.

    The page loses the spans of look-alike words in its code.
    """
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], "iframes": False, "rules": MODERATE}
    return page.evaluate(RUN_AXE, options)


CODE = "pre, .highlight"


def narrow_problems(page: Page) -> list[str]:
    """List what a phone would have to scroll sideways, other than code, or would cut off.

    Whatever scrolls has to do so by keyboard, too: it can be focused, or, if it is not code,
    something in it can. What is written for screen readers alone is cut off on purpose:
    formulas as MathML, and what is in a box of one pixel.
    """
    page.set_viewport_size(PHONE)
    return page.evaluate(
        """async code => {
            for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame) // scripts answer
            await window.answered
            await Promise.all(document.getAnimations().map(moving => moving.finished))
            const page = document.documentElement, found = []
            const spoken = [...document.querySelectorAll('mjx-assistive-mml')]
            spoken.forEach(({style}) => style.setProperty('display', 'none', 'important'))
            const tell = (what, element) => found.push(`${what}: ${element.cloneNode().outerHTML}`)
            if (page.scrollWidth > page.clientWidth)
                found.push(`the page is ${page.scrollWidth} px wide`)
            for (const element of document.querySelectorAll('main, main *')) {
                if (element.closest(code)) continue
                const {clientWidth} = element
                const wide = clientWidth > 1 && element.scrollWidth > clientWidth + 1
                const right = element.getBoundingClientRect().right
                if (!wide && right <= page.clientWidth + 1) continue
                if (!element.checkVisibility({visibilityProperty: true})) continue
                const holds = getComputedStyle(element).overflowX != 'visible'
                    && !element.matches('mjx-container *')  // braces made of parts
                if ((wide && holds) || right > page.clientWidth + 1)
                    tell(`${Math.round(right)} px`, element)
            }
            const scrolls = (how, there, seen) => /auto|scroll/.test(how) && there > seen + 1
            for (const element of document.querySelectorAll('body *')) {
                const {scrollWidth, clientWidth, scrollHeight, clientHeight} = element
                if (scrollWidth <= clientWidth && scrollHeight <= clientHeight) continue
                const {overflowX, overflowY} = getComputedStyle(element)
                if (!scrolls(overflowX, scrollWidth, clientWidth)
                    && !scrolls(overflowY, scrollHeight, clientHeight)) continue
                if (!element.checkVisibility({visibilityProperty: true})) continue
                const inside = element.matches(code) ? [] : [...element.querySelectorAll('*')]
                if (![element, ...inside].some(one => one.tabIndex >= 0))
                    tell('out of reach of the keyboard', element)
            }
            spoken.forEach(({style}) => style.removeProperty('display'))
            return found
        }""",
        CODE,
    )
