"""Text of strangers, shown: control characters as what they are, never as what they do."""

from __future__ import annotations

__all__ = ["as_cell", "visible"]

#: What a cell begins with that spreadsheets calculate.
FORMULA = tuple("=+-@\t\r\n")


def visible(text: object) -> str:
    r"""Return text in which everything that cannot be printed is spelled out.

    Control characters, escape sequences with them, marks that turn the direction of writing, and
    bytes of file names that are no text.

    >>> visible("caf\u00e9 \x1b[2J \u202e\udcff")
    'café \\x1b[2J \\u202e\\udcff'
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def as_cell(value: object) -> object:
    """Return what a cell of CSV is to hold: a word that would begin a formula has ' before it.

    Spreadsheets calculate what begins with one of = + - @ (OWASP, "CSV Injection"), also after a
    tab or a line end. Numbers stay numbers, -1.5 too.

    >>> as_cell("=1+1"), as_cell("-1.5"), as_cell("-x"), as_cell(-2)
    ("'=1+1", '-1.5', "'-x", -2)
    """
    if not isinstance(value, str):
        return value
    value = value.replace("\r", "\\r")  # some take it for the end of a row, quoted or not
    if not value.startswith((*FORMULA, "\\r")):
        return value
    try:
        float(value)
        return value
    except ValueError:
        return f"'{value}"
