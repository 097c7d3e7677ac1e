"""Tokenizers: text to token ids and back, exactly; and the training of small ones for the shipped policy.

A tokenizer is a `tokenizer.json` file of the `tokenizers` library, byte-level, so that every text encodes and decodes
to itself. DeepSeek-V3.2's own file works, and so does what `train_tokenizer` makes: the same special tokens, with ids
from 0 (BOS 0, EOS 1, pad 2).

A capitalised word never absorbs the space before it, unlike GPT's: a name has the same tokens after a space, a quote or
a newline, so that a tiny model can learn to copy it from a tool's result into a call. Markup that recurs (tags with
their attributes, JSON keys) may become one token.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from .errors import TokenizerError
from .grammar import ASSISTANT, BOS, DSML, EOS, THINK, THINK_END, TOKENS, USER, Pieces, Token

PAD = "<｜▁pad▁｜>"
SPECIAL_TOKENS = (BOS, EOS, PAD, USER, ASSISTANT, THINK, THINK_END, DSML)
FILE_NAME = "tokenizer.json"

_REMEMBERED, _REMEMBERED_LENGTH = 256, 16_384  # texts and their characters: at most some 40 MB
HALF_CHARACTER = "\udcff"
_HALVES = "palestra.half-characters"


def _half_character(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return HALF_CHARACTER, error.end


codecs.register_error(_HALVES, _half_character)

_PIECES = "|".join(
    (
        r"\p{N}",  # one digit
        r"\s*</?[a-z_]+>\s*",  # a whole tag
        r'[a-z_]+(?: [a-z_]+="[a-z_]*")*>\s*(?:</?)?',  # the rest of a tag after a special token
        r'[\[\]{}",: ]*"[a-z_]+": ?"?',  # a JSON key with what surrounds it
        r"\s*</?",
        r" ?[a-z_]+(?: (?=[\p{Lu}\p{N}]))?",  # a lower-case word, with the space that sets off a name or a number
        r"[\p{L}\p{M}_]+",
        r'[^\p{L}\p{M}\p{N}_<"\[{]+',  # spaces, newlines, punctuation, symbols
        r'["\[{]',
    )
)
_ANY_SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))


class Tokenizer:
    """Text to ids and ids to text. Ids of special tokens raise TokenizerError where the vocabulary has none."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[Any]]:
        return Tokenizer, (self._backend,)

    @classmethod
    def from_file(cls, path: str | Path) -> "Tokenizer":
        """Read a `tokenizer.json`. Raises TokenizerError if it is missing or malformed."""
        path = Path(path)
        if not path.is_file():
            raise TokenizerError(f"no tokenizer at {path}; a checkpoint directory holds a {FILE_NAME}")
        try:
            return cls(Backend.from_file(str(path)))
        except Exception as error:  # the library raises the bare class
            raise TokenizerError(f"{path} is no readable {FILE_NAME}: {error}") from error

    @classmethod
    def from_dir(cls, checkpoint_dir: str | Path) -> "Tokenizer":
        """Read the `tokenizer.json` of a checkpoint directory."""
        return cls.from_file(Path(checkpoint_dir) / FILE_NAME)

    def save(self, checkpoint_dir: str | Path) -> None:
        """Write `tokenizer.json`, and the `tokenizer_config.json` by which transformers and vLLM read it."""
        target = Path(checkpoint_dir)
        target.mkdir(parents=True, exist_ok=True)
        self._backend.save(str(target / FILE_NAME))
        named = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
        config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        config |= {key: token for key, token in named.items() if self._backend.token_to_id(token) is not None}
        (target / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2), "utf-8")

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; nothing is added, and what spells a special token becomes one: for trusted text only.

        Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
        """
        ids: list[int] = _ids(self._backend, text)
        return ids

    def encode_pieces(self, pieces: Iterable[str]) -> list[int]:
        """The ids of a rendered conversation: special tokens come from pieces of type `Token` and from nowhere else.

        The same as `encode` of the joined pieces, except where plain text spells a special token.
        """
        ids: list[int] = []
        for is_token, group in groupby(pieces, lambda piece: isinstance(piece, Token)):
            if is_token:
                ids += map(self.token_id, group)
            else:
                ids += self._encode_plain("".join(group))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included. A character cut at the end shows as one U+FFFD there.

        Raises TokenizerError for an id outside the vocabulary.
        """
        return self._bytes(ids).decode("utf-8", "replace")

    def decode_pieces(self, ids: Sequence[int]) -> Pieces:
        """`decode`, cut at the grammar's special tokens, which are of type `Token`.

        Half a character is not U+FFFD, which a text may well hold, but the lone surrogate `HALF_CHARACTER`.
        Raises TokenizerError for an id outside the vocabulary.
        """
        pieces: Pieces = []
        start, tokens = 0, self._grammar_tokens
        for place in [index for index, token in enumerate(ids) if token in tokens]:
            if start < place:
                pieces.append(self._bytes(ids[start:place]).decode("utf-8", _HALVES))
            pieces.append(tokens[ids[place]])
            start = place + 1
        if start < len(ids):
            pieces.append(self._bytes(ids[start:]).decode("utf-8", _HALVES))
        return pieces

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes, perhaps part of a character, that a token stands for."""
        try:
            return self._bytes_of[token_id]
        except KeyError:
            raise TokenizerError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}") from None

    def ids_ending(self, end: bytes) -> list[int]:
        """The tokens whose bytes end with `end`, in the order of their ids."""
        return sorted(token for token, spelled in self._bytes_of.items() if spelled.endswith(end))

    def _bytes(self, ids: Iterable[int]) -> bytes:
        try:
            return b"".join(map(self._bytes_of.__getitem__, ids))
        except KeyError as unknown:
            self.token_bytes(unknown.args[0])
            raise AssertionError from unknown

    def token_id(self, token: str) -> int:
        """The id of a token by name. Raises TokenizerError if the vocabulary has none."""
        found: int | None = self._backend.token_to_id(token)
        if found is None:
            raise TokenizerError(f"the tokenizer has no token {token!r}; it was made for another chat format")
        return found

    @cached_property
    def vocab_size(self) -> int:
        """The least embedding that fits: the largest id plus one."""
        return max(self._bytes_of) + 1

    @property
    def bos_id(self) -> int:
        return self.token_id(BOS)

    @property
    def eos_id(self) -> int:
        return self.token_id(EOS)

    @property
    def pad_id(self) -> int:
        return self.token_id(PAD)

    @property
    def user_id(self) -> int:
        return self.token_id(USER)

    @property
    def assistant_id(self) -> int:
        return self.token_id(ASSISTANT)

    @property
    def think_id(self) -> int:
        return self.token_id(THINK)

    @property
    def think_end_id(self) -> int:
        return self.token_id(THINK_END)

    @property
    def dsml_id(self) -> int:
        return self.token_id(DSML)

    def _encode_plain(self, text: str) -> Sequence[int]:
        return self._remembered(text) if len(text) <= _REMEMBERED_LENGTH else self._encode_anew(text)

    def _encode_anew(self, text: str) -> tuple[int, ...]:
        return tuple(_ids(self._plain_backend, text))

    @cached_property
    def _remembered(self) -> Callable[[str], tuple[int, ...]]:
        """The grammar's own markup, and the tools of an environment, recur in every episode."""
        return lru_cache(_REMEMBERED)(self._encode_anew)

    @cached_property
    def _plain_backend(self) -> Any:
        """The backend without added tokens: to it every text is plain. It shares the model, not a copy."""
        plain = Backend(self._backend.model)
        if self._backend.normalizer is not None:
            plain.normalizer = self._backend.normalizer
        plain.pre_tokenizer = self._backend.pre_tokenizer
        return plain

    @cached_property
    def _grammar_tokens(self) -> dict[int, Token]:
        found = {self._backend.token_to_id(token): token for token in TOKENS.values()}
        return {token_id: token for token_id, token in found.items() if token_id is not None}

    @cached_property
    def _bytes_of(self) -> dict[int, bytes]:
        """Of each id, its bytes: an added token stands for itself, any other spells bytes as characters."""
        added = {i: token.content.encode() for i, token in self._backend.get_added_tokens_decoder().items()}
        vocabulary: dict[str, int] = self._backend.get_vocab(with_added_tokens=False)
        spelled = {i: _spelled_bytes(token) for token, i in vocabulary.items() if i not in added}
        return spelled | added


def _ids(backend: Any, text: str) -> list[int]:
    """Of one text; as a batch, for only a batch can be encoded without the places of its tokens in the text."""
    ids: list[int] = backend.encode_batch_fast([_encodable(text)], add_special_tokens=False)[0].ids
    return ids


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train byte-level BPE on `texts`; the same texts give the same tokenizer.

    Special tokens inside the texts are cut out first. The vocabulary is smaller than `vocab_size` when the texts offer
    too few pairs that occur twice. Raises TokenizerError if it cannot hold the bytes and the special tokens.
    """
    least = len(SPECIAL_TOKENS) + 256
    if vocab_size < least:
        raise TokenizerError(f"vocab_size is {vocab_size}; 256 bytes and the special tokens need at least {least}")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    backend.train_from_iterator(_plain_parts(texts), trainer=trainer)
    return Tokenizer(backend)


def _plain_parts(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from filter(None, _ANY_SPECIAL.split(text))


def _byte_alphabet() -> dict[str, int]:
    """Byte-level BPE's spelling of bytes (from GPT-2): printable Latin-1 as itself, the rest from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()


def _spelled_bytes(token: str) -> bytes:
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode()
