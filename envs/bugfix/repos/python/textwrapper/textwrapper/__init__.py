"""Lay out plain text: wrap, justify, columns."""

from textwrapper.columns import table, truncate
from textwrapper.wrap import indent, justify, wrap

__all__ = ["indent", "justify", "table", "truncate", "wrap"]
