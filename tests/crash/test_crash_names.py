"""Every crash point of the sources is crashed at by a test."""

import os
import re
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POINT = re.compile(r'CrashPoint\("([^"]+)"\)')


def texts(folder, wanted):
    for path, _, names in os.walk(os.path.join(SOURCE, folder)):
        for name in names:
            if wanted(name):
                with open(os.path.join(path, name), encoding="utf-8") as file:
                    yield file.read()


class CrashNames(unittest.TestCase):
    def test_every_crash_point_is_crashed_at(self):
        points = {point for text in texts("src", lambda name: name.endswith(".cc") and not name.endswith("_test.cc"))
                  for point in POINT.findall(text)}
        self.assertGreater(len(points), 25)
        crashed_at = set()
        for text in texts("src", lambda name: name.endswith("_test.cc")):
            if "RunToCrashPoint(" in text:
                crashed_at.update(re.findall(r'"([^"\n]+)"', text))
        for text in texts("tests/crash", lambda name: name == "test_crash_points.py"):
            crashed_at.update(re.findall(r'"([^"\n]+)"', text))
        self.assertEqual(sorted(points - crashed_at), [], "no test ends the program there")


if __name__ == "__main__":
    unittest.main()
