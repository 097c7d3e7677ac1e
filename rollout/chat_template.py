"""Hugging Face chat templates: Jinja programs that turn a conversation into text, kept beside a tokenizer.

What messages say can never forge structure: a special token that stands in a message comes out as plain text, and only
those that the template writes are special.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import EncodingError, TokenizerError
from .grammar import Pieces, Token
from .types import Message

_PRIVATE = range(0xE000, 0xF900)


class ChatTemplate:
    """The template of a checkpoint folder (`chat_template.jinja`, or in `tokenizer_config.json`) over its added tokens.

    Raises TokenizerError where the folder has no template, or one that does not compile.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        config = _read_json(self._folder / "tokenizer_config.json")
        added = _read_json(self._folder / "tokenizer.json").get("added_tokens") or []
        source = _source(self._folder, config)
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = environment.from_string(source)
            self.takes_tools = "tools" in find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateError as error:
            raise TokenizerError(f"the chat template of {folder} does not compile: {error}") from error
        self._named = {name: text for name, value in config.items() if (text := _token_text(name, value))}
        self._special = re.compile("|".join(re.escape(token["content"]) for token in added) or r"(?!)")
        self.special = [str(token["content"]) for token in added if token.get("special")]
        self.end = self._named.get("eos_token", "")
        if not self.end:
            raise TokenizerError(f"{folder}/tokenizer_config.json names no eos_token, which ends a message")

    def render(
        self, messages: list[Message], tools: list[dict[str, Any]] | None = None, *, generate: bool = False
    ) -> Pieces:
        """The conversation in pieces; with `generate`, up to where the next completion begins.

        Raises EncodingError where the template refuses it.
        """
        mark = _unused_character(json.dumps([messages, tools], ensure_ascii=False, default=str))
        hidden = _mapped((messages, tools), lambda text: self._special.sub(lambda m: m[0][0] + mark + m[0][1:], text))
        try:
            text = self._template.render(
                messages=hidden[0], tools=hidden[1], add_generation_prompt=generate, **self._named
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise EncodingError(f"the chat template of {self._folder} refuses the conversation: {error}") from error
        return [piece if isinstance(piece, Token) else piece.replace(mark, "") for piece in self._cut(text)]

    def _cut(self, text: str) -> Iterator[str]:
        at = 0
        for found in self._special.finditer(text):
            if found.start() > at:
                yield text[at : found.start()]
            yield Token(found[0])
            at = found.end()
        if at < len(text):
            yield text[at:]


def _source(folder: Path, config: dict[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text("utf-8")
    given = config.get("chat_template")
    if isinstance(given, list):  # several by name
        by_name = {entry["name"]: entry["template"] for entry in given}
        given = by_name.get("tool_use") or by_name.get("default")
    if not isinstance(given, str):
        raise TokenizerError(f"{folder} has no chat template (chat_template.jinja, or in tokenizer_config.json)")
    return given


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise TokenizerError(f"{path} is a JSON {type(data).__name__}; it must be an object")
    return data


def _token_text(name: str, value: Any) -> str:
    """The text of what the configuration calls `..._token`, a string or an object with it."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if name.endswith("_token") and isinstance(text, str) else ""


def _unused_character(text: str) -> str:
    return next(character for character in map(chr, _PRIVATE) if character not in text)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every string in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Jinja's own filter escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
