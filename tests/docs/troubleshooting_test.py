#!/usr/bin/env python3
"""The messages that docs/troubleshooting.md quotes are those of the sources."""
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENDINGS = (".cc", ".h", ".py", ".ts", ".go")


def sources():
    """Texts of programs and client libraries, without tests and comments, with literals in several parts made whole."""
    for top in ("src", "sdk"):
        for folder, folders, names in os.walk(os.path.join(ROOT, top)):
            folders[:] = [name for name in folders if name not in ("node_modules", "build", "dist", "tests", "test", "testdata")]
            for name in names:
                if not name.endswith(ENDINGS) or re.search(r"_test\.|\.test\.|^test_", name):
                    continue
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = re.sub(r"^\s*(?://|#(?!include)|/?\*).*$|  (?://|#) .*$", "", file.read(), flags=re.MULTILINE).replace('\\"', "''")
                text = re.sub(r'["`]\s*\+?\s*\n\s*\+?\s*f?["`]', "", text)
                yield re.sub(r"\s+", " ", text.replace("''", '"'))


def quoted():
    """Messages between backticks: the first cells of tables whose first column is `message`, and headings."""
    with open(os.path.join(ROOT, "docs", "troubleshooting.md"), encoding="utf-8") as file:
        in_table = False
        for line in file:
            cells = line.split("|")
            in_table = len(cells) > 2 and (in_table or cells[1].strip() == "message")
            if in_table or line.startswith("## "):
                yield from re.findall(r"`([^`]+)`", cells[1] if in_table else line)


def fixed_words(message):
    """The parts of a message between what differs: "...", and names such as HOST:PORT and N; also cut at punctuation."""
    parts = re.split(r"\.\.\.|\b(?:HOST:PORT|FILE:LINE|N|M)\b|[\"';:,()?]", message)
    return [part for part in (" ".join(part.split()) for part in parts) if part]


class Troubleshooting(unittest.TestCase):
    def test_every_quoted_message_is_in_a_source(self):
        texts = list(sources())
        self.assertGreater(len(texts), 300)
        messages = list(quoted())
        self.assertGreater(len(messages), 15)
        for message in messages:
            words = fixed_words(message)
            self.assertTrue(words, message)
            with self.subTest(message=message):
                self.assertTrue(any(all(part in text for part in words) for text in texts), f"no source says all of {words}")

    def test_rows_of_a_message_quote_one(self):
        with open(os.path.join(ROOT, "docs", "troubleshooting.md"), encoding="utf-8") as file:
            text = file.read()
        for table in re.findall(r"\| message \|.*\n\|-.*\n((?:\|.*\n)+)", text):
            for row in table.splitlines():
                self.assertIn("`", row.split("|")[1], row)


if __name__ == "__main__":
    unittest.main(verbosity=2)
