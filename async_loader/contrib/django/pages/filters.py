"""The filters of the templates: how texts, numbers and times are written on a page."""

from __future__ import annotations

import itertools
import re
from datetime import datetime

from django.template import Library
from django.utils.html import format_html, format_html_join

register = Library()

# Seconds from which milliseconds are left out, and the smallest share that is written as a number.
_SHORT = 10
_LEAST_PERCENT = 0.1
# A line with its end.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


@register.filter
def shown(text: str) -> str:
    """Return the text with a code for each character that cannot be seen or that changes the direction of others."""
    if text.isprintable():
        return text
    runs = itertools.groupby(text, str.isprintable)
    return format_html_join("", "{}", ((_coded("".join(run)),) for _, run in runs))


@register.filter
def unfolded(text: str) -> str:
    """Return the text as `shown` does, but keep its line breaks."""
    return format_html_join("\n", "{}", ((shown(line),) for line in _LINES.findall(text)))


def _coded(text: str) -> str:
    if text.isprintable():
        return text
    return format_html('<b class="code">{}</b>', text.encode("unicode_escape").decode())


@register.filter
def count(number: int | str) -> str:
    """Return a number with commas. The ledger may also hold what is no number, which is returned as it is."""
    return f"{number:,}" if isinstance(number, int) else number


@register.filter
def seconds(duration: float) -> str:
    """Return seconds; short times have milliseconds."""
    return f"{duration:,.3f}" if duration < _SHORT else f"{duration:,.1f}"


@register.filter
def rounded(number: float) -> str:
    """Return a number rounded to an integer."""
    return f"{number:,.0f}"


@register.filter
def moment(when: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


@register.filter
def percent(share: float) -> str:
    """Return a share; a small one is not rounded to 0."""
    return f"{share:.1f} %" if share >= _LEAST_PERCENT else f"under {_LEAST_PERCENT} %"


@register.filter
def tick(number: float) -> str:
    """Return the label of a round number in few characters: 1.5M, 250k, 0.2."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.4g}{letter}"
    return f"{number:.4g}"
