"""What the tolerant parser finds (a message or a classified error) and the place in the text from which it reads."""

import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

FormatErrorKind = Literal[
    "truncated",  # the completion stops before EOS, or inside a tool block
    "missing_think_end",  # thinking mode, and no </think> before the answer
    "bad_tool_block",  # the function_calls tags are wrong, empty, not closed, or missing around an invoke
    "bad_invoke",  # an invoke tag is wrong or not closed
    "bad_parameter",  # a parameter tag is wrong or not closed
    "bad_json",  # a string="false" value is not JSON
    "duplicate_parameter",  # one parameter twice in one invoke
    "nested_tag",  # a tag inside a parameter's value
    "trailing_text",  # text after the tool block or after EOS
    "special_token_in_content",  # a reserved token in reasoning, content or a value, or spelled in plain text
    "half_character",  # bytes that are no UTF-8, or half a surrogate pair, in a name or a value
]


@dataclass(frozen=True)
class FormatError:
    """What is wrong first. `position` counts characters (code points) of the text; `detail` is one line for the model.

    Where something is missing, the position is where it was missed: the next tag, EOS, or the end of the text.
    """

    kind: FormatErrorKind
    position: int
    detail: str


@dataclass(frozen=True)
class Parsed:
    """Either a message (as the strict parser returns it) or an error; `repaired` names each repair, in order."""

    message: dict[str, Any] | None
    error: FormatError | None = None
    repaired: tuple[str, ...] = ()


class FormatFault(Exception):
    """Carries the first error of a completion out of the parser, which never lets it out."""

    def __init__(self, error: FormatError) -> None:
        super().__init__(error.detail)
        self.error = error


class Scanner:
    """A place in the completion's body (the text before EOS) and the repairs made so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.end = len(text)
        self.open_ended = False  # no EOS: a body that stops early was cut off
        self.repaired: list[str] = []

    def fail(self, kind: FormatErrorKind, position: int, detail: str) -> NoReturn:
        raise FormatFault(FormatError(kind, position, detail))

    def fail_unclosed(self, kind: FormatErrorKind, what: str) -> NoReturn:
        """The body ended inside `what`: cut off if there was no EOS, else wrong."""
        if self.open_ended:
            self.fail("truncated", self.end, f"the text ends inside {what}")
        self.fail(kind, self.end, f"EOS comes before the end of {what}")

    def find(self, needle: str) -> int:
        """Where `needle` next begins in the body, or -1."""
        return self.text.find(needle, self.at, self.end)

    def starts(self, prefix: str) -> bool:
        return self.text.startswith(prefix, self.at, self.end)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at, self.end)
        if found is not None:
            self.at = found.end()
        return found

    def expect_form(self, found: re.Match[str], canonical: str, what: str) -> None:
        """Note a repair if what was read is not written as the grammar writes it."""
        if found.group() != canonical:
            self.repaired.append(f"form of {what}")
