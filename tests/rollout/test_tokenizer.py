"""Tokenizers: exact round trips, stable words, fixed special ids, determinism, and V3.2's own file."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.rollout.encoding import encode_messages, render_assistant
from palestra.rollout.errors import TokenizerError
from palestra.rollout.grammar import EOS, THINK, THINK_END, TOKENS, Token
from palestra.rollout.tokenizer import HALF_CHARACTER, SPECIAL_TOKENS, Tokenizer, train_tokenizer

MESSAGE = {
    "reasoning_content": "I look for the Amber hotel.",
    "tool_calls": [{"function": {"name": "find_hotel", "arguments": '{"name": "Amber hotel", "price": 412}'}}],
}
TEXTS = ["".join(render_assistant(MESSAGE, "thinking")), "Amber hotel:\n  price 412, stars 4.5\n"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 400)


def test_special_ids(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_id(token) for token in SPECIAL_TOKENS] == list(range(8))
    named = [tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id, tokenizer.user_id, tokenizer.assistant_id]
    assert [*named, tokenizer.think_id, tokenizer.think_end_id, tokenizer.dsml_id] == list(range(8))
    assert tokenizer.encode("".join(SPECIAL_TOKENS)) == list(range(8))
    assert tokenizer.decode(range(8)) == "".join(SPECIAL_TOKENS)
    assert 264 < tokenizer.vocab_size <= 400
    with pytest.raises(TokenizerError, match="no token"):
        tokenizer.token_id("<none>")


words_and_marks = st.lists(st.text(max_size=8) | st.sampled_from([*SPECIAL_TOKENS, " ", "\n", "<｜", "Ġ"]), max_size=8)


@given(words_and_marks.map("".join))
def test_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert max(ids, default=0) < tokenizer.vocab_size
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


pieces = st.lists(
    st.text(max_size=8) | st.sampled_from([*TOKENS.values(), " ", "\n", "<", "e\u0301", "🙂", "杭州"]), max_size=8
)


def is_plain(pieces: list[str]) -> bool:
    """Whether no run of plain pieces spells a special token; those of V3.2 that are not listed have a bar."""
    runs = "".join(piece if not isinstance(piece, Token) else "\0" for piece in pieces)
    return not any(part in runs for part in ("｜", THINK, THINK_END, "<dsml:", "</dsml:", "<|EOT|>"))


@given(pieces.filter(is_plain))
@settings(deadline=None)
def test_pieces_encode_as_their_text(tokenizer: Tokenizer, deepseek: Tokenizer, pieces: list[str]) -> None:
    for each in (tokenizer, deepseek):
        ids = each.encode_pieces(pieces)
        assert ids == each.encode("".join(pieces))
        decoded = each.decode_pieces(ids)
        assert "".join(decoded) == "".join(pieces)
        assert [piece for piece in decoded if isinstance(piece, Token)] == [p for p in pieces if isinstance(p, Token)]


@given(words_and_marks)
@settings(deadline=None)
def test_plain_pieces_have_no_special_ids(tokenizer: Tokenizer, deepseek: Tokenizer, marks: list[str]) -> None:
    for each in (tokenizer, deepseek):
        ids = each.encode_pieces([f"{mark}" for mark in marks])
        assert not set(ids) & {each.token_id(token) for token in SPECIAL_TOKENS}
        assert max(ids, default=0) < 128_000  # where V3.2's added tokens begin
        assert each.decode(ids) == "".join(marks)
        assert not any(isinstance(piece, Token) for piece in each.decode_pieces(ids))


@given(st.lists(st.integers(0, 300), max_size=12))
def test_decoded_pieces_are_the_decoded_text(tokenizer: Tokenizer, ids: list[int]) -> None:
    ids = [token % tokenizer.vocab_size for token in ids]
    text = "".join(tokenizer.decode_pieces(ids))
    assert text.replace(HALF_CHARACTER, "\ufffd") == tokenizer.decode(ids)
    assert (HALF_CHARACTER in text) == (b"".join(map(tokenizer.token_bytes, ids)) != tokenizer.decode(ids).encode())


names = st.from_regex(r"[A-ZÉ][a-zé]*", fullmatch=True) | st.sampled_from(["Amber", "Kelori"])
edge = st.text(' \n"<>=.,:;({[]})\t-/', min_size=1, max_size=4)


@given(names, edge, edge)
def test_a_name_has_the_same_tokens_everywhere(tokenizer: Tokenizer, name: str, before: str, after: str) -> None:
    parts = [tokenizer.encode(part) for part in (before, name, after)]
    assert tokenizer.encode(before + name + after) == [*parts[0], *parts[1], *parts[2]]


def test_digits_are_single_and_markup_is_short(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("1234")) == 4
    markup = ["<", "｜DSML｜", 'invoke name="find_hotel">\n<', "｜DSML｜", "parameter"]
    assert [tokenizer.decode([i]) for i in tokenizer.encode("".join(markup))] == markup


def test_a_cut_character_shows_at_the_end_only(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("ok 🙂")
    for cut in range(3, len(ids)):
        decoded = tokenizer.decode(ids[:cut])
        assert decoded.rstrip("\ufffd") == "ok "
        assert decoded.count("\ufffd") <= 1
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"


def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer) -> None:
    for wrong in (-1, tokenizer.vocab_size):
        with pytest.raises(TokenizerError, match=str(wrong)):
            tokenizer.decode([wrong])


def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "new")
    for same in (Tokenizer.from_dir(tmp_path / "new"), pickle.loads(pickle.dumps(tokenizer))):
        assert same.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
        assert same.vocab_size == tokenizer.vocab_size
    assert json.loads((tmp_path / "new" / "tokenizer_config.json").read_text("utf-8"))["eos_token"] == EOS


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"no tokenizer at .*tokenizer\.json"):
        Tokenizer.from_dir(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerError, match="no readable"):
        Tokenizer.from_dir(tmp_path)
    with pytest.raises(TokenizerError, match="264"):
        train_tokenizer(TEXTS, 100)


TRAIN_AND_SAVE = "import sys, json; from palestra.rollout.tokenizer import train_tokenizer as train; \
train(json.load(sys.stdin), 400).save(sys.argv[1])"


def test_training_is_deterministic(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "here")
    command = [sys.executable, "-c", TRAIN_AND_SAVE, str(tmp_path / "there")]
    subprocess.run(command, input=json.dumps(TEXTS), text=True, check=True, timeout=120)
    assert (tmp_path / "here/tokenizer.json").read_bytes() == (tmp_path / "there/tokenizer.json").read_bytes()


def test_deepseek_ids_of_the_readme_example(deepseek: Tokenizer) -> None:
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello! I am DeepSeek.", "reasoning_content": "thinking..."},
        {"role": "user", "content": "1+1=?"},
    ]
    text = encode_messages(messages, thinking_mode="thinking")
    ids = deepseek.encode(text)
    expected = "0,128803,33310,128804,128799,19923,3,342,1030,22651,4374,1465,16,1,128803,19,13,19,127252,128804,128798"
    assert ids == list(map(int, expected.split(",")))
    assert deepseek.decode(ids) == text
    assert (deepseek.bos_id, deepseek.eos_id, deepseek.dsml_id, deepseek.think_id) == (0, 1, 128793, 128798)


@given(words_and_marks.map("".join))
@settings(deadline=None)
def test_deepseek_round_trip(deepseek: Tokenizer, text: str) -> None:
    assert deepseek.decode(deepseek.encode(text)) == text
