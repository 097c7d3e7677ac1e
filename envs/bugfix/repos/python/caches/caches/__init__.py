"""Bounded caches: least recently used, and with an age limit."""

from caches.lru import LRUCache
from caches.ttl import AgingCache

__all__ = ["AgingCache", "LRUCache"]
