"""Tables of text."""


def truncate(text, width, mark="..."):
    """Shorten text to at most width characters; a mark at the end says that something is missing."""
    if len(text) <= width:
        return text
    if width <= len(mark):
        return mark[:width]
    return text[: width - len(mark)] + mark


def table(rows, gap=2, limit=20, right=()):
    """Lay rows out in columns as wide as their widest cell, at most limit.

    Columns whose number is in right are aligned to the right; the last column is not padded at its end.
    """
    if not rows:
        return []
    count = max(len(row) for row in rows)
    cells = [[truncate(str(cell), limit) for cell in row] + [""] * (count - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(count)]
    lines = []
    for row in cells:
        parts = [_pad(cell, widths[column], column in right) for column, cell in enumerate(row)]
        lines.append((" " * gap).join(parts).rstrip())
    return lines


def _pad(cell, width, to_right):
    """Fill a cell with spaces up to its column's width."""
    if to_right:
        return cell.rjust(width)
    return cell.ljust(width)
