"""The checker finds what it should, and nothing else."""
import contextlib
import io
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

from history import kept
from register_check import Op, Violation, check, load, save


def write(value, version, begin, end):
    return Op("write", begin, end, value, version)


def read(value, version, begin, end):
    return Op("read", begin, end, value, version)


def delete(version, begin, end):
    return Op("delete", begin, end, None, version)


class RegisterCheck(unittest.TestCase):
    def assertBad(self, *history):
        with self.assertRaises(Violation):
            check(list(history))

    def test_accepts_overlapping_operations_in_any_order(self):
        check([write(1, 5, 0, 10), write(2, 4, 1, 9), read(2, 4, 2, 3), read(1, 5, 4, 5)])

    def test_finds_a_stale_read(self):
        self.assertBad(write(1, 1, 0, 1), write(2, 2, 2, 3), read(1, 1, 4, 5))

    def test_finds_reads_that_go_back(self):
        self.assertBad(write(1, 1, 0, 1), write(2, 2, 2, 9), read(2, 2, 3, 4), read(1, 1, 5, 6))

    def test_searches_count_as_reads_though_they_tell_no_version(self):
        check([write(1, 1, 0, 1), read(1, None, 2, 3), write(2, 2, 4, 5), read(2, None, 6, 7)])
        check([write(1, None, 0, None), read(1, None, 2, 3)])  # nobody knows the version
        self.assertBad(write(1, 1, 0, 1), write(2, 2, 2, 3), read(1, None, 4, 5))
        self.assertBad(write(1, 1, 0, 1), delete(2, 2, 3), read(1, None, 4, 5))
        self.assertBad(write(1, 1, 0, 1), read(9, None, 2, 3))

    def test_finds_a_lost_write(self):
        self.assertBad(write(1, 1, 0, 1), read(None, None, 2, 3))

    def test_finds_a_resurrected_delete(self):
        self.assertBad(write(1, 1, 0, 1), delete(2, 2, 3), read(1, 1, 4, 5))

    def test_accepts_absence_before_the_first_write_and_after_a_delete(self):
        check([read(None, None, 0, 1), write(1, 1, 2, 3), delete(2, 4, 5), read(None, None, 6, 7)])

    def test_finds_a_write_that_was_overtaken(self):
        self.assertBad(write(1, 2, 0, 1), write(2, 1, 2, 3))

    def test_counts_a_write_without_an_answer_once_it_was_seen(self):
        check([write(1, None, 0, None), read(1, 3, 5, 6)])
        self.assertBad(write(1, None, 0, None), write(2, 2, 1, 2), read(1, 3, 5, 6), read(2, 2, 7, 8))
        check([write(1, None, 0, None), write(2, 2, 1, 2), read(2, 2, 3, 4)])

    def test_finds_values_from_nowhere_and_from_the_future(self):
        self.assertBad(read(7, 1, 0, 1))
        self.assertBad(read(1, 1, 0, 1), write(1, 1, 2, 3))

    def test_finds_a_write_applied_twice(self):
        self.assertBad(write(1, 1, 0, 1), read(1, 1, 2, 3), read(1, 4, 5, 6))

    def test_lets_an_unsure_delete_explain_an_absence(self):
        check([write(1, 1, 0, 1), delete(None, 2, None), read(None, None, 3, 4)])

    def test_accepts_every_real_history_and_finds_planted_stale_reads(self):
        seed = random.SystemRandom().randrange(1 << 32)
        rng = random.Random(seed)
        found = planted = 0
        for _ in range(300):
            history, state, version, clock = [], (None, None), 0, 0.0
            past = []
            for value in range(1, 30):
                begin = clock
                clock += rng.random()
                kind = rng.choice(["write", "read", "read", "delete"])
                version += 1
                if kind == "write":
                    state = (value, version)
                    history.append(write(value, version, begin - rng.random(), clock + rng.random()))
                elif kind == "delete":
                    state = (None, None)
                    history.append(delete(version, begin - rng.random(), clock + rng.random()))
                else:
                    history.append(read(*state, begin - rng.random(), clock + rng.random()))
                past.append((state, clock))
            check([Op(**vars(op)) for op in history])
            old = [state for state, when in past if state[0] is not None and when < clock - 8]
            later = [op for op in history if op.kind == "write" and op.end < clock - 1]
            if old and later and max(op.version for op in later) > old[0][1]:
                planted += 1
                try:
                    check(history + [read(*old[0], clock + 3, clock + 4)])
                except Violation:
                    found += 1
        self.assertEqual(found, planted, f"seed {seed}")
        self.assertGreater(planted, 100)


class SavedHistories(unittest.TestCase):
    GOOD = {"a": [write(1, 1, 0.1, 0.2), write(2, None, 0.3, None), read(2, 2, 0.4, 0.7)],
            "b": [delete(3, 1 / 3, 2 / 3), read(None, None, 0.8, 0.9)]}
    LOST = {**GOOD, "c": [write(7, 1, 0, 1), read(None, None, 2, 3)]}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "history.json")

    def run_program(self, path):
        """Its exit code and what it prints."""
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "register_check.py")
        done = subprocess.run([sys.executable, "-B", program, path], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_what_was_saved_is_read_again(self):
        save(self.path, self.GOOD, {"seed": 5})
        self.assertEqual(load(self.path), (self.GOOD, {"seed": 5}))

    def test_the_program_tells_good_from_bad(self):
        save(self.path, self.GOOD, {"seed": 5})
        code, said = self.run_program(self.path)
        self.assertEqual(code, 0, said)
        self.assertIn("5 operations on 2 points, 0 violations; {'seed': 5}", said)
        save(self.path, self.LOST, {})
        code, said = self.run_program(self.path)
        self.assertEqual(code, 1, said)
        self.assertRegex(said, "^point c: read .* found nothing after write value 7")

    def test_what_is_no_history_is_not_called_good(self):
        for text in ("", "{}", "[]", '{"about": {}, "points": {"a": [{"kind": "guess", "begin": 0, "end": 1}]}}'):
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual(self.run_program(self.path)[0], 2, text)
        self.assertEqual(self.run_program(self.path + ".not-there")[0], 2)

    def test_a_failed_test_keeps_its_history(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), self.assertRaisesRegex(AssertionError, "planted"):
            with kept(lambda: self.LOST, {"seed": 5}):
                raise AssertionError("planted")
        path = re.search(r"register_check\.py (\S+)", said.getvalue())[1]
        self.addCleanup(os.remove, path)
        self.assertEqual(load(path), (self.LOST, {"seed": 5}))


if __name__ == "__main__":
    unittest.main()
