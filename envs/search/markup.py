"""Markup to plain text: each function gives (title, text), paragraphs apart by empty lines."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser

_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table",
    "td", "th", "tr", "ul",
))  # fmt: skip
_SILENT = frozenset(("script", "style", "nav", "head", "template", "svg"))
_VOID = frozenset(("br", "hr"))


def from_html(text: str, name: str) -> tuple[str, str]:
    """HTML without scripts, styles and navigation; the title is the document's, or its first heading."""
    parser = _Html()
    parser.feed(text)
    parser.close()
    title = " ".join("".join(parser.title).split()) or " ".join("".join(parser.heading).split()) or name
    return title, re.sub(r"[ \t]*\n\s*\n\s*", "\n\n", "".join(parser.body)).strip()


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.heading: list[str] = []
        self.body: list[str] = []
        self._open: list[str] = []
        self._in_title = self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title |= tag == "title"
        self._in_heading |= tag == "h1" and not self.heading
        if tag in _SILENT:
            self._open.append(tag)
        elif tag == "body":  # a head without its end
            self._open.clear()
        if tag in _BLOCKS:
            self.body.append("\n" if tag in _VOID else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        self._in_title &= tag != "title"
        self._in_heading &= tag != "h1"
        if tag in self._open:
            del self._open[self._open.index(tag) :]
        if tag in _BLOCKS:
            self.body.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._open:
            self.body.append(data)
            if self._in_heading:
                self.heading.append(data)


_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_UNDERLINED = re.compile(r"^(\S.*)\n(?:=+|-+)[ \t]*$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_EMPHASIS = re.compile(r"(?<!\w)(\*\*|__|\*|_|`+)(?=\S)(.+?)(?<=\S)\1(?!\w)")


def from_markdown(text: str, name: str) -> tuple[str, str]:
    """Markdown without its signs; the title is the first heading."""
    plain = _FENCE.sub("", _FRONT.sub("", text.replace("\r\n", "\n")))
    plain = _UNDERLINED.sub(r"\n# \1\n", plain)
    heading = _HEADING.search(plain)
    plain = _HEADING.sub(r"\n\1\n", plain)
    for _ in range(2):  # emphasis within emphasis
        plain = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", plain))
    title = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading[1])) if heading else name
    return title, plain.strip()


def from_python(text: str, name: str) -> tuple[str, str]:
    """The docstrings of a module, its classes and functions, with their signatures; nothing is run."""
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return module, ""
    return module, "\n\n".join(_docstrings(tree, ""))


def _docstrings(node: ast.AST, prefix: str) -> Iterator[str]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        said = ast.get_docstring(node)
        if said:
            yield f"{prefix}\n{said}" if prefix else said
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _docstrings(child, f"{prefix.rstrip('()')}{'.' if prefix else ''}{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield from _docstrings(child, f"{prefix}{'.' if prefix else ''}{child.name}({ast.unparse(child.args)})")


_GLYPHS = {
    "aq": "'", "bu": "*", "co": "(c)", "cq": "'", "dq": '"', "em": "-", "en": "-", "ga": "`", "ha": "^", "hy": "-",
    "lq": '"', "oq": "'", "rq": '"', "rs": "\\", "ti": "~", "mi": "-", "mu": "x", "<=": "<=", ">=": ">=", "->": "->",
    "ba": "|", "at": "@", "sh": "#", "Do": "$", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "<", "ra": ">",
}  # fmt: skip
_ESCAPES = re.compile(
    r"""\\(?:
        f(?:\[[^\]]*\]|\(..|.) | s[+-]?\d{1,2} | [mMFk](?:\[[^\]]*\]|\(..|.) | [hvwlLoDXzZNbRA]'[^']*'
        | \*(?:\[(?P<long_string>[^\]]*)\]|\((?P<string>..)|.) | [n][+-]?(?:\[[^\]]*\]|\(..|.)
        | \[(?P<long>[^\]]*)\] | \((?P<glyph>..) | (?P<one>.)
    )""",
    re.VERBOSE,
)
_PLAIN = {
    "e": "\\",
    "-": "-",
    " ": " ",
    "~": " ",
    "0": " ",
    "'": "'",
    "`": "`",
    ".": ".",
    "\\": "\\",
    "t": " ",
    '"': "",
}
_STRINGS = {"lq": '"', "rq": '"', "L'": '"', "R'": '"', "Aq": "'", "R": "(R)", "Tm": "(TM)"}
_ARGUMENTS = re.compile(r'"((?:[^"]|"")*)"?|((?:\\ |\S)+)')
_JOINED = frozenset(("BI", "BR", "IB", "IR", "RB", "RI"))
_SKIPPED = frozenset((
    "ad", "na", "hy", "nh", "ie", "el", "if", "nr", "ds", "ft", "in", "ta", "ti", "ne", "so", "tr", "ll", "ps", "mso",
    "Dd", "Os", "PD", "RS", "RE", "Bl", "El", "Bd", "Ed", "EX", "EE", "nf", "fi", "UE", "ME", "TS", "TE", "PU", "DT",
    "de1", "rm", "IX",
    "cc", "c2", "als", "rr", "rn", "do", "ns", "rs", "pl", "po", "ss", "cs", "bd", "eo", "ec", "Bk", "Ek",
))  # fmt: skip
_BREAKS = frozenset(("P", "PP", "LP", "TP", "IP", "HP", "SH", "SS", "Sh", "Ss", "Pp", "It", "sp", "br", "TQ", "bp"))
_WRAPPED = {
    "Fl": "-{}", "Op": "[{}]", "Oo": "[", "Oc": "]", "Pq": "({})", "Dq": '"{}"', "Sq": "'{}'", "Ql": "'{}'",
    "Aq": "<{}>", "Brq": "{{{}}}", "Bq": "[{}]",
}  # fmt: skip
_CALLED = frozenset((
    *_WRAPPED, "Ar", "Nm", "Xr", "Pa", "Ev", "Va", "Vt", "Fa", "Fn", "Ft", "Em", "Sy", "Li", "Cm", "Ic", "Dv", "Er",
    "Ns", "Ta", "No", "Tn", "Ux", "Nx", "Ox", "Fx", "Bx", "At", "Lk", "Mt", "An", "Ad", "Cd", "In", "St", "Rs", "Re",
))  # fmt: skip


def from_roff(text: str, name: str) -> tuple[str, str]:
    """A manual page in the macros of man(7) or mdoc(7); the title is `ls(1)`, the file's name where it says none."""
    title, _, section = name.rpartition(".")
    parser = _Roff(f"{title}({section})")
    for line in text.replace("\\\n", "").splitlines():
        parser.line(line)
    return parser.title, re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", "".join(parser.body))).strip()


class _Roff:
    def __init__(self, title: str) -> None:
        self.title = title
        self.body: list[str] = []
        self._macro = False
        self._name = title.partition("(")[0]

    def line(self, line: str) -> None:
        """One line of source."""
        if self._macro:  # the body of a definition, which ends at `..`
            self._macro = line.strip() not in ("..", ".END")
            return
        if line[:1] not in (".", "'"):
            self.body.append(f"{_unescaped(line)}\n")
            return
        request, _, rest = line[1:].strip().partition(" ")
        if request in ("de", "am", "ig"):
            self._macro = True
        elif not request or request[0] in '\\"' or request in _SKIPPED:
            return
        elif request in ("TH", "Dt"):
            self._titled(_arguments(rest))
        else:
            self._request(request, rest)

    def _titled(self, arguments: list[str]) -> None:
        if len(arguments) > 1 and arguments[0].casefold() != self._name.casefold():
            return  # a page that stands for several: the file's name is the one to ask for
        if len(arguments) > 1:
            self.title = f"{self._name}({arguments[1]})"

    def _request(self, request: str, rest: str) -> None:
        if request in _BREAKS:
            self.body.append("\n\n")
        arguments = _arguments(rest)
        if request == "IP":
            arguments = arguments[:1]
        if request in ("Nm", "Fl", "Op") or request in _CALLED or request in ("It", "D1", "Dl"):
            said = self._called([request, *arguments] if request in _CALLED else arguments)
        else:
            said = ("" if request in _JOINED else " ").join(arguments)
        heading = request in ("SH", "SS", "Sh", "Ss")
        self.body.append(f"{said}\n\n" if heading else f"{said}\n")

    def _called(self, words: list[str]) -> str:
        """mdoc: macros among the arguments of macros."""
        said: list[str] = []
        form = ""
        for at, word in enumerate(words):
            if word == "Nm" and (at + 1 == len(words) or words[at + 1] in _CALLED):
                said.append(self._name)
            elif word in ("Op", "Pq", "Dq", "Sq", "Ql", "Aq", "Bq", "Brq"):
                said.append(_WRAPPED[word].format(self._called(words[at + 1 :])))
                break
            elif word in _CALLED:
                form = _WRAPPED.get(word, "")
                if form and "{}" not in form:
                    said.append(form)
            else:
                said.append(form.format(word) if "{}" in form else word)
        return " ".join(said)


def _arguments(rest: str) -> list[str]:
    return [
        _unescaped(found[1].replace('""', '"') if found[1] is not None else found[2])
        for found in _ARGUMENTS.finditer(rest)
    ]


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(_replacement, text.partition('\\"')[0])


def _replacement(found: re.Match[str]) -> str:
    if string := found["string"] or found["long_string"]:
        return _STRINGS.get(string, "")
    if glyph := found["glyph"] or found["long"]:
        return chr(int(glyph[1:], 16)) if re.fullmatch(r"u1?[0-9A-F]{4}", glyph) else _GLYPHS.get(glyph, "")
    one = found["one"]
    return _PLAIN.get(one, "") if one else ""
