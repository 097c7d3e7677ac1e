"""A binary heap, and a scheduler that stands on it."""

from agenda.heap import Heap
from agenda.schedule import Scheduler, assign

__all__ = ["Heap", "Scheduler", "assign"]
