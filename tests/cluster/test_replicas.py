"""What tells replicas apart is found: points that one lacks, and older or other writes of them."""
import unittest

from replicas import differences


class Differences(unittest.TestCase):
    def test_equal_replicas_have_none(self):
        self.assertEqual(differences({"a": (1, 5), "b": (2, 6)}, {"b": (2, 6), "a": (1, 5)}), [])
        self.assertEqual(differences({}, {}), [])

    def test_every_kind_is_found(self):
        self.assertEqual(differences({"a": (1, 5), "b": (2, 6), "c": (3, 7)}, {"a": (1, 4), "b": (4, 6), "d": (3, 7)}),
                         ["a: (1, 5) and (1, 4)", "b: (2, 6) and (4, 6)", "c: (3, 7) and None", "d: None and (3, 7)"])


if __name__ == "__main__":
    unittest.main()
