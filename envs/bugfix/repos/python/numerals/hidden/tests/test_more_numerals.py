import unittest

from numerals import duration, from_base, from_roman, group_digits, ordinal, to_base, to_roman, words


class TestRomanMore(unittest.TestCase):
    def test_known(self):
        for number, text in (
            (4, "IV"),
            (9, "IX"),
            (49, "XLIX"),
            (444, "CDXLIV"),
            (1994, "MCMXCIV"),
            (3999, "MMMCMXCIX"),
        ):
            self.assertEqual(to_roman(number), text)
            self.assertEqual(from_roman(text), number)

    def test_range(self):
        self.assertEqual((to_roman(1), from_roman("I")), ("I", 1))
        for number in (0, -1, 4000):
            with self.assertRaises(ValueError):
                to_roman(number)

    def test_reading_is_strict(self):
        self.assertEqual(from_roman(" mcmxc "), 1990)
        for text in ("IIII", "IC", "VX", "", "ABC", "MMMM", "IIV", "VIV"):
            with self.assertRaises(ValueError):
                from_roman(text)

    def test_round_trip(self):
        for number in range(1, 4000, 37):
            self.assertEqual(from_roman(to_roman(number)), number)


class TestWordsMore(unittest.TestCase):
    def test_small(self):
        self.assertEqual(
            [words(number) for number in (0, 10, 19, 20, 21, 99)],
            ["zero", "ten", "nineteen", "twenty", "twenty-one", "ninety-nine"],
        )

    def test_hundreds(self):
        self.assertEqual(
            [words(number) for number in (100, 101, 999)],
            ["one hundred", "one hundred and one", "nine hundred and ninety-nine"],
        )

    def test_scales(self):
        self.assertEqual(words(1000), "one thousand")
        self.assertEqual(words(1005), "one thousand and five")
        self.assertEqual(words(1099), "one thousand and ninety-nine")
        self.assertEqual(words(1100), "one thousand one hundred")
        self.assertEqual(words(12_345), "twelve thousand three hundred and forty-five")
        self.assertEqual(words(2_000_001), "two million and one")
        self.assertEqual(words(10**9), "one billion")
        self.assertEqual(words(10**6), "one million")

    def test_limits(self):
        self.assertEqual(words(-3), "minus three")
        self.assertTrue(words(10**12 - 1).startswith("nine hundred and ninety-nine billion"))
        with self.assertRaises(ValueError):
            words(10**12)

    def test_ordinals(self):
        expected = {
            2: "2nd",
            3: "3rd",
            4: "4th",
            10: "10th",
            11: "11th",
            12: "12th",
            13: "13th",
            14: "14th",
            21: "21st",
        }
        expected |= {22: "22nd", 101: "101st", 111: "111th", 113: "113th", 123: "123rd"}
        self.assertEqual({number: ordinal(number) for number in expected}, expected)

    def test_durations(self):
        self.assertEqual(
            [duration(number) for number in (0, 1, 59, 60, 61)],
            ["0 seconds", "1 second", "59 seconds", "1 minute", "1 minute 1 second"],
        )
        self.assertEqual(duration(2 * 86400 + 3600 + 5), "2 days 1 hour")
        self.assertEqual(duration(86400 + 5), "1 day 5 seconds")
        self.assertEqual(duration(90061, parts=4), "1 day 1 hour 1 minute 1 second")
        self.assertEqual(duration(90061, parts=1), "1 day")
        with self.assertRaises(ValueError):
            duration(-1)


class TestBasesMore(unittest.TestCase):
    def test_to_base(self):
        self.assertEqual([to_base(0, 2), to_base(35, 36), to_base(-255, 16), to_base(8, 8)], ["0", "z", "-ff", "10"])
        self.assertEqual(
            [to_base(5, 2, width=6), to_base(-5, 2, width=4), to_base(5, 2, width=2)], ["000101", "-0101", "101"]
        )

    def test_from_base(self):
        self.assertEqual([from_base("Zz", 36), from_base("-101", 2), from_base("1_000", 10)], [1295, -5, 1000])
        for text, base in (("2", 2), ("", 10), ("-", 10), ("_1", 10), ("1_", 10), ("a", 10), ("1.0", 10), ("-_1", 10)):
            with self.assertRaises(ValueError):
                from_base(text, base)

    def test_bases_are_checked(self):
        for base in (1, 37, 0):
            with self.assertRaises(ValueError):
                to_base(5, base)
            with self.assertRaises(ValueError):
                from_base("1", base)
        self.assertEqual((from_base("11", 2), from_base("z", 36)), (3, 35))

    def test_groups(self):
        self.assertEqual(
            [group_digits(text) for text in ("1", "123", "1234", "123456")], ["1", "123", "1,234", "123,456"]
        )
        self.assertEqual([group_digits("-123"), group_digits("-1234")], ["-123", "-1,234"])
        self.assertEqual(group_digits("11110000", size=4, mark="_"), "1111_0000")
