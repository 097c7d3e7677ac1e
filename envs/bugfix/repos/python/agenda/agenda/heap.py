"""A binary min-heap with changeable priorities."""


class Heap:
    """Items with priorities; the smallest comes first, equal ones in the order in which they were pushed."""

    def __init__(self):
        self._rows = []
        self._count = 0

    def __len__(self):
        return len(self._rows)

    def push(self, item, priority):
        """Add an item."""
        self._rows.append((priority, self._count, item))
        self._count += 1
        self._up(len(self._rows) - 1)

    def peek(self):
        """The first item and its priority, which stay; IndexError when empty."""
        if not self._rows:
            raise IndexError("the heap is empty")
        priority, _, item = self._rows[0]
        return item, priority

    def pop(self):
        """Take out the first item and its priority; IndexError when empty."""
        first = self.peek()
        last = self._rows.pop()
        if self._rows:
            self._rows[0] = last
            self._down(0)
        return first

    def change(self, item, priority):
        """Give an item another priority; it keeps its place among equal ones. KeyError when it is unknown."""
        for index, (old, count, found) in enumerate(self._rows):
            if found == item:
                self._rows[index] = (priority, count, item)
                if priority < old:
                    self._up(index)
                else:
                    self._down(index)
                return
        raise KeyError(item)

    def drain(self, limit=None):
        """Take out all items whose priority is at most limit, in order."""
        items = []
        while self._rows and (limit is None or self._rows[0][0] <= limit):
            items.append(self.pop()[0])
        return items

    def _up(self, index):
        """Move a row towards the root until its parent is not larger."""
        while index > 0:
            parent = (index - 1) // 2
            if self._before(parent, index):
                break
            self._swap(parent, index)
            index = parent

    def _down(self, index):
        """Move a row away from the root until no child is smaller."""
        while True:
            child = 2 * index + 1
            if child >= len(self._rows):
                break
            if child + 1 < len(self._rows) and self._before(child + 1, child):
                child += 1
            if self._before(index, child):
                break
            self._swap(index, child)
            index = child

    def _before(self, one, other):
        """Whether one row belongs in front of another."""
        return self._rows[one][:2] < self._rows[other][:2]

    def _swap(self, one, other):
        """Exchange two rows."""
        self._rows[one], self._rows[other] = self._rows[other], self._rows[one]
