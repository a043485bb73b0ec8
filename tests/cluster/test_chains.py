"""The walk along a linked list finds every node that is missing or names another one."""
import unittest

from chains import START, dangling, walk_faults

NODES = ["a", "b", "d"]  # nothing is known of c
WHOLE = {"a": START, "b": "a", "c": "b", "d": "b"}


class Walks(unittest.TestCase):
    def test_a_whole_list_is_walked(self):
        self.assertEqual(walk_faults(NODES, WHOLE), [])
        self.assertEqual(walk_faults([], {}), [])
        self.assertEqual(dangling(WHOLE), [])

    def test_a_lost_node_is_found(self):
        for node in NODES:
            stored = {name: before for name, before in WHOLE.items() if name != node}
            self.assertIn(f"{node}, node {NODES.index(node) + 1} of 3, is not there", walk_faults(NODES, stored))

    def test_a_node_that_names_another_is_found(self):
        for node, wrong in (("a", "b"), ("b", START), ("d", "c")):
            self.assertIn(f"{node}, node {NODES.index(node) + 1} of 3, names '{wrong}'", walk_faults(NODES, {**WHOLE, node: wrong})[0])

    def test_what_nobody_acknowledged_names_what_is_there_too(self):
        self.assertEqual(dangling({"a": START, "c": "b"}), ["c names 'b', which is not there"])


if __name__ == "__main__":
    unittest.main()
