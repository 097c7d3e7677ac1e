import unittest

from numerals import duration, from_base, from_roman, group_digits, ordinal, to_base, to_roman, words


class TestNumerals(unittest.TestCase):
    def test_roman(self):
        self.assertEqual(to_roman(16), "XVI")
        self.assertEqual(from_roman("XVI"), 16)

    def test_words(self):
        self.assertEqual(words(7), "seven")
        self.assertEqual(words(42), "forty-two")

    def test_ordinal(self):
        self.assertEqual([ordinal(1), ordinal(5)], ["1st", "5th"])

    def test_duration(self):
        self.assertEqual(duration(3720), "1 hour 2 minutes")

    def test_bases(self):
        self.assertEqual(to_base(10, 2), "1010")
        self.assertEqual(from_base("ff", 16), 255)

    def test_group(self):
        self.assertEqual(group_digits("1234567"), "1,234,567")
