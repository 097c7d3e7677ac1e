import unittest

from matrices import determinant, multiply, power, rotate, spiral, transpose


class TestOps(unittest.TestCase):
    def test_transpose(self):
        self.assertEqual(transpose([[1, 2], [3, 4]]), [[1, 3], [2, 4]])

    def test_multiply(self):
        self.assertEqual(multiply([[1, 2], [3, 4]], [[5, 6], [7, 8]]), [[19, 22], [43, 50]])

    def test_power(self):
        self.assertEqual(power([[1, 1], [1, 0]], 2), [[2, 1], [1, 1]])

    def test_determinant(self):
        self.assertEqual(determinant([[1, 2], [3, 4]]), -2)


class TestViews(unittest.TestCase):
    def test_rotate(self):
        self.assertEqual(rotate([[1, 2], [3, 4]]), [[3, 1], [4, 2]])

    def test_spiral(self):
        self.assertEqual(spiral([[1, 2], [4, 3]]), [1, 2, 3, 4])
