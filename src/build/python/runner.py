# Runs the tests of a python_test with unittest and writes a JUnit report to $RESULTS_FILE. `main` is called with the names of the
# test modules.

import importlib
import time
import traceback
import unittest
from xml.sax.saxutils import escape, quoteattr


class Result(unittest.TextTestResult):
    """Keeps each test's outcome and time. What subtests report counts for their test."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = []
        self._started = 0.0
        self._failed = []

    def startTest(self, test):
        self._started = time.perf_counter()
        self._failed = []
        self._skipped = None
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.perf_counter() - self._started
        self.cases.append((test, seconds, self._failed, self._skipped))

    def _fail(self, test, text):
        # Errors of setUpClass and of whole modules come without startTest.
        if isinstance(test, unittest.TestCase):
            self._failed.append(text)
        else:
            self.cases.append((test, 0.0, [text], None))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, "".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, "".join(traceback.format_exception(*err)))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, f"{subtest}\n" + "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self._skipped = reason
        else:
            self.cases.append((test, 0.0, [], reason))

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._fail(test, "it was expected to fail, and passed")


def clean(text):
    """Leaves out what XML 1.0 can't hold."""
    return "".join(c if c in "\t\n" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE or ord(c) > 0xFFFF else "\ufffd" for c in text)


def write_report(path, cases):
    with open(path, "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name="unittest">\n')
        for test, seconds, failed, skipped in cases:
            name = getattr(test, "_testMethodName", str(test))
            group = f"{type(test).__module__}.{type(test).__qualname__}" if isinstance(test, unittest.TestCase) else "module"
            out.write(f"<testcase name={quoteattr(clean(name))} classname={quoteattr(clean(group))} time=\"{seconds:.4f}\">")
            for text in failed[:1]:
                out.write(f"<failure>{escape(clean(''.join(failed)))}</failure>")
            if skipped is not None:
                out.write(f"<skipped message={quoteattr(clean(str(skipped)))}/>")
            out.write("</testcase>\n")
        out.write("</testsuite>\n</testsuites>\n")


def main(names):
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for name in names:
        suite.addTests(loader.loadTestsFromModule(importlib.import_module(name)))
    if suite.countTestCases() == 0:
        print("no test found: write classes that derive from unittest.TestCase", file=sys.stderr)
        sys.exit(1)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result).run(suite)
    write_report(os.environ["RESULTS_FILE"], result.cases)
    sys.exit(0 if result.wasSuccessful() else 1)


