#!/usr/bin/env python3
"""Shows that each rule of tidy.py finds its fault, and that clean code has none."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402


def faults_of(path, text, check=tidy.check_code):
    tidy.faults.clear()
    check(path, text)
    return list(tidy.faults)


class TidyRules(unittest.TestCase):
    def test_clean_code_has_no_fault(self):
        self.assertEqual(faults_of("src/index/a.cc", '#include "base/check.h"\nvoid F() {\n  G();\n}\n'), [])

    def test_an_include_upward_is_found(self):
        found = faults_of("src/base/a.cc", '#include "shard/shard.h"\n')
        self.assertIn("src/base/a.cc:1: base must not include shard (arrows point down)", found)

    def test_floor_one_folders_do_not_include_each_other(self):
        self.assertTrue(faults_of("src/index/a.cc", '#include "storage/kv.h"\n'))

    def test_services_do_not_include_each_other(self):
        self.assertTrue(faults_of("src/services/gateway/a.cc", '#include "services/worker/worker.h"\n'))

    def test_a_long_function_is_found_at_its_first_line(self):
        body = "  G();\n" * 80
        found = faults_of("src/index/a.cc", f"namespace x {{\nvoid F() {{\n{body}}}\n}}\n")
        self.assertEqual(len(found), 1)
        self.assertIn("src/index/a.cc:2: function of 81 lines", found[0])

    def test_braces_in_strings_and_comments_do_not_count(self):
        body = '  G("{", \'{\');  // {\n' * 60
        self.assertEqual(faults_of("src/index/a.cc", f"void F() {{\n{body}}}\nvoid H() {{\n{body}}}\n"), [])

    def test_banned_calls_are_found_in_code_only(self):
        self.assertTrue(faults_of("src/index/a.cc", "std::thread t;\n"))
        self.assertEqual(faults_of("src/index/a.cc", "// std::thread is not used here\n"), [])
        self.assertTrue(faults_of("src/shard/a.cc", "auto t = std::chrono::steady_clock::now();\n"))

    def test_a_broken_link_is_found(self):
        self.assertTrue(faults_of("docs/a.md", "[x](no/such/file.md)\n", tidy.check_documents))
        self.assertEqual(faults_of("docs/a.md", "[x](https://example.org)\n", tidy.check_documents), [])

    def test_a_source_that_is_not_built_is_found(self):
        def unbuilt(texts):
            tidy.faults.clear()
            tidy.check_unbuilt_sources(texts)
            return list(tidy.faults)
        self.assertEqual(unbuilt({"bench/x/a.cc": "", "bench/x/CMakeLists.txt": "add_executable(b b.cc)"}),
                         ["bench/x/a.cc:1: no CMakeLists.txt and no script beside it builds this file"])
        self.assertEqual(unbuilt({"bench/x/a.cc": "", "bench/x/CMakeLists.txt": "add_executable(a a.cc)"}), [])
        self.assertEqual(unbuilt({"src/x/y/a.cc": "", "src/x/CMakeLists.txt": "vectron_library(x SUBDIRS y)"}), [])

    def test_a_script_that_nothing_names_is_found(self):
        def dead(texts):
            tidy.faults.clear()
            tidy.check_dead_scripts(texts)
            return list(tidy.faults)
        self.assertEqual(dead({"tools/a.py": "a.py", "dev": ""}), ["tools/a.py:1: nothing names this script"])
        self.assertEqual(dead({"tools/a.py": "", "dev": "python3 tools/a.py"}), [])
        self.assertEqual(dead({"tests/x/test_a.py": "", "tests/x/b_test.py": ""}), [])

    def test_the_tree_has_files_to_check(self):
        self.assertGreater(len(tidy.tracked()), 50)


if __name__ == "__main__":
    unittest.main()
