"""docs/python.md does what it says: its commands and its programs, one after the other, and what they print."""
import contextlib
import io
import os
import re
import shlex
import subprocess
import tempfile
import unittest

import artifacts

DOCUMENT = os.path.join(artifacts.TESTS, "..", "docs", "python.md")
INSTALLS = ["pip install ."]  # scripts/install-python.sh does, before any test


class Document(unittest.TestCase):
    def test_what_it_shows(self):
        with open(DOCUMENT) as f:
            blocks = re.findall(r"^```(\w*)\n(.*?)^```$", f.read(), re.M | re.S)
        self.assertEqual({kind for kind, _ in blocks}, {"sh", "python", "text"})
        names, printed, back = {"__name__": "document"}, "", os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(f"{folder}/build")
            os.symlink(artifacts.tools(), f"{folder}/build/bin")
            os.symlink(artifacts.TESTS, f"{folder}/test")
            os.symlink(os.path.join(artifacts.TESTS, "..", "examples"), f"{folder}/examples")
            self.addCleanup(os.chdir, back)
            os.chdir(folder)
            for kind, text in blocks:
                if kind == "python":
                    self.assertEqual(printed, "")
                    with contextlib.redirect_stdout(io.StringIO()) as out:
                        exec(compile(text, DOCUMENT, "exec"), names)
                    printed = out.getvalue()
                elif kind == "text":
                    self.assertEqual(printed, text)
                    printed = ""
                elif text.strip() not in INSTALLS:
                    for line in text.splitlines():
                        subprocess.run(shlex.split(line), check=True, capture_output=True)
            self.assertEqual(printed, "")
            os.chdir(back)


if __name__ == "__main__":
    unittest.main()
