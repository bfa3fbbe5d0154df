"""Markup from data: whatever is not markup already is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Markup, which :func:`tag` puts in as it is; any other text is data and is escaped."""

    __slots__ = ()


def markup(value: object) -> Html:
    """Data as markup that shows it: escaped, and without characters that HTML does not allow."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNPRINTABLE.sub("\ufffd", str(value))))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Parts after each other, data among them escaped."""
    return Html(between.join(markup(part) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: Of the element.
        *children: Markup, or data to escape.
        **attributes: ``class_`` is ``class``, other underscores are hyphens (``view_box`` stays
            as SVG spells it); ``None`` and ``False`` leave one out, ``True`` gives it no value.
    """
    words = [name]
    for key, value in attributes.items():
        key = "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None and value is not False:
            words.append(f'{key}="{markup(value)}"')
    return Html(f"<{' '.join(words)}>{join(children)}</{name}>")


def slug(text: str) -> str:
    """Letters, digits and hyphens of a text, for anchors."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
