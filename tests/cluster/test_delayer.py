"""What comes late comes late, whole, and where it belongs."""
import random
import unittest

from delayer import HARDWARE, SECONDS, Late, hardware, redirected

HEADER = bytes(range(10))


def packet(target, kind="0800"):
    """For 10.77.0.9, with a header before it."""
    return HEADER + target + hardware(3) + bytes.fromhex(kind) + bytes(16) + bytes((10, 77, 0, 9)) + b"what it says"


class Delayer(unittest.TestCase):
    def test_nothing_is_due_before_the_shortest_delay_and_all_after_the_longest(self):
        late = Late(random.Random(1))
        sent = [b"%d" % number for number in range(100)]
        for number, each in enumerate(sent):
            late.hold(each, number)
            self.assertLessEqual(late.wait(number), SECONDS[1])
            self.assertEqual(list(late.due(number + SECONDS[0] * 0.99)), [])
            self.assertEqual(list(late.due(number + SECONDS[1])), [each])
        self.assertIsNone(late.wait(1_000))
        self.assertEqual(late.count, len(sent))

    def test_some_overtake_others(self):
        late = Late(random.Random(1))
        sent = [b"%d" % number for number in range(100)]
        for each in sent:
            late.hold(each, 0)
        came = list(late.due(SECONDS[1]))
        self.assertNotEqual(came, sent)
        self.assertEqual(sorted(came), sorted(sent))

    def test_a_frame_goes_to_the_node_that_its_address_names(self):
        there = redirected(packet(HARDWARE))
        self.assertEqual(there[:10], HEADER)
        self.assertEqual(there[10:22], hardware(9) + HARDWARE)
        self.assertEqual(there[22:], packet(HARDWARE)[22:])

    def test_what_was_not_sent_here_stays_where_it_is(self):
        self.assertIsNone(redirected(packet(b"\xff" * 6)))
        self.assertIsNone(redirected(packet(HARDWARE, kind="0806")))
        self.assertIsNone(redirected(b""))


if __name__ == "__main__":
    unittest.main()
