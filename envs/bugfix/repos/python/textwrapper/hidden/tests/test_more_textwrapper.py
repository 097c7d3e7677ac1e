import unittest

from textwrapper import indent, justify, table, truncate, wrap


class TestWrapEdges(unittest.TestCase):
    def test_exact_fit(self):
        self.assertEqual(wrap("abc def", 7), ["abc def"])
        self.assertEqual(wrap("abc def", 6), ["abc", "def"])

    def test_long_words_are_cut(self):
        self.assertEqual(wrap("abcdefgh", 3), ["abc", "def", "gh"])
        self.assertEqual(wrap("ab cdefgh i", 4), ["ab", "cdef", "gh i"])
        self.assertEqual(wrap("abcdef", 3), ["abc", "def"])

    def test_hanging_lines_have_less_room(self):
        self.assertEqual(wrap("abcdefghij", 4, hang=1), ["abcd", " efg", " hij"])
        self.assertEqual(wrap("aaaa bbbb", 4, hang=1), ["aaaa", " bbb", " b"])
        self.assertEqual(wrap("aaa bb c d", 5, hang=2), ["aaa", "  bb", "  c d"])

    def test_spaces_and_breaks_collapse(self):
        self.assertEqual(wrap("  a \n b\t c ", 20), ["a b c"])

    def test_no_room(self):
        with self.assertRaises(ValueError):
            wrap("a", 3, hang=3)
        self.assertEqual(wrap("a bb", 3, hang=2), ["a", "  b", "  b"])


class TestJustifyAndIndent(unittest.TestCase):
    def test_wider_spaces_first(self):
        self.assertEqual(justify("a b c", 8), "a   b  c")
        self.assertEqual(justify("aa b c d", 12), "aa   b  c  d")

    def test_one_word_or_long(self):
        self.assertEqual(justify("abc", 5), "abc  ")
        self.assertEqual(justify("a b", 3), "a b")
        self.assertEqual(justify("a b", 2), "a b")
        self.assertEqual(justify("a b", 4), "a  b")
        self.assertEqual(justify("", 2), "  ")

    def test_indent_blank_lines(self):
        self.assertEqual(indent("a\n\n  \nb", 1), " a\n\n  \n b")

    def test_indent_first(self):
        self.assertEqual(indent("a\nb\nc", 3, first=False), "a\n   b\n   c")


class TestTableEdges(unittest.TestCase):
    def test_truncate_edges(self):
        self.assertEqual(truncate("abcde", 5), "abcde")
        self.assertEqual(truncate("abcde", 4), "a...")
        self.assertEqual(truncate("abcde", 3), "...")
        self.assertEqual(truncate("abcde", 2), "..")
        self.assertEqual(truncate("abcdef", 4, mark="~"), "abc~")

    def test_right_columns(self):
        self.assertEqual(table([["a", 1], ["b", 100]], right=(1,)), ["a    1", "b  100"])
        self.assertEqual(table([[1, "x"], [100, "y"]], right=(0,)), ["  1  x", "100  y"])

    def test_ragged_rows(self):
        self.assertEqual(table([["a"], ["bb", "c", "d"]]), ["a", "bb  c  d"])
        self.assertEqual(table([]), [])

    def test_gap_and_limit(self):
        self.assertEqual(table([["abcdefgh", "x"]], gap=1, limit=5), ["ab... x"])
        long = "x" * 21
        self.assertEqual(table([[long]]), ["x" * 17 + "..."])
        self.assertEqual(table([["x" * 20]]), ["x" * 20])
