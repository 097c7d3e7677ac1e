"""A cache that forgets what was not used for longest."""


class LRUCache:
    """Keep at most capacity entries (or total weight); the least recently used entry goes first."""

    def __init__(self, capacity, weigh=None):
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.weigh = weigh
        self.hits = 0
        self.misses = 0
        self._entries = {}
        self._weight = 0

    def __len__(self):
        return len(self._entries)

    def __contains__(self, key):
        return key in self._entries

    @property
    def weight(self):
        """The total weight of all entries held."""
        return self._weight

    def get(self, key, default=None):
        """The value of a key, which becomes the most recently used; counts a hit or a miss."""
        if key not in self._entries:
            self.misses += 1
            return default
        self.hits += 1
        value = self._entries.pop(key)
        self._entries[key] = value
        return value

    def peek(self, key, default=None):
        """The value of a key, without any effect on the order or the counts."""
        return self._entries.get(key, default)

    def put(self, key, value):
        """Store a value as the most recently used; returns the keys that had to go, oldest first.

        A value that is heavier than the whole cache is not stored.
        """
        self.drop(key)
        weight = self._weigh(value)
        if weight > self.capacity:
            return []
        gone = []
        while self._weight + weight > self.capacity:
            oldest = next(iter(self._entries))
            self.drop(oldest)
            gone.append(oldest)
        self._entries[key] = value
        self._weight += weight
        return gone

    def drop(self, key):
        """Forget a key; says whether it was there."""
        if key not in self._entries:
            return False
        self._weight -= self._weigh(self._entries.pop(key))
        return True

    def resize(self, capacity):
        """Change the capacity; returns the keys that had to go, oldest first."""
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        gone = []
        for key in list(self._entries):
            if self._weight <= capacity:
                break
            self.drop(key)
            gone.append(key)
        return gone

    def keys(self):
        """All keys, from the least to the most recently used."""
        return list(self._entries)

    def items(self):
        """All pairs of key and value, from the least to the most recently used."""
        return list(self._entries.items())

    def hit_rate(self):
        """The share of lookups that found something; 0.0 before the first."""
        lookups = self.hits + self.misses
        if lookups == 0:
            return 0.0
        return self.hits / lookups

    def _weigh(self, value):
        """What one value counts against the capacity."""
        return 1 if self.weigh is None else self.weigh(value)
