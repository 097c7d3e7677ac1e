"""Write tables as delimited text."""


def quote(field, delimiter=","):
    """A field as it must be written: in quotes when it holds a delimiter, a quote, or spaces at an end."""
    if delimiter in field or '"' in field or field != field.strip():
        return '"' + field.replace('"', '""') + '"'
    return field


def dump(rows, columns=None, delimiter=","):
    """Write dicts as a table with a header; columns gives the order (default: of the first row); None is empty."""
    if columns is None:
        columns = list(rows[0]) if rows else []
    lines = [delimiter.join(quote(column, delimiter) for column in columns)]
    for row in rows:
        cells = [row.get(column) for column in columns]
        lines.append(delimiter.join(quote("" if cell is None else str(cell), delimiter) for cell in cells))
    return "\n".join(lines)
