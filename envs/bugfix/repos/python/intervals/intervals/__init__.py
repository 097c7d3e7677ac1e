"""Closed intervals of numbers, and sets of them."""

from intervals.core import Interval
from intervals.sets import covered, gaps, intersect_all, merge, subtract

__all__ = ["Interval", "covered", "gaps", "intersect_all", "merge", "subtract"]
