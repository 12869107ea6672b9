"""Where tests must tell (`CI` is set), a test that is skipped fails, but for reasons that no machine can be blamed for."""

import os
from collections.abc import Iterator

import pytest

ELSEWHERE = "made elsewhere"
"""How a test begins its reason if what it compares with was made with other versions or on another platform; it says which."""

ALLOWED = (
    ELSEWHERE,
    "root may read all",
    "needs an accelerator",
    "the UD English PUD file is not beside this checkout",
    "the transliteration model is not on this machine",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        if not reason.startswith(ALLOWED):
            report.outcome, report.longrepr = "failed", f"skipped where it must run: {reason}"
    return report
