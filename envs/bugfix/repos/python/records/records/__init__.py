"""Read and write tables of delimited text."""

from records.reader import parse, parse_line
from records.typed import convert, group_total, select
from records.writer import dump, quote

__all__ = ["convert", "dump", "group_total", "parse", "parse_line", "quote", "select"]
