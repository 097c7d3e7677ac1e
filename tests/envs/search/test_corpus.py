"""Corpora: BM25 against its formula, content addresses, builds that fail or are killed, hostile queries."""

import itertools
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palestra.envs.search import corpus
from palestra.envs.search.corpus import CorpusError, Document, build, describe, listing, open_corpus, remove
from palestra.envs.search.index import Index, Writer
from palestra.envs.search.text import passages_of, snippet


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PALESTRA_CORPORA", str(tmp_path))
    return tmp_path


def index_of(folder: Path, documents: list[tuple[str, list[str]]]) -> Index:
    folder.mkdir()
    with Writer(folder) as writer:
        for title, passages in documents:
            writer.add(title, passages)
    return Index(folder)


def kept_length(length: int) -> int:
    """The length that Lucene's one-byte norm keeps of a length: SmallFloat.intToByte4 and back."""
    if length < 24:
        return length
    rest = length - 24
    shift = max(0, rest.bit_length() - 4)
    return 24 + ((rest >> shift) << shift)


def bm25(bags: list[Counter[str]], query: list[str]) -> list[float]:
    """Scores by the formula with k1 = 1.2 and b = 0.75, on the lengths that the index keeps."""
    mean = sum(bag.total() for bag in bags) / len(bags)
    scores = []
    for bag in bags:
        total = 0.0
        for word in dict.fromkeys(query):
            containing = sum(word in other for other in bags)
            idf = math.log(1 + (len(bags) - containing + 0.5) / (containing + 0.5))
            norm = 1.2 * (0.25 + 0.75 * kept_length(bag.total()) / mean)
            total += idf * bag[word] * 2.2 / (bag[word] + norm)
        scores.append(total)
    return scores


WORDS = st.sampled_from(["ant", "bee", "cat", "dog", "elk", "fox"])
PASSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=90).map(" ".join), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PASSAGES, st.lists(WORDS, min_size=1, max_size=4))
def test_scores_and_order_are_those_of_the_formula(tmp_path: Path, passages: list[str], query: list[str]) -> None:
    folder = tmp_path / f"index{len(list(tmp_path.iterdir()))}"
    index = index_of(folder, [(f"page{number}", [text]) for number, text in enumerate(passages)])
    expected = bm25([Counter([f"page{number}", *text.split()]) for number, text in enumerate(passages)], query)
    hits = index.search(" ".join(query), k=len(passages))
    assert {hit.number for hit in hits} == {number for number, score in enumerate(expected) if score > 0}
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.number], rel=1e-3, abs=2e-4)
        assert (hit.title, hit.text) == (f"page{hit.number}", passages[hit.number])
    assert all((-a.score, a.number) < (-b.score, b.number) for a, b in itertools.pairwise(hits))


def test_a_large_index_leaves_out_what_most_passages_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palestra.envs.search.index.LARGE", 4)
    index = index_of(tmp_path / "index", [("a", ["ant bee", "ant cat", "ant cat dog", "elk"]), ("z", ["ant bee cat"])])
    bags = [
        Counter(f"{title} {text}".split())
        for title, text in [
            ("a", "ant bee"),
            ("a", "ant cat"),
            ("a", "ant cat dog"),
            ("a", "elk"),
            ("z", "ant bee cat"),
        ]
    ]
    for query, counted in (
        ("ant bee", ["bee"]),
        ("cat ant dog", ["dog"]),
        ("ant", ["ant"]),
        ("cat ant", ["cat", "ant"]),
    ):
        expected = bm25(bags, counted)
        hits = index.search(query, 5)
        assert {hit.number for hit in hits} == {number for number, score in enumerate(expected) if score > 0}
        assert all(hit.score == pytest.approx(expected[hit.number], abs=2e-4) for hit in hits)


def test_equal_scores_are_ordered_by_number_and_cut_there(tmp_path: Path) -> None:
    index = index_of(tmp_path / "index", [(f"t{n:03}", ["the same words"]) for n in range(200)])
    for k in (1, 3, 50, 200):
        assert [hit.number for hit in index.search("same words", k)] == list(range(k))


HOSTILE = [
    *(
        "",
        " ",
        "\0",
        "\ud800",
        "AND OR NOT",
        'title:"',
        "body:* OR (",
        "((((",
        "a~10 b^9",
        "[a TO z]",
        "\\",
        "/.*/",
        "+-",
    ),
    *(
        "😀🏳️‍🌈",
        "‮אבג",
        "a" * 100_000,
        "wort " * 50_000,
        "'; DROP TABLE passages; --",
        "<script>",
        "%s%n",
        "kept:x page:y",
    ),
]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_query_is_words_and_nothing_else(tmp_path: Path, query: str) -> None:
    index = index_of(tmp_path / "index", [("Wort", ["an apple", "title body kept page"]), ("Z", ["and or not to"])])
    hits = index.search(query, 3)
    assert hits == index.search(query, 3)
    assert len(hits) <= 3
    assert index.page(query) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_split_without_loss(text: str) -> None:
    passages = passages_of(text, size=40)
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert all(passage.strip() and len(passage) <= 121 for passage in passages)


@given(st.text(alphabet="ab .", max_size=400), st.text(alphabet="ab ", max_size=9))
def test_a_snippet_is_a_short_piece_of_its_passage(passage: str, query: str) -> None:
    said = snippet(passage, query, width=60)
    assert said.removeprefix("... ").removesuffix(" ...") in passage
    assert len(said) <= 68


def test_a_snippet_shows_what_was_asked_for() -> None:
    passage = "Nothing here. " * 30 + "The mayor of Kelby is Ada Lind. " + "Nothing there. " * 30
    assert "mayor of Kelby is Ada Lind" in snippet(passage, "who is the mayor of Kelby")


def test_a_corpus_is_addressed_by_what_it_holds(empty: Path) -> None:
    pages = [Document("A", ("one", "two")), Document("B", ("three",))]
    first, again = build("first", pages, {"from": ["x"]}), build("again", iter(pages))
    other = build("other", [Document("A", ("one two",)), Document("B", ("three",))])
    assert first.digest == again.digest != other.digest
    assert (first.documents, first.passages) == (2, 3)
    assert [info.name for info in listing()] == ["again", "first", "other"]
    assert describe("first") == first
    assert sorted(path.name for path in (empty / "corpora").iterdir()) == sorted({first.digest, other.digest})
    remove("first")
    assert open_corpus(again.digest).passages == 3
    remove("again")
    assert not (empty / "corpora" / again.digest).exists()


def test_titles_become_unique_and_are_found_in_any_case(empty: Path) -> None:
    pages = [
        Document(title, (f"text{n}",)) for n, title in enumerate(["Read me", "READ  ME", "read me", "read me (2)", ""])
    ]
    index = open_corpus(build("titles", pages).digest)
    assert [index.search(f"text{n}", 1)[0].title for n in range(5)] == [
        "Read me", "READ ME (2)", "read me (3)", "read me (2) (2)", "untitled",
    ]  # fmt: skip
    found = index.page("READ ME")
    assert found is not None
    assert (found.title, index.passage(found.first), found.count) == ("Read me", "text0", 1)


@pytest.mark.parametrize("name", ["", "A", "a/b", "../a", ".a", "a" * 200])
def test_bad_names_are_refused(empty: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="is no name for a corpus"):
        build(name, [Document("A", ("x",))])


def test_what_is_missing_or_damaged_is_said_with_the_remedy(empty: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus called 'nope' .*palestra corpus build nope"):
        describe("nope")
    with pytest.raises(CorpusError, match="build it with"):
        open_corpus("0" * 32)
    with pytest.raises(CorpusError, match="hold no text"):
        build("nothing", [Document("A", (" ",))])
    info = build("broken", [Document("A", ("x",))])
    (empty / "corpora" / info.digest / "meta.json").write_text("{")
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus(info.digest)


def test_a_build_that_fails_leaves_nothing(empty: Path) -> None:
    def pages() -> Iterator[Document]:
        yield Document("A", ("x",))
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        build("failing", pages())
    assert listing() == []
    assert list((empty / "building").iterdir()) == []


BUILDER = """
import sys
from palestra.envs.search.corpus import Document, build
def pages():
    for number in range(5000):
        yield Document(f"Page {number}", ("some words here",) * 4)
    print("halfway", flush=True)
    sys.stdin.readline()
    yield Document("Last", ("the end",))
build("killed", pages())
"""


def test_a_killed_build_leaves_no_corpus_and_a_living_one_is_left_alone(empty: Path) -> None:
    def begin() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        started = subprocess.Popen(
            [sys.executable, "-c", BUILDER], stdin=pipe, stdout=pipe, text=True, env={**os.environ}
        )
        assert started.stdout is not None
        assert started.stdout.readline() == "halfway\n"
        return started

    killed, living = begin(), begin()
    assert len(list((empty / "building").iterdir())) == 2
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert listing() == []
    build("next", [Document("A", ("x",))])
    assert len(list((empty / "building").iterdir())) == 1, "the dead folder goes, the living one stays"
    living.communicate("go on\n")
    assert living.returncode == 0
    assert [info.name for info in listing()] == ["killed", "next"]
    assert open_corpus(describe("killed").digest).page("Last") is not None
    assert list((empty / "building").iterdir()) == []


def test_the_root_is_where_the_variable_says(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert corpus.root() == empty
    monkeypatch.delenv("PALESTRA_CORPORA")
    assert corpus.root() == Path.home() / ".cache" / "palestra" / "corpora"
