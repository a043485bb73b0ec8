"""The judgement of what is stored: it accepts what may be and finds lost writes, lost deletes and wrong values."""
import unittest

from owners import GONE, Point


def point(version, value, unsure=()):
    made = Point()
    made.version, made.value, made.unsure = version, value, list(unsure)
    return made


class Judgement(unittest.TestCase):
    def test_what_may_be_is_accepted(self):
        for known, stored in ((point(0, GONE), None), (point(5, 1), (1, 5)), (point(5, GONE), None), (point(5, 1, [2]), (2, 7)),
                              (point(5, 1, [GONE]), None), (point(5, GONE, [2]), (2, 6)), (point(0, GONE, [2]), (2, 1))):
            self.assertEqual(known.fault(stored), "")

    def test_what_was_lost_or_comes_back_is_found(self):
        for known, stored, words in ((point(5, 2), None, "is not there"), (point(5, 2), (1, 4), "is older than"),
                                     (point(5, GONE), (1, 4), "is older than"), (point(5, 2), (1, 5), "was acknowledged as"),
                                     (point(5, 2, [3]), (4, 6), "was never written"), (point(5, GONE), (1, 5), "was acknowledged as")):
            self.assertIn(words, known.fault(stored))


if __name__ == "__main__":
    unittest.main()
