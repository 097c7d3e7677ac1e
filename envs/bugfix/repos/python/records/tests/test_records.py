import unittest

from records import convert, dump, group_total, parse, parse_line, select


class TestReader(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(parse_line("a,b,c"), ["a", "b", "c"])

    def test_quoted(self):
        self.assertEqual(parse_line('a,"b,c",d'), ["a", "b,c", "d"])

    def test_parse(self):
        self.assertEqual(parse("name,age\nann,31\nbob,7"), [{"name": "ann", "age": "31"}, {"name": "bob", "age": "7"}])


class TestTyped(unittest.TestCase):
    def test_convert(self):
        self.assertEqual([convert("12"), convert("1.5"), convert("x"), convert("")], [12, 1.5, "x", None])

    def test_select(self):
        rows = [{"n": "1"}, {"n": "5"}, {"n": "9"}]
        self.assertEqual(select(rows, "n", low=3), [{"n": "5"}, {"n": "9"}])

    def test_group_total(self):
        rows = [{"k": "a", "n": "1"}, {"k": "b", "n": "5"}, {"k": "a", "n": "9"}]
        self.assertEqual(group_total(rows, "k", "n"), {"a": 10, "b": 5})


class TestWriter(unittest.TestCase):
    def test_dump(self):
        self.assertEqual(dump([{"a": 1, "b": "x,y"}]), 'a,b\n1,"x,y"')
