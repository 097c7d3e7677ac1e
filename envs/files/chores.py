"""The kinds of chores. Each lays out a folder, computes what must be there at the end, and says so in words."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import defaultdict
from datetime import date, datetime, timedelta

from ..names import Names
from .types import Chore, Maker

_WORDS = re.findall(
    r"\w+", "the of a boat river late market green letter quiet stone under window seven paper north garden often"
)


def merge(rng: random.Random, folder: str, size: int) -> Chore:
    """Several CSV files become one, in order."""
    rows, before = [], {}
    ids = rng.sample(range(1000, 9999), 12 * size)
    for part in range(2 + size):
        mine = []
        for number in ids[part :: 2 + size]:
            mine.append(f"{_day(rng)},{number},{rng.randrange(1, 500)}")
        before[f"{folder}/part-{part + 1}.csv"] = "date,id,units\n" + "".join(row + "\n" for row in mine)
        rows += mine
    rows.sort(key=lambda row: (row.split(",")[0], int(row.split(",")[1])))
    after = {f"{folder}/all.csv": "date,id,units\n" + "".join(row + "\n" for row in rows)}
    request = (
        f"In {folder}, merge all CSV files into all.csv: the header once, then all rows by date and, on the same "
        f"date, by id "
        "(a number). Remove the parts."
    )
    script = (
        f"cd {folder} && {{ head -qn1 part-1.csv; tail -qn+2 part-*.csv | sort -t, -k1,1 -k2,2n; }} > all.new && "
        "rm part-*.csv && mv all.new all.csv"
    )
    return Chore("merge", request, before, after, script)


def totals(rng: random.Random, folder: str, size: int) -> Chore:
    """Sums by group from a CSV file into JSON."""
    names = Names(rng)
    regions = [names.draw() for _ in range(2 + size)]
    rows = [(rng.choice(regions), rng.randrange(1, 900), rng.choice(["yes", "yes", "no"])) for _ in range(20 * size)]
    sums: dict[str, int] = defaultdict(int)
    for region, units, shipped in rows:
        sums[region] += units if shipped == "yes" else 0
    counted = {region: total for region, total in sums.items() if total > 0}
    text = "region,units,shipped\n" + "".join(f"{region},{units},{shipped}\n" for region, units, shipped in rows)
    report = f"{folder}/totals.json"
    request = (
        f"Write {report}: a JSON object that maps each region of {folder}/orders.csv to the sum of the units shipped "
        f"there "
        "(shipped is yes); leave out regions where nothing was shipped. Keep orders.csv."
    )
    script = (
        f'cd {folder} && awk -F, \'$3=="yes" {{s[$1]+=$2}} END '
        f'{{printf "{{"; c=""; for (r in s) {{printf "%s\\"%s\\": %d", '
        'c, r, s[r]; c=", "}; print "}"}\' orders.csv > totals.json'
    )
    before = {f"{folder}/orders.csv": text}
    return Chore("totals", request, before, {**before, report: json.dumps(counted)}, script, data=frozenset({report}))


def rename(rng: random.Random, folder: str, size: int) -> Chore:
    """Files get names that a table tells."""
    names = Names(rng)
    numbers = sorted(rng.sample(range(1, 9999), 4 + 3 * size))
    days = {number: _day(rng) for number in numbers}
    texts = {number: f"{names.draw()} {_line(rng)}\n" for number in numbers}
    listed = rng.sample(numbers, len(numbers))
    left = set(rng.sample(numbers, size))
    table = "file,taken\n" + "".join(f"IMG_{n}.txt,{days[n]}\n" for n in listed if n not in left)
    before = {f"{folder}/IMG_{n}.txt": texts[n] for n in numbers} | {f"{folder}/index.csv": table}
    after = {f"{folder}/{days[n]}_{n:04}.txt" if n not in left else f"{folder}/IMG_{n}.txt": texts[n] for n in numbers}
    request = (
        f"{folder}/index.csv tells on which day each file of {folder} was taken. Rename IMG_<number>.txt to "
        "<day>_<number>.txt, the number with leading zeros to four digits (2024-05-01_0007.txt). Files that the "
        "index does "
        "not name stay as they are. Keep index.csv."
    )
    script = (
        f"cd {folder} && tail -n+2 index.csv | while IFS=, read -r f d; do n=${{f#IMG_}}; n=${{n%.txt}}; "
        'mv "$f" "$(printf "%s_%04d.txt" "$d" "$n")"; done'
    )
    return Chore("rename", request, before, {**after, f"{folder}/index.csv": table}, script)


def dedupe(rng: random.Random, folder: str, size: int) -> Chore:
    """Of files with the same content the first by name stays."""
    names = Names(rng)
    texts = [_line(rng) + f" {rng.random()}\n" for _ in range(3 + size)]
    before = {f"{folder}/{names.draw().lower()}.txt": rng.choice(texts) for _ in range(6 + 4 * size)}
    seen, after = set(), {}
    for path in sorted(before):
        if before[path] not in seen:
            seen.add(before[path])
            after[path] = before[path]
    request = (
        f"Some files of {folder} have the same content. Of each such set keep the one whose name comes first in "
        f"alphabetical "
        "order and delete the others."
    )
    script = f"cd {folder} && sha256sum *.txt | LC_ALL=C sort -k2 | awk 'seen[$1]++ {{print $2}}' | xargs -r rm"
    return Chore("dedupe", request, before, after, script)


def errors(rng: random.Random, folder: str, size: int) -> Chore:
    """The errors of several logs within a time, in order."""
    names = Names(rng)
    noon = datetime(2024, 3, 1) + timedelta(days=rng.randrange(300), hours=12)
    before: dict[str, str] = {}
    found = []
    times = iter(rng.sample(range(86_400), 60 * size))
    for service in (names.draw().lower() for _ in range(1 + size)):
        lines = []
        for second in sorted(next(times) for _ in range(15)):
            stamp = (noon.replace(hour=0) + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
            level = rng.choice(["INFO", "WARN", "ERROR", "ERROR"])
            line = f"{stamp} {level} {service}: {_line(rng)}"
            lines.append(line)
            if level == "ERROR" and 9 <= int(stamp[11:13]) < 17:
                found.append(line)
        before[f"{folder}/{service}.log"] = "".join(line + "\n" for line in lines)
    report = f"{folder}/errors.txt"
    request = (
        f"Collect from all .log files in {folder} the lines of level ERROR from 09:00:00 up to and including "
        f"16:59:59 into "
        f"{report}, unchanged and in the order of their times. Keep the logs."
    )
    script = f"cd {folder} && grep -h ' ERROR ' *.log | grep -E 'T(09|1[0-6]):' | LC_ALL=C sort > errors.txt; true"
    return Chore("errors", request, before, {**before, report: "".join(f"{line}\n" for line in sorted(found))}, script)


def configure(rng: random.Random, folder: str, size: int) -> Chore:
    """One value of one section in every configuration file; all else stays, comments and order too."""
    names = Names(rng)
    value, before, after = rng.randrange(20, 90), {}, {}
    for _ in range(2 + size):
        path = f"{folder}/{names.draw().lower()}.ini"
        sections = rng.sample(["server", "client", "cache"], 3)
        lines = [f"# {_line(rng)}"]
        changed = [*lines]
        for section in sections:
            block = [
                f"[{section}]",
                f"host = {names.draw().lower()}",
                f"timeout = {rng.randrange(1, 19)}",
                "# timeout = 5",
            ]
            lines += [*block, ""]
            changed += [
                *(
                    f"timeout = {value}" if section == "server" and line.startswith("timeout") else line
                    for line in block
                ),
                "",
            ]
        before[path], after[path] = "\n".join(lines), "\n".join(changed)
    request = (
        f"In every .ini file of {folder}, set timeout in the section [server] to {value}, written `timeout = "
        f"{value}`. Change "
        "nothing else: other sections, comments and blank lines stay."
    )
    script = f"cd {folder} && sed -i '/^\\[server\\]/,/^\\[/ s/^timeout = .*/timeout = {value}/' *.ini"
    return Chore("configure", request, before, after, script)


def redact(rng: random.Random, folder: str, size: int) -> Chore:
    """Addresses in letters become a mark."""
    names = Names(rng)
    before = {}
    for number in range(2 + size):
        lines = []
        for _ in range(4 + size):
            who = f"{names.draw(2)}.{names.draw(2)}".lower()
            address = rng.choice(
                [f"{who}@{names.draw(2).lower()}.example", f"{who}+{rng.randrange(99)}@mail.example.org"]
            )
            lines.append(
                rng.choice([_line(rng), f"Write to {address}, please.", f"<{address}> {_line(rng)}", "5 @ 3 crowns"])
            )
        before[f"{folder}/letter-{number + 1}.txt"] = "\n".join(lines) + "\n"
    pattern = re.compile(r"[a-z.]+(\+[0-9]+)?@[a-z.]+[a-z]")
    after = {path: pattern.sub("[address]", text) for path, text in before.items()}
    request = (
        f"In the letters of {folder}, replace every e-mail address by [address]. An address has letters, digits, "
        f"dots or a plus "
        "sign on both sides of an @ without spaces; a comma, a full stop or a bracket after it stays."
    )
    script = f"cd {folder} && sed -E -i 's/[a-z0-9.+]+@[a-z0-9.]*[a-z0-9]/[address]/g' letter-*.txt"
    return Chore("redact", request, before, after, script)


def encode(rng: random.Random, folder: str, size: int) -> Chore:
    """Latin-1 with carriage returns becomes UTF-8 with line feeds."""
    names = Names(rng)
    before, after, old = {}, {}, set()
    for number in range(3 + size):
        path = f"{folder}/{names.draw().lower()}.txt"
        text = "".join(f"{_line(rng)} {rng.choice(['café', 'über', 'señor', 'naïve'])} {number}\n" for _ in range(3))
        if number == 0 or rng.random() < 0.6:
            old.add(path)
            before[path] = text.replace("\n", "\r\n")
        else:
            before[path] = text
        after[path] = text
    request = (
        f"Some texts of {folder} are in ISO-8859-1 with CRLF line ends, the others in UTF-8 with LF. Make all of "
        f"them UTF-8 "
        "with LF; their words stay as they are."
    )
    script = (
        f'cd {folder} && for f in *.txt; do iconv -f UTF-8 -t UTF-8 "$f" > /dev/null 2>&1 || '
        '{ iconv -f ISO-8859-1 -t UTF-8 "$f" | tr -d \'\\r\' > /tmp/one && cp /tmp/one "$f"; }; done'
    )
    return Chore("encode", request, before, after, script, latin1=frozenset(old))


def sort_away(rng: random.Random, folder: str, size: int) -> Chore:
    """Files move into a folder per month, told by their first line."""
    names = Names(rng)
    before, after = {}, {}
    for _ in range(5 + 3 * size):
        name, day = f"{names.draw().lower()}.note", _day(rng)
        text = f"Date: {day}\n{_line(rng)}\n"
        before[f"{folder}/{name}"] = text
        after[f"{folder}/{day[:4]}/{day[5:7]}/{name}"] = text
    request = (
        f"The first line of each note in {folder} is its date. Move every note to {folder}/<year>/<month>/ (like "
        f"{folder}/2024/03/), its name unchanged."
    )
    script = (
        f'cd {folder} && for f in *.note; do d=$(head -n1 "$f" | cut -d" " -f2); t="$(echo "$d" | cut -d- '
        f'-f1)/$(echo "$d" | '
        'cut -d- -f2)"; mkdir -p "$t" && mv "$f" "$t/"; done'
    )
    return Chore("sort_away", request, before, after, script)


def manifest(rng: random.Random, folder: str, size: int) -> Chore:
    """Checksums of everything below a folder."""
    names = Names(rng)
    places = ["", *(f"{names.draw(2).lower()}/" for _ in range(size))]
    before = {
        f"{folder}/{rng.choice(places)}{names.draw().lower()}.dat": _line(rng) + "\n" for _ in range(4 + 2 * size)
    }
    lines = [
        f"{hashlib.sha256(before[path].encode()).hexdigest()}  {path.removeprefix(folder + '/')}\n"
        for path in sorted(before)
    ]
    report = f"{folder}/SHA256SUMS"
    request = (
        f"Write {report} with one line for each .dat file below {folder}, in subfolders too: its SHA-256 in "
        f"hexadecimal, two "
        f"spaces, its path relative to {folder} (no leading ./), in alphabetical order of the paths. Keep the files."
    )
    script = f"cd {folder} && find . -name '*.dat' | sed 's|^\\./||' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS"
    return Chore("manifest", request, before, {**before, report: "".join(lines)}, script)


def split(rng: random.Random, folder: str, size: int) -> Chore:
    """A long list in numbered pieces."""
    names = Names(rng)
    lines, each = [f"{names.draw(4)}\n" for _ in range(10 * size + rng.randrange(1, 9))], rng.randrange(4, 9)
    before = {f"{folder}/list.txt": "".join(lines)}
    pieces = [lines[at : at + each] for at in range(0, len(lines), each)]
    after = {f"{folder}/list-{number:02}.txt": "".join(piece) for number, piece in enumerate(pieces, start=1)}
    request = (
        f"Split {folder}/list.txt into list-01.txt, list-02.txt, ... in the same folder, {each} lines each (the last "
        f"may have "
        "fewer), and delete list.txt."
    )
    options = f"-l {each} --numeric-suffixes=1 -a 2 --additional-suffix=.txt"
    script = f"cd {folder} && split {options} list.txt list- && rm list.txt"
    return Chore("split", request, before, after, script)


def newest(rng: random.Random, folder: str, size: int) -> Chore:
    """Of numbered versions the highest stays and takes the plain name."""
    names = Names(rng)
    before, after = {}, {}
    for _ in range(2 + size):
        name, versions = names.draw().lower(), rng.sample(range(1, 30), rng.randrange(1, 4 + size))
        for version in versions:
            before[f"{folder}/{name}.v{version}.md"] = f"{_line(rng)} ({rng.randrange(10**6)})\n"
        after[f"{folder}/{name}.md"] = before[f"{folder}/{name}.v{max(versions)}.md"]
    request = (
        f"The documents of {folder} have versions, <name>.v<number>.md. Keep of each document only the one with the "
        f"highest "
        "number (v10 is newer than v9) and name it <name>.md."
    )
    script = (
        f"cd {folder} && for n in $(ls | sed -E 's/\\.v[0-9]+\\.md$//' | sort -u); do "
        'last=$(ls | grep -E "^$n\\.v[0-9]+\\.md$" | sort -V | tail -n1); '
        'mv "$last" "$n.md"; rm -f "$n".v*.md; done'
    )
    return Chore("newest", request, before, after, script)


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (merge, totals, rename, dedupe, errors, configure, redact, encode, sort_away, manifest, split, newest)
}


def _day(rng: random.Random) -> str:
    return (date(2023, 1, 1) + timedelta(days=rng.randrange(700))).isoformat()


def _line(rng: random.Random) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(3, 8)))
