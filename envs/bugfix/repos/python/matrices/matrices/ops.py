"""Arithmetic of matrices. A matrix is a non-empty list of equally long rows."""

from fractions import Fraction


def shape(matrix):
    """Number of rows and of columns; ValueError for ragged rows."""
    if not matrix or any(len(row) != len(matrix[0]) for row in matrix):
        raise ValueError("a matrix needs rows of equal length")
    return len(matrix), len(matrix[0])


def identity(size):
    """The square matrix with ones on its diagonal."""
    return [[1 if row == column else 0 for column in range(size)] for row in range(size)]


def transpose(matrix):
    """Rows become columns."""
    rows, columns = shape(matrix)
    return [[matrix[row][column] for row in range(rows)] for column in range(columns)]


def multiply(left, right):
    """The matrix product; ValueError when the inner sizes differ."""
    rows, inner = shape(left)
    height, columns = shape(right)
    if inner != height:
        raise ValueError(f"cannot multiply {rows}x{inner} by {height}x{columns}")
    return [
        [sum(left[row][k] * right[k][column] for k in range(inner)) for column in range(columns)] for row in range(rows)
    ]


def power(matrix, exponent):
    """A square matrix multiplied by itself; negative exponents use the inverse."""
    rows, columns = shape(matrix)
    if rows != columns:
        raise ValueError("only square matrices have powers")
    if exponent < 0:
        return power(inverse(matrix), -exponent)
    result = identity(rows)
    base = matrix
    while exponent > 0:
        if exponent % 2 == 1:
            result = multiply(result, base)
        base = multiply(base, base)
        exponent = exponent // 2
    return result


def determinant(matrix):
    """The determinant, exact for integers and fractions, by elimination with row swaps."""
    rows, columns = shape(matrix)
    if rows != columns:
        raise ValueError("only square matrices have a determinant")
    work = [[Fraction(value) for value in row] for row in matrix]
    sign = 1
    for at in range(rows):
        pivot = _pivot(work, at)
        if pivot is None:
            return Fraction(0)
        if pivot != at:
            work[at], work[pivot] = work[pivot], work[at]
            sign = -sign
        for row in range(at + 1, rows):
            factor = work[row][at] / work[at][at]
            work[row] = [a - factor * b for a, b in zip(work[row], work[at], strict=True)]
    result = Fraction(sign)
    for at in range(rows):
        result *= work[at][at]
    return result


def inverse(matrix):
    """The inverse in exact fractions (Gauss-Jordan); ValueError when there is none."""
    size, columns = shape(matrix)
    if size != columns:
        raise ValueError("only square matrices have an inverse")
    unit = identity(size)
    work = [[Fraction(value) for value in matrix[row] + unit[row]] for row in range(size)]
    for at in range(size):
        pivot = _pivot(work, at)
        if pivot is None:
            raise ValueError("the matrix is singular")
        work[at], work[pivot] = work[pivot], work[at]
        scale = work[at][at]
        work[at] = [value / scale for value in work[at]]
        for row in range(size):
            if row != at:
                factor = work[row][at]
                work[row] = [a - factor * b for a, b in zip(work[row], work[at], strict=True)]
    return [row[size:] for row in work]


def _pivot(work, at):
    """The first row from at on whose entry in column at is not zero, or None."""
    for row in range(at, len(work)):
        if work[row][at] != 0:
            return row
    return None
