"""Roman numerals."""

SYMBOLS = (
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
)
VALUES = {symbol: value for value, symbol in SYMBOLS if len(symbol) == 1}


def to_roman(number):
    """Write a number from 1 to 3999 in Roman numerals."""
    if number < 1 or number > 3999:
        raise ValueError(f"{number} has no Roman numeral")
    out = ""
    for value, symbol in SYMBOLS:
        count, number = divmod(number, value)
        out += symbol * count
    return out


def from_roman(text):
    """Read a Roman numeral in either case; ValueError unless it is written as to_roman would."""
    letters = text.strip().upper()
    total = 0
    for index, letter in enumerate(letters):
        if letter not in VALUES:
            raise ValueError(f"{letter!r} is not a Roman digit")
        value = VALUES[letter]
        following = letters[index + 1] if index + 1 < len(letters) else None
        if following in VALUES and VALUES[following] > value:
            total -= value
        else:
            total += value
    if total < 1 or total > 3999 or to_roman(total) != letters:
        raise ValueError(f"{text!r} is not a proper Roman numeral")
    return total
