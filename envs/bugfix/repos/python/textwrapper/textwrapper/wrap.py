"""Break paragraphs into lines."""


def wrap(text, width, hang=0):
    """Break text into lines of at most width characters; lines after the first begin with hang spaces.

    A word longer than the room is cut.
    """
    if width - hang < 1:
        raise ValueError(f"no room: width {width}, hang {hang}")
    lines = []
    line = ""
    for word in text.split():
        room = _room(width, hang, lines)
        if line and len(line) + 1 + len(word) <= room:
            line = line + " " + word
            continue
        if line:
            lines.append(line)
            room = _room(width, hang, lines)
        while len(word) > room:
            lines.append(word[:room])
            word = word[room:]
            room = _room(width, hang, lines)
        line = word
    if line:
        lines.append(line)
    return [" " * hang + line if index > 0 else line for index, line in enumerate(lines)]


def _room(width, hang, lines):
    """Characters that fit into the next line."""
    return width - hang if lines else width


def justify(line, width):
    """Stretch the spaces of a line so that it is exactly width long; wider spaces come first.

    A line of one word, or one that is already long enough, is padded at the right.
    """
    words = line.split()
    if len(words) < 2 or len(line) >= width:
        return line.ljust(width)
    spaces = width - sum(len(word) for word in words)
    each, extra = divmod(spaces, len(words) - 1)
    out = words[0]
    for index, word in enumerate(words[1:]):
        out += " " * (each + (1 if index < extra else 0)) + word
    return out


def indent(text, depth, first=True):
    """Put depth spaces before every line that is not blank; first=False leaves the first line alone."""
    lines = []
    for index, line in enumerate(text.split("\n")):
        if line.strip() and (first or index > 0):
            line = " " * depth + line
        lines.append(line)
    return "\n".join(lines)
