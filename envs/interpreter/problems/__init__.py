"""Kinds of problems for the interpreter: mathematics, logic and data."""
