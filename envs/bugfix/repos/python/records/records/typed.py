"""Typed values and small queries."""


def convert(text):
    """Turn a text into None (empty), a truth value, an int, a float, or leave it as it is."""
    if text == "":
        return None
    lowered = text.lower()
    if lowered in ("true", "yes"):
        return True
    if lowered in ("false", "no"):
        return False
    digits = text[1:] if text[0] in "+-" else text
    if digits.isdigit() and (digits == "0" or digits[0] != "0"):
        return int(text)
    whole, dot, fraction = digits.partition(".")
    if dot and whole.isdigit() and fraction.isdigit():
        return float(text)
    return text


def select(rows, column, low=None, high=None):
    """The rows whose value in a column lies between two limits, both included; a missing limit does not bind."""
    found = []
    for row in rows:
        value = convert(row[column])
        if value is None or isinstance(value, str):
            continue
        if low is not None and value < low:
            continue
        if high is not None and value > high:
            continue
        found.append(row)
    return found


def group_total(rows, by, column):
    """Sum a column for each value of another, in order of first appearance; empty cells count as zero."""
    totals = {}
    for row in rows:
        value = convert(row[column])
        totals[row[by]] = totals.get(row[by], 0) + (value or 0)
    return totals
