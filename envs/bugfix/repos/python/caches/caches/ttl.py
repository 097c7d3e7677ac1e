"""A cache whose entries grow old."""

from caches.lru import LRUCache


class AgingCache:
    """An LRU cache whose entries are forgotten once they are older than max_age seconds of the given clock."""

    def __init__(self, capacity, max_age, clock):
        self.max_age = max_age
        self.clock = clock
        self._cache = LRUCache(capacity)

    def put(self, key, value, age=0):
        """Store a value that is already age seconds old."""
        self._cache.put(key, (self.clock() - age, value))

    def get(self, key, default=None):
        """The value of a key, or the default when it is unknown or too old."""
        entry = self._cache.get(key)
        if entry is None:
            return default
        born, value = entry
        if self.clock() - born > self.max_age:
            self._cache.drop(key)
            return default
        return value

    def sweep(self):
        """Forget everything that is too old; returns how many entries went."""
        count = 0
        for key, (born, _) in self._cache.items():
            if self.clock() - born > self.max_age:
                self._cache.drop(key)
                count += 1
        return count

    def refresh(self, key):
        """Make an entry new again; says whether it was there and still young enough."""
        value = self.get(key, self)
        if value is self:
            return False
        self.put(key, value)
        return True

    def __len__(self):
        return len(self._cache)
