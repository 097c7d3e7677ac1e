"""Operations on lists of intervals."""

from intervals.core import Interval


def merge(items, slack=0):
    """Join intervals that overlap or touch, or whose gap is at most slack; sorted by low end."""
    merged = []
    for item in sorted(items, key=lambda interval: interval.low):
        if merged and item.low - merged[-1].high <= slack:
            last = merged[-1]
            merged[-1] = Interval(last.low, max(last.high, item.high))
        else:
            merged.append(item)
    return merged


def covered(items):
    """Total length that a list of intervals covers, overlaps counted once."""
    return sum(item.width for item in merge(items))


def gaps(items, within):
    """The parts of an interval that a list of intervals leaves open, from low to high."""
    found = []
    at = within.low
    for item in merge(items):
        if item.low > within.high:
            break
        if item.low > at:
            found.append(Interval(at, item.low))
        at = max(at, item.high)
    if at < within.high:
        found.append(Interval(at, within.high))
    return found


def subtract(whole, items):
    """The length of an interval that a list of intervals does not cover."""
    return sum(gap.width for gap in gaps(items, whole))


def intersect_all(items):
    """The common part of all intervals of a list, or None when there is none."""
    if not items:
        raise ValueError("needs at least one interval")
    common = items[0]
    for item in items[1:]:
        common = common.intersect(item)
        if common is None:
            return None
    return common
