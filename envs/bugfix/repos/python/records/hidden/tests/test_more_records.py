import unittest

from records import convert, dump, group_total, parse, parse_line, quote, select


class TestLines(unittest.TestCase):
    def test_empty_fields(self):
        self.assertEqual(parse_line(""), [""])
        self.assertEqual(parse_line("a,,b"), ["a", "", "b"])
        self.assertEqual(parse_line(",a,"), ["", "a", ""])
        self.assertEqual(parse_line('a,""'), ["a", ""])
        self.assertEqual(parse_line('"",b'), ["", "b"])

    def test_spaces(self):
        self.assertEqual(parse_line(" a , b"), ["a", "b"])
        self.assertEqual(parse_line('" a ",b'), [" a ", "b"])

    def test_doubled_quotes(self):
        self.assertEqual(parse_line('"say ""hi""",x'), ['say "hi"', "x"])
        self.assertEqual(parse_line('""""'), ['"'])
        self.assertEqual(parse_line('"a""b"'), ['a"b'])

    def test_bad_quotes(self):
        for line in ('"abc', '"a"b,c', '"a""', '"', 'x,"'):
            with self.assertRaises(ValueError):
                parse_line(line)
        with self.assertRaisesRegex(ValueError, "column 3"):
            parse_line('"a"b,c')

    def test_other_delimiter(self):
        self.assertEqual(parse_line("a;b,c;d", ";"), ["a", "b,c", "d"])
        self.assertEqual(parse_line('"a;b";c', ";"), ["a;b", "c"])


class TestTables(unittest.TestCase):
    def test_comments_and_blanks(self):
        text = "# people\n\nname|age\n  # no\nann|3\n   \nbob|4\n"
        self.assertEqual(parse(text, "|"), [{"name": "ann", "age": "3"}, {"name": "bob", "age": "4"}])
        self.assertEqual(parse("a\n#x\n%y", comment="%"), [{"a": "#x"}])

    def test_short_and_long_lines(self):
        self.assertEqual(parse("a,b,c\n1"), [{"a": "1", "b": "", "c": ""}])
        self.assertEqual(parse("a,b\n1,2"), [{"a": "1", "b": "2"}])
        with self.assertRaisesRegex(ValueError, "line 3 has 3 fields, the header 2"):
            parse("a,b\n1,2\n1,2,3")

    def test_header_only(self):
        self.assertEqual(parse("a,b"), [])
        self.assertEqual(parse(""), [])


class TestTypedMore(unittest.TestCase):
    def test_truth(self):
        self.assertEqual([convert(text) for text in ("true", "Yes", "FALSE", "no")], [True, True, False, False])

    def test_integers(self):
        self.assertEqual([convert(text) for text in ("0", "-7", "+12", "10")], [0, -7, 12, 10])
        self.assertEqual([convert(text) for text in ("007", "00", "-", "1-2")], ["007", "00", "-", "1-2"])

    def test_floats(self):
        self.assertEqual([convert(text) for text in ("-2.5", "0.25", "+1.0")], [-2.5, 0.25, 1.0])
        self.assertIsInstance(convert("1.0"), float)
        self.assertEqual([convert(text) for text in (".5", "1.", "1.x", "a.5")], [".5", "1.", "1.x", "a.5"])

    def test_select_limits(self):
        rows = [{"n": text} for text in ("1", "2", "3", "4", "", "x")]
        self.assertEqual([row["n"] for row in select(rows, "n", 2, 3)], ["2", "3"])
        self.assertEqual([row["n"] for row in select(rows, "n", high=2)], ["1", "2"])
        self.assertEqual([row["n"] for row in select(rows, "n")], ["1", "2", "3", "4"])
        self.assertEqual([row["n"] for row in select(rows, "n", low=4)], ["4"])
        self.assertEqual(select([{"n": "-1"}, {"n": "1"}], "n", low=0), [{"n": "1"}])
        self.assertEqual(select([{"n": "-1"}, {"n": "1"}], "n", high=0), [{"n": "-1"}])

    def test_group_order_and_gaps(self):
        rows = [{"k": "b", "n": "2"}, {"k": "a", "n": ""}, {"k": "b", "n": "0.5"}]
        self.assertEqual(list(group_total(rows, "k", "n").items()), [("b", 2.5), ("a", 0)])


class TestWriterMore(unittest.TestCase):
    def test_quote(self):
        self.assertEqual([quote("a"), quote("a,b"), quote(" a"), quote("a ")], ["a", '"a,b"', '" a"', '"a "'])
        self.assertEqual(quote('a"b'), '"a""b"')
        self.assertEqual([quote("a,b", ";"), quote("a;b", ";")], ["a,b", '"a;b"'])

    def test_columns_and_none(self):
        rows = [{"a": None, "b": 2, "c": 3}, {"b": 0}]
        self.assertEqual(dump(rows), "a,b,c\n,2,3\n,0,")
        self.assertEqual(dump(rows, ["c", "a"]), "c,a\n3,\n,")
        self.assertEqual(dump([]), "")
        self.assertEqual(dump([], ["x", "y"], ";"), "x;y")

    def test_round_trip(self):
        rows = [{"x;y": 'q"', "z": " s "}, {"x;y": "a;b", "z": ""}]
        self.assertEqual(parse(dump(rows, delimiter=";"), ";"), rows)
