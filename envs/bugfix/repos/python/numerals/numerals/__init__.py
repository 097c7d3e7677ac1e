"""Numbers as people write them: Roman, in words, in other bases, with units."""

from numerals.bases import from_base, group_digits, to_base
from numerals.roman import from_roman, to_roman
from numerals.words import duration, ordinal, words

__all__ = ["duration", "from_base", "from_roman", "group_digits", "ordinal", "to_base", "to_roman", "words"]
