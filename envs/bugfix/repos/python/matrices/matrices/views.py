"""Other arrangements of a matrix's entries."""

from matrices.ops import shape


def block(matrix, top, left, height, width):
    """The rectangle of given size whose upper left corner is at (top, left); ValueError when it sticks out."""
    rows, columns = shape(matrix)
    if top < 0 or left < 0 or top + height > rows or left + width > columns:
        raise ValueError("the block does not lie inside the matrix")
    return [row[left : left + width] for row in matrix[top : top + height]]


def pad(matrix, margin, fill=0):
    """Put a frame of given thickness around a matrix."""
    wide = shape(matrix)[1] + 2 * margin
    middle = [[fill] * margin + row + [fill] * margin for row in matrix]
    return [[fill] * wide for _ in range(margin)] + middle + [[fill] * wide for _ in range(margin)]


def rotate(matrix, turns=1):
    """Turn a matrix clockwise by quarter turns; negative numbers turn it back."""
    for _ in range(turns % 4):
        rows, columns = shape(matrix)
        matrix = [[matrix[rows - 1 - row][column] for row in range(rows)] for column in range(columns)]
    return matrix


def spiral(matrix):
    """All entries clockwise from the upper left corner inwards."""
    rows, columns = shape(matrix)
    top, bottom, left, right = 0, rows - 1, 0, columns - 1
    found = []
    while top <= bottom and left <= right:
        found += [matrix[top][column] for column in range(left, right + 1)]
        found += [matrix[row][right] for row in range(top + 1, bottom + 1)]
        if top < bottom and left < right:
            found += [matrix[bottom][column] for column in range(right - 1, left - 1, -1)]
            found += [matrix[row][left] for row in range(bottom - 1, top, -1)]
        top, bottom, left, right = top + 1, bottom - 1, left + 1, right - 1
    return found
