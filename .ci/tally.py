"""Adds up the outcome of the gates and of pytest's reports; prints the one line that says it all.

    tally.py GATES REPORT …

GATES has a line `passed NAME` or `failed NAME` per gate. A report that is missing or unreadable is a failure,
and so is a run that failed without naming a test: ./test writes a gate for that.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def outcomes(report: Path) -> Counter[str]:
    """A test that fails and then fails again in its teardown is one failed test."""
    try:
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    except (OSError, ET.ParseError):
        return Counter(failed=1)
    found: dict[tuple[str, str], str] = {}
    for case in cases:
        name = (case.get("classname", ""), case.get("name", ""))
        if found.get(name) != "failed":
            found[name] = _outcome(case)
    return Counter(found.values())


def _outcome(case: ET.Element) -> str:
    children = {child.tag for child in case}
    if children & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in children else "passed"


def main(gates: str, *reports: str) -> int:
    """Print the line; 1 if anything failed."""
    lines = Path(gates).read_text().splitlines()
    total = sum((outcomes(Path(report)) for report in reports), Counter(line.split()[0] for line in lines))
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")  # noqa: T201 - what it is for
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
