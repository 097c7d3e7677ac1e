import unittest
from fractions import Fraction

from matrices import block, determinant, identity, inverse, multiply, pad, power, rotate, spiral, transpose

A = [[2, 1, 3], [0, -1, 4], [5, 2, 1]]
WIDE = [[1, 2, 3], [4, 5, 6]]


class TestOpsMore(unittest.TestCase):
    def test_identity(self):
        self.assertEqual(identity(3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
        self.assertEqual(multiply(A, identity(3)), A)

    def test_transpose_wide(self):
        self.assertEqual(transpose(WIDE), [[1, 4], [2, 5], [3, 6]])
        self.assertEqual(transpose([[1]]), [[1]])

    def test_multiply_shapes(self):
        self.assertEqual(multiply(WIDE, [[1], [0], [2]]), [[7], [16]])
        self.assertEqual(multiply([[2], [3]], [[4, 5, 6]]), [[8, 10, 12], [12, 15, 18]])
        with self.assertRaises(ValueError):
            multiply(WIDE, WIDE)
        with self.assertRaises(ValueError):
            multiply([[1, 2], [3]], [[1, 2], [3, 4]])
        with self.assertRaises(ValueError):
            transpose([])

    def test_powers(self):
        fib = [[1, 1], [1, 0]]
        self.assertEqual(power(fib, 10), [[89, 55], [55, 34]])
        self.assertEqual(power(fib, 7), [[21, 13], [13, 8]])
        self.assertEqual(power(fib, 1), fib)
        self.assertEqual(power(A, 0), identity(3))
        self.assertEqual(power([[2]], -3), [[Fraction(1, 8)]])
        self.assertEqual(power([[2]], -1), [[Fraction(1, 2)]])

    def test_square_only(self):
        for function in (determinant, inverse, lambda matrix: power(matrix, 0)):
            with self.assertRaises(ValueError):
                function(WIDE)
            with self.assertRaises(ValueError):
                function(transpose(WIDE))

    def test_determinants(self):
        self.assertEqual(determinant(A), 17)
        self.assertEqual(determinant([[0, 1], [1, 0]]), -1)
        self.assertEqual(determinant([[0, 2, 0], [0, 0, 3], [4, 0, 0]]), 24)
        self.assertEqual(determinant([[1, 2], [2, 4]]), 0)
        self.assertEqual(determinant([[7]]), 7)

    def test_inverse(self):
        self.assertEqual(multiply(A, inverse(A)), identity(3))
        self.assertEqual(inverse([[0, 2], [1, 0]]), [[0, 1], [Fraction(1, 2), 0]])
        self.assertEqual(inverse([[4]]), [[Fraction(1, 4)]])
        with self.assertRaises(ValueError):
            inverse([[1, 2], [2, 4]])

    def test_does_not_change_its_input(self):
        matrix = [[0, 1], [2, 3]]
        determinant(matrix)
        inverse(matrix)
        self.assertEqual(matrix, [[0, 1], [2, 3]])


class TestViewsMore(unittest.TestCase):
    def test_block(self):
        self.assertEqual(block(A, 1, 0, 2, 2), [[0, -1], [5, 2]])
        self.assertEqual(block(A, 0, 1, 1, 2), [[1, 3]])
        self.assertEqual(block(A, 0, 0, 3, 3), A)

    def test_block_outside(self):
        for corner in ((2, 0, 2, 1), (0, 2, 1, 2), (-1, 0, 1, 1), (0, -1, 1, 1)):
            with self.assertRaises(ValueError):
                block(A, *corner)

    def test_pad(self):
        self.assertEqual(pad([[1]], 1), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
        self.assertEqual(pad([[1, 2]], 1, fill=9), [[9] * 4, [9, 1, 2, 9], [9] * 4])
        self.assertEqual(pad([[1]], 2), [[0] * 5, [0] * 5, [0, 0, 1, 0, 0], [0] * 5, [0] * 5])
        self.assertEqual(pad(WIDE, 0), WIDE)

    def test_rotate_wide(self):
        self.assertEqual(rotate(WIDE), [[4, 1], [5, 2], [6, 3]])
        self.assertEqual(rotate(WIDE, 2), [[6, 5, 4], [3, 2, 1]])
        self.assertEqual(rotate(WIDE, -1), [[3, 6], [2, 5], [1, 4]])
        self.assertEqual(rotate(WIDE, 4), WIDE)
        self.assertEqual(rotate(WIDE, 0), WIDE)
        self.assertEqual(rotate(WIDE, 5), rotate(WIDE))

    def test_spiral_shapes(self):
        self.assertEqual(spiral(WIDE), [1, 2, 3, 6, 5, 4])
        self.assertEqual(spiral([[1, 2, 3], [8, 9, 4], [7, 6, 5]]), list(range(1, 10)))
        self.assertEqual(spiral([[1, 2, 3]]), [1, 2, 3])
        self.assertEqual(spiral([[1], [2], [3]]), [1, 2, 3])
        self.assertEqual(spiral([[5]]), [5])
        grid = [[1, 2, 3, 4], [12, 13, 14, 5], [11, 16, 15, 6], [10, 9, 8, 7]]
        self.assertEqual(spiral(grid), list(range(1, 17)))
        self.assertEqual(spiral([[1, 2], [6, 3], [5, 4]]), [1, 2, 3, 4, 5, 6])
