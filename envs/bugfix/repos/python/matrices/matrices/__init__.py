"""Small dense matrices as lists of rows."""

from matrices.ops import determinant, identity, inverse, multiply, power, transpose
from matrices.views import block, pad, rotate, spiral

__all__ = [
    "block",
    "determinant",
    "identity",
    "inverse",
    "multiply",
    "pad",
    "power",
    "rotate",
    "spiral",
    "transpose",
]
