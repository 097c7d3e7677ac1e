import unittest

from textwrapper import indent, justify, table, truncate, wrap


class TestWrap(unittest.TestCase):
    def test_wrap(self):
        self.assertEqual(wrap("the quick brown fox", 10), ["the quick", "brown fox"])
        self.assertEqual(wrap("", 10), [])

    def test_hang(self):
        self.assertEqual(wrap("aa bb cc dd", 6, hang=2), ["aa bb", "  cc", "  dd"])

    def test_justify(self):
        self.assertEqual(justify("a b c", 9), "a   b   c")

    def test_indent(self):
        self.assertEqual(indent("a\nb", 2), "  a\n  b")


class TestTable(unittest.TestCase):
    def test_truncate(self):
        self.assertEqual(truncate("a long sentence", 9), "a long...")
        self.assertEqual(truncate("short", 9), "short")

    def test_table(self):
        self.assertEqual(table([["id", "name"], [7, "ann"]]), ["id  name", "7   ann"])
