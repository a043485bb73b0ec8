"""What the logs tell of leaders is read right, and two of one term are found."""
import unittest

from leaders import leaders, rivals


def line(group, replica, term):
    return f"2026-01-02T03:04:05.678Z INFO group {group}: replica {replica} leads in term {term}\n"


class Leaders(unittest.TestCase):
    def test_one_after_the_other_is_fine(self):
        led = leaders([("worker", "worker-1", [line(7, 65537, 2), "shard 7: applying goes on\n", line(7, 65537, 4), line(8, 65538, 3)]),
                       ("worker", "worker-2", [line(7, 131073, 3)]),
                       ("placement", "placement-1", [line(7, 65537, 3)])])
        self.assertEqual(led[("worker", 7, 4)], {"worker-1"})
        self.assertEqual(len(led), 5)
        self.assertEqual(rivals(led), [])

    def test_two_in_one_term_are_found(self):
        led = leaders([("worker", "worker-1", [line(7, 65537, 2)]), ("worker", "worker-2", [line(7, 131073, 1), line(7, 131073, 2)])])
        self.assertEqual(rivals(led), ["group 7 of the workers has worker-1 and worker-2 for leaders in term 2"])

    def test_a_line_that_was_cut_off_says_nothing(self):
        self.assertEqual(leaders([("worker", "worker-1", [line(7, 65537, 12)[:-2]])]), {})


if __name__ == "__main__":
    unittest.main()
