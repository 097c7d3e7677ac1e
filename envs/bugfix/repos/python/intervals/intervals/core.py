"""A closed interval [low, high] and its arithmetic."""


class Interval:
    """The numbers from low to high, both ends included."""

    def __init__(self, low, high):
        if low > high:
            raise ValueError(f"low {low} is above high {high}")
        self.low = low
        self.high = high

    def __eq__(self, other):
        return isinstance(other, Interval) and self.low == other.low and self.high == other.high

    def __hash__(self):
        return hash((self.low, self.high))

    def __repr__(self):
        return f"Interval({self.low}, {self.high})"

    @property
    def width(self):
        """Distance between the two ends."""
        return self.high - self.low

    def contains(self, value):
        """Whether a number lies in the interval; both ends do."""
        return self.low <= value <= self.high

    def overlaps(self, other):
        """Whether two intervals have at least one point in common."""
        return self.low <= other.high and other.low <= self.high

    def add(self, other):
        """The interval of all sums of one number from each."""
        return Interval(self.low + other.low, self.high + other.high)

    def sub(self, other):
        """The interval of all differences of one number from each."""
        return Interval(self.low - other.high, self.high - other.low)

    def mul(self, other):
        """The interval of all products of one number from each."""
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(products), max(products))

    def intersect(self, other):
        """The common part of two intervals, or None when there is none."""
        if not self.overlaps(other):
            return None
        return Interval(max(self.low, other.low), min(self.high, other.high))

    def clamp(self, value):
        """The number of the interval that is nearest to a given one."""
        if value < self.low:
            return self.low
        if value > self.high:
            return self.high
        return value

    def split(self, parts):
        """Cut the interval into equally wide parts that touch each other."""
        if parts < 1:
            raise ValueError("parts must be at least 1")
        step = self.width / parts
        edges = [self.low + step * index for index in range(parts)] + [self.high]
        return [Interval(edges[index], edges[index + 1]) for index in range(parts)]
