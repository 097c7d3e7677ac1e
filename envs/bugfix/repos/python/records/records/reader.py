"""Split delimited text into fields."""


def parse_line(line, delimiter=","):
    """Split one line into fields. Fields may stand in double quotes; a doubled quote inside stands for one.

    Raises ValueError for a quote that is never closed, or text after a closing quote.
    """
    fields = []
    at = 0
    while True:
        if at < len(line) and line[at] == '"':
            field, at = _quoted(line, at + 1)
            if at < len(line) and line[at] != delimiter:
                raise ValueError(f"text after a closing quote at column {at}")
        else:
            end = line.find(delimiter, at)
            if end < 0:
                end = len(line)
            field = line[at:end].strip()
            at = end
        fields.append(field)
        if at >= len(line):
            return fields
        at += 1


def _quoted(line, at):
    """Read a quoted field whose text begins at a column; returns it and the column after the closing quote."""
    out = []
    while at < len(line):
        if line[at] != '"':
            out.append(line[at])
            at += 1
        elif at + 1 < len(line) and line[at + 1] == '"':
            out.append('"')
            at += 2
        else:
            return "".join(out), at + 1
    raise ValueError("a quote is never closed")


def parse(text, delimiter=",", comment="#"):
    """Read a table whose first line names the columns; returns one dict per line.

    Blank lines and comment lines are skipped. Short lines are filled with empty texts; long ones raise ValueError.
    """
    header = None
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(comment):
            continue
        fields = parse_line(line, delimiter)
        if header is None:
            header = fields
            continue
        if len(fields) > len(header):
            raise ValueError(f"line {number} has {len(fields)} fields, the header {len(header)}")
        fields += [""] * (len(header) - len(fields))
        rows.append(dict(zip(header, fields, strict=True)))
    return rows
