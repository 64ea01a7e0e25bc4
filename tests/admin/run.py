"""Runs the tests in `cases/` in this process, under `core.admin_settings`.

Arguments are names of modules there; without them all are run. The last line of stdout is JSON: what came of each test,
which is nothing or a traceback.
"""

from __future__ import annotations

import json
import sys
import unittest
from typing import Any

import django
from django.test.runner import DiscoverRunner

CASES = ("permissions", "way", "jobs", "security", "rejects")


class Outcomes(unittest.TextTestResult):
    """What came of the tests, by name. A name is that of the module, the class and the method."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.by_name: dict[str, str] = {}

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Note what came of a test that has ended, with its subtests."""
        faults = [text for each, text in (*self.errors, *self.failures) if each.id().partition(" ")[0] == test.id()]
        self.by_name[test.id().removeprefix("tests.admin.cases.")] = "\n".join(faults)
        super().stopTest(test)


class Runner(DiscoverRunner):
    """Django's runner, which prints the outcomes."""

    def get_resultclass(self) -> Any:
        """Return the class that notes what comes of tests."""
        return Outcomes

    def suite_result(self, suite: Any, result: Any, **_: Any) -> int:
        """Print what came of each test, and return how many failed."""
        print(json.dumps(result.by_name))  # noqa: T201
        return super().suite_result(suite, result)


if __name__ == "__main__":
    django.setup()
    Runner(interactive=False, verbosity=0).run_tests([f"tests.admin.cases.{name}" for name in sys.argv[1:] or CASES])
