"""Positional systems."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def to_base(number, base, width=0):
    """Write a whole number in a base from 2 to 36, filled with zeros to at least width digits."""
    if base < 2 or base > len(DIGITS):
        raise ValueError(f"no base {base}")
    digits = ""
    rest = abs(number)
    while rest > 0:
        rest, digit = divmod(rest, base)
        digits = DIGITS[digit] + digits
    digits = (digits or "0").rjust(width, "0")
    return "-" + digits if number < 0 else digits


def from_base(text, base):
    """Read a whole number; underscores between digits are ignored; ValueError for a digit the base does not have."""
    if base < 2 or base > len(DIGITS):
        raise ValueError(f"no base {base}")
    negative = text.startswith("-")
    body = text[1:] if negative else text
    if not body or body[0] == "_" or body[-1] == "_":
        raise ValueError(f"{text!r} is not a number")
    total = 0
    for letter in body.lower():
        if letter == "_":
            continue
        digit = DIGITS.find(letter)
        if digit < 0 or digit >= base:
            raise ValueError(f"{letter!r} is no digit in base {base}")
        total = total * base + digit
    return -total if negative else total


def group_digits(digits, size=3, mark=","):
    """Put a mark between groups of digits, counted from the right."""
    sign = "-" if digits.startswith("-") else ""
    body = digits[len(sign) :]
    groups = []
    while len(body) > size:
        groups.append(body[-size:])
        body = body[:-size]
    groups.append(body)
    return sign + mark.join(reversed(groups))
