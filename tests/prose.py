"""Numbers that a page's prose states, numbers that its cells print, and its fenced code."""

import doctest
import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple


class Number(NamedTuple):
    """A number as it is written, and what it is worth."""

    text: str
    value: Decimal
    percent: bool


# Thousands: 442,368; thin and unbreakable spaces; LaTeX's 442{,}368 and 442\,368.
SEPARATOR = r"(?:,|\{,\}|\\,|[\u00a0\u2009\u202f])"
WHOLE = rf"(?:\d{{1,3}}(?:{SEPARATOR}\d{{3}})+(?!\d)|\d+)"
NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]}])[-−])?"
    r"(?<![\w.])"  # the 2 of conv2d is part of a name
    rf"(?P<digits>{WHOLE}?\.\d+|{WHOLE})"
    r"(?P<exponent>[eE][-+−]?\d+\b)?"
    r"(?P<percent>(?:\s|\\,|[\u00a0\u2009\u202f])?\\?%)?"
)
NAME = re.compile(
    r"\bv\d+(?:\.\d+)*|\b\d+(?:\.\d+){2,}"  # v2.13.0, 3.11.7
    r"|\b[^\W\d_]{2,}\w*-\d\w*"  # ResNet-101, but not x-101
)


def numbers(text: str) -> Iterator[Number]:
    """Find the numbers of a text; digits that belong to a name or a version are none.

    >>> [number.text for number in numbers("S0: 10,000 values in conv2d, 33 % of v2.13.0")]
    ['10,000', '33 %']
    """
    for match in NUMBER.finditer(NAME.sub(" ", text)):
        digits = re.sub(SEPARATOR, "", match["digits"])
        value = (match["sign"] or "") + digits + (match["exponent"] or "")
        yield Number(
            match[0], Decimal(value.replace("−", "-")), match["percent"] is not None
        )


# What stands in a page's source but is no statement, in the order in which it is taken out.
MARKUP = [
    re.compile(pattern, re.MULTILINE | re.DOTALL)
    for pattern in (
        r"\A---\n.*?^---$",  # front matter
        r"<!--.*?-->",
        r"^%[^\n]*$",  # a comment
        r"^ *(?:`{3,}|:{3,})\{(?:figure|image)\}[^\n]*$",  # the file's name
        r"^ *:(?!alt:)[\w-]+:[^\n]*$",  # a directive's option; :alt: is read out
        r"^\([^)\n]+\)=$",  # a label
        r"(?<=\$\$) \([\w-]+\)$",  # a formula's label
        r"^\[[^\]^\n]+\]: [^\n]*$",  # a link's definition, no footnote
        r"\{(?:cite(?::\w+)?|doc|eq|numref|ref|py:\w+)\}`[^`]*`",
        r"(?<=\])\([^)\n]*\)",  # a link's target
        r"https?://[^\s>)]+",
        r"\b10\.\d{4,}/\S+",  # a DOI
        r"(?i:arxiv):\s?\d{4}\.\d{4,5}(?:v\d+)?",
        r"\\[A-Za-z]+",  # a LaTeX command: \times512 is 512
    )
]


def is_year(number: Number) -> bool:
    plain = re.fullmatch(r"\d{4}", number.text)
    return plain is not None and 1950 <= number.value <= date.today().year + 1


def stated(markdown: str) -> list[Number]:
    """Find the numbers that Markdown states, and that its page therefore has to print.

    Those of three or more digits, with a decimal point, as a power of ten or in percent;
    not years, not what links, labels and citations are made of.

    >>> [number.text for number in stated("In 2012, [two](#10.5) kernels of 0.5 made 108.")]
    ['0.5', '108']
    """
    for markup in MARKUP:
        markdown = markup.sub(" ", markdown)
    return [
        number
        for number in numbers(markdown)
        if re.search(r"(\d.*){3}|[.eE%]", number.text) and not is_year(number)
    ]


def not_printed(markdown: str, outputs: Iterable[str]) -> list[str]:
    """List the numbers that ``markdown`` states and no output prints.

    Nothing is rounded: 15.4 is not printed by 15.37. A minus must be printed, but a
    printed minus need not be stated. 33 % may be printed as 33 or as 0.33.
    """
    values = {number.value for text in outputs for number in numbers(text)}
    values |= {abs(value) for value in values}
    return [
        number.text
        for number in stated(markdown)
        if number.value not in values
        and not (number.percent and number.value / 100 in values)
    ]


FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\n`]*)\n"
    r"(?P<body>.*?)^(?P=indent)(?P=fence)`*[ ]*$",
    re.MULTILINE | re.DOTALL,
)


def fenced(markdown: str, language: str) -> list[str]:
    r"""Return the fenced blocks in one language.

    >>> fenced("Do\n```console\n$ make book\n```\n", "console")
    ['$ make book\n']
    """
    return [
        match["body"]
        for match in FENCE.finditer(markdown)
        if match["language"].strip() == language
    ]


def without_fenced(markdown: str, language: str | None = None) -> str:
    """Drop the fenced blocks, all or those in one language."""

    def kept(match: re.Match[str]) -> str:
        wanted = language is None or match["language"].strip() == language
        return "" if wanted else match[0]

    return FENCE.sub(kept, markdown)


def run_python(code: str, name: str, namespace: dict[str, Any]) -> None:
    """Run a block of Python code, as a doctest if it has prompts; what it defines is kept."""
    if ">>> " not in code:
        exec(compile(code, name, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(code, namespace, name, name, 0)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert not report, "".join(report)
