"""Loaders: real manual pages against groff, docstrings against pydoc, fixtures of each kind, and the command line."""

import gzip
import inspect
import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from palestra.envs.search import loaders
from palestra.envs.search.corpus import CorpusError, Document, describe, open_corpus
from palestra.envs.search.markup import from_html, from_markdown, from_python, from_roff
from palestra.services.cli.main import run

MAN = Path("/usr/share/man")


def load(spec: str) -> list[Document]:
    found, _ = loaders.sources([spec])
    return [document for source in found for document in source.load()]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.casefold()))


def real_pages() -> list[Path]:
    pages = [path for path in sorted((MAN / "man1").glob("*.1.gz")) if path.stat().st_size > 1500]
    return pages[:: max(1, len(pages) // 25)]


@pytest.mark.skipif(not (shutil.which("groff") and real_pages()), reason="needs groff and manual pages")
def test_manual_pages_say_what_groff_prints() -> None:
    shares = []
    for path in real_pages():
        source = gzip.decompress(path.read_bytes())
        printed = subprocess.run(
            ["groff", "-mandoc", "-Tascii", "-P-c", "-P-bou", "-rHY=0", "-t"],
            input=source,
            capture_output=True,
            check=False,
        )
        plain = re.sub(r"\x1b\[[0-9;]*m", "", printed.stdout.decode(errors="replace"))
        wanted = words(re.sub(r"-\n\s*", "", plain))
        title, text = from_roff(source.decode("utf-8", "replace"), path.name.removesuffix(".gz"))
        assert title.endswith(")"), path
        shares.append(len(wanted & words(text)) / max(1, len(wanted)))
        assert not re.search(r"\\f[BIR]|^\.[A-Z]{2}\b", text, re.MULTILINE), path
    assert sum(shares) / len(shares) > 0.95
    assert min(shares) > 0.8


def test_a_page_of_man_macros() -> None:
    source = (
        '.\\" a comment\n.TH FROB 1 2020-01-01 "v1"\n.SH NAME\nfrob \\- turn \\fIthings\\fP\n.SH OPTIONS\n.TP\n'
        ".BR \\-a ,\\  \\-\\-all\nAll of them (\\(bu).\n.de XX\nhidden\n..\n.IX index\nNot\\(emmuch.\n"
    )
    title, text = from_roff(source, "frob.1")
    assert title == "frob(1)"
    assert text == "NAME\n\nfrob - turn things\n\nOPTIONS\n\n-a, --all\nAll of them (*).\nNot-much."


def test_a_page_of_mdoc_macros() -> None:
    source = ".Dd now\n.Dt FROB 8\n.Sh NAME\n.Nm frob\n.Nd turns\n.Sh SYNOPSIS\n.Nm\n.Op Fl a Ar file\n"
    title, text = from_roff(source, "frob.8")
    assert title == "frob(8)"
    assert text.split() == ["NAME", "frob", "turns", "SYNOPSIS", "frob", "[-a", "file]"]


def test_html_without_what_is_not_read() -> None:
    source = (
        "<html><head><title>A &amp; B</title><style>p{}</style></head><body><nav>menu</nav><h1>Head</h1>"
        "<p>One <b>two</b>&nbsp;three.<script>bad()</script></p><ul><li>item<li>other</ul></body></html>"
    )
    title, text = from_html(source, "x.html")
    assert title == "A & B"
    assert text.split() == ["Head", "One", "two", "three.", "item", "other"]
    assert from_html("<h1>Only <i>this</i></h1>text", "x.html")[0] == "Only this"
    assert from_html("<p>text", "x.html") == ("x.html", "text")


def test_markdown_without_its_signs() -> None:
    source = (
        "---\na: b\n---\n\nTitle *here*\n=====\n\nSee [the **docs**](http://x) and `code`.\n\n"
        "```py\nkept = 1\n```\n## Next\nsnake_case_name\n"
    )
    title, text = from_markdown(source, "x.md")
    assert title == "Title here"
    assert " ".join(text.split()) == "Title here See the docs and code. kept = 1 Next snake_case_name"


def test_docstrings_are_those_that_pydoc_shows() -> None:
    for module in (json, textwrap):
        path = Path(inspect.getfile(module))
        title, text = from_python(path.read_text(), f"{module.__name__.replace('.', '/')}/__init__.py")
        assert title == module.__name__
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.getmodule(member) is module and inspect.getdoc(member):
                assert (inspect.getdoc(member) or "").strip() in text, name
    assert from_python("def broken(:", "x.py") == ("x", "")


@pytest.mark.skipif(not Path("/usr/share/doc/bash").exists(), reason="needs Debian's documentation")
def test_debian_documentation_as_installed() -> None:
    pages = load("debian:/usr/share/doc/bash")
    assert any("copyright" in page.title for page in pages)
    assert any("bash" in " ".join(page.passages).casefold() for page in pages)
    packed = [path for path in Path("/usr/share/doc/bash").rglob("*.gz") if "changelog" in path.name.casefold()]
    assert packed
    assert len(pages) >= 2


def test_what_is_no_text_is_left_out_and_the_rest_comes_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_bytes("später".encode("latin-1"))
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "d.txt.gz").write_bytes(b"\x1f\x8bbroken")
    (tmp_path / "e.txt").write_bytes(b"\0binary")
    (tmp_path / "f.txt").write_text("")
    (tmp_path / "g.png").write_text("not wanted")
    (tmp_path / "h.txt").symlink_to("/etc/hostname")
    assert load(f"text:{tmp_path}") == [
        Document("a.txt", ("first",)), Document("c.txt", ("packed",)), Document("b/two.txt", ("später",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        (["x"], "write KIND:PATH"),
        (["pdf:/tmp"], "write KIND:PATH"),
        (["text:"], "write KIND:PATH"),
        (["text:/no/such/folder"], "is not there"),
        (["encyclopaedia:x"], "encyclopaedia:SEED"),
        (["encyclopaedia:1:900"], "SIZE from 2 to 60"),
        (["encyclopaedia:1", "encyclopaedia:2"], "at most one"),
    ],
)
def test_wrong_sources_are_told(specs: list[str], told: str) -> None:
    with pytest.raises(CorpusError, match=told):
        loaders.sources(specs)


def test_the_command_builds_lists_searches_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PALESTRA_CORPORA", str(tmp_path / "root"))
    (tmp_path / "notes.md").write_text("# Notes\n\nThe heron stands in the reeds.")
    sources = ["--from", f"markdown:{tmp_path}", "--from", "encyclopaedia:3:2"]
    assert run(["corpus", "build", "mine", *sources, "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert built["recipe"]["encyclopaedia"] == {"seed": 3, "size": 2}
    assert run(["corpus", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [built]
    assert run(["corpus", "search", "mine", "heron in reeds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["title"] == "Notes"
    assert open_corpus(describe("mine").digest).passages == built["passages"]
    assert run(["corpus", "build", "mine", "--from", "text:/nowhere"]) == 1
    assert "is not there" in capsys.readouterr().err
    assert run(["corpus", "remove", "mine"]) == 0
    assert run(["corpus", "search", "mine", "heron"]) == 1
    assert "no corpus called 'mine'" in capsys.readouterr().err
