"""Drift over adversarial text, in our tokenizers and in V3.2's own: what a second encoding does not give back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.drift import Drift, drift
from palestra.rollout.grammar import EOS
from palestra.rollout.tokenizer import SPECIAL_TOKENS, Tokenizer, train_tokenizer

SHIPPED = Path(__file__).resolve().parents[2] / "policy" / "checkpoints" / "coldstart"
TEXTS = ["look at the\n\n<result> of it. </result>\n\n\n\n", "the hotels 杭州的天气 杭州 café cafe\u0301 🙂🙂\n    \n"]

ADVERSARIAL = [
    "the hotels",  # a word that merges across almost any cut
    "don't can't I'll",
    "1234567890",
    "3.14159, -2e-10",
    "a    b\t\t c\n\n\n   \r\n d \u00a0\u3000\u200b.",
    "🙂👩‍👩‍👧‍👦🇨🇳👍🏽✊🏿",
    "cafe\u0301 n\u0303 a\u0300\u0301\u0302\u0303 \u1112\u1161\u11ab",
    "杭州明天的天气怎么样？東京タワー、서울",
    "مرحبا بالعالم שלום עולם",
    "<｜User｜>< ｜User｜><|User|><think</think ></think><｜DSML｜invoke>",
    "".join(SPECIAL_TOKENS),
    '{"a": [1, "b\\n"], "é": null}</｜DSML｜parameter>',
    "def f(x):\n    return x ** 2  # »\n",
    "ĠĊâĢ\x00\x7f\x85\ufffd\ufeff\U0010ffff",
]


@pytest.fixture(scope="module", params=["trained", "shipped", "deepseek"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "trained":
        return train_tokenizer(TEXTS * 9, 420)
    if request.param == "shipped":
        return Tokenizer.from_dir(SHIPPED)
    official: Tokenizer = request.getfixturevalue("deepseek")
    return official


pieces = st.text(max_size=6) | st.sampled_from([*ADVERSARIAL, *SPECIAL_TOKENS, " ", "\n"])
texts = st.lists(pieces, max_size=6).map("".join)


@given(texts)
@settings(deadline=None)
def test_what_the_tokenizer_writes_does_not_drift(tokenizer: Tokenizer, text: str) -> None:
    assert drift(tokenizer.encode(text), tokenizer) == Drift(0, None)


def by_definition(ids: list[int], tokenizer: Tokenizer) -> Drift:
    """The same in other words, for ids that are UTF-8 together: tokens by the span of bytes that they cover."""

    def spans(tokens: list[int]) -> list[tuple[int, int, int]]:
        sizes = [len(tokenizer.token_bytes(token)) for token in tokens]
        return [(sum(sizes[:n]), sum(sizes[: n + 1]), token) for n, token in enumerate(tokens)]

    again = spans(tokenizer.encode(tokenizer.decode(ids)))
    ends = {(end, token) for _, end, token in again}
    lost = [n for n, (_, end, token) in enumerate(spans(ids)) if (end, token) not in ends]
    return Drift(len(lost), min(lost, default=None))


@given(texts, texts)
@settings(deadline=None)
def test_texts_encoded_apart_drift_where_they_meet(tokenizer: Tokenizer, head: str, tail: str) -> None:
    """Merges across a boundary: the drift of re-tokenising a conversation that was tokenised in parts."""
    parts = tokenizer.encode(head), tokenizer.encode(tail)
    ids, whole = [*parts[0], *parts[1]], tokenizer.encode(head + tail)
    found = drift(ids, tokenizer)
    assert found == by_definition(ids, tokenizer)
    assert (found.count == 0) == (ids == whole)
    if found.first is not None:
        assert ids[: found.first] == whole[: found.first]


def test_every_cut_of_adversarial_texts(tokenizer: Tokenizer) -> None:
    """Each way to sample a text as two encodings. The suite has teeth only if many of the texts drift."""
    drifting = set()
    for text in ADVERSARIAL:
        whole = tokenizer.encode(text)
        for cut in range(1, len(text)):
            ids = tokenizer.encode(text[:cut]) + tokenizer.encode(text[cut:])
            found = drift(ids, tokenizer)
            assert found == by_definition(ids, tokenizer)
            assert (found.count == 0) == (ids == whole)
            drifting |= {text} if found.count else set()
    assert len(drifting) > len(ADVERSARIAL) / 2


@pytest.mark.parametrize("text", ADVERSARIAL, ids=range(len(ADVERSARIAL)))
def test_sampled_byte_by_byte(tokenizer: Tokenizer, text: str) -> None:
    """All ids drift but those of bytes that are tokens of their own in the text's encoding too."""
    id_of = {tokenizer.token_bytes(token): token for token in reversed(range(tokenizer.vocab_size))}
    ids = [id_of[bytes([byte])] for byte in text.encode()]
    sizes = [len(tokenizer.token_bytes(token)) for token in tokenizer.encode(text)]
    first = next((n for n, size in enumerate(sizes) if size > 1), None)
    assert drift(ids, tokenizer) == Drift(len(ids) - sizes.count(1), first)


@given(st.lists(st.integers(0, 2**31), max_size=24))
@settings(deadline=None)
def test_any_ids(tokenizer: Tokenizer, numbers: list[int]) -> None:
    """Whatever an engine samples: half characters, look-alikes, special tokens in strange places."""
    ids = [number % 128_000 % tokenizer.vocab_size for number in numbers]
    found, again = drift(ids, tokenizer), tokenizer.encode(tokenizer.decode(ids))
    assert (found.count == 0) == (ids == again)
    assert (found.first is None) == (found.count == 0)
    assert found.count <= len(ids)
    if found.first is not None:
        assert ids[: found.first] == again[: found.first]


def test_a_word_in_other_tokens(tokenizer: Tokenizer) -> None:
    before, after = tokenizer.encode("look: "), tokenizer.encode(".\n\nok")
    spelled = [token for letter in "hotels" for token in tokenizer.encode(letter)]
    assert len(tokenizer.encode("hotels")) < len(spelled)
    found = drift([*before, *spelled, *after], tokenizer)
    assert found.count > 0
    assert found.first is not None
    assert len(before) - 1 <= found.first < len(before) + len(spelled)
    assert drift([*tokenizer.encode("look: hotels"), *after], tokenizer).count < found.count


def test_a_look_alike_drifts(tokenizer: Tokenizer) -> None:
    spelled = tokenizer.encode_pieces([f"{EOS}"])
    assert tokenizer.eos_id not in spelled
    assert drift([tokenizer.bos_id, *spelled], tokenizer) == Drift(len(spelled), 1)
    assert drift([tokenizer.bos_id, tokenizer.eos_id], tokenizer) == Drift(0, None)


def test_half_a_character_drifts_with_all_that_follows(tokenizer: Tokenizer) -> None:
    emoji = next(text for text in ("\U0001f9ff", "\U0001d4d0", "\U00013000") if len(tokenizer.encode(text)) > 1)
    before, ids = tokenizer.encode("ok ("), tokenizer.encode(f"({emoji}")[1:]
    for cut in range(1, len(ids)):
        found = drift([*before, *ids[:cut]], tokenizer)
        assert found == Drift(cut, len(before))
        assert drift([*before, *ids[:cut], *before], tokenizer) == Drift(cut + len(before), len(before))


def test_what_a_codec_writes_does_not_drift(tokenizer: Tokenizer) -> None:
    codec = DeepseekCodec(tokenizer)
    message = assistant_message("So 🙂.", "Look:\n\n", [("find", {"name": "杭州  ", "of": [1, {"é": None}]})])
    prompt = codec.prompt([{"role": "user", "content": "the hotels\n"}], [])
    whole = [*prompt, *codec.assistant(message), *codec.results(["1\n", " 2"])]
    assert drift(whole, tokenizer) == Drift(0, None)
