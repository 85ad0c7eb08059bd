"""A comment that names the test which proves it is believed: there has to be such a test."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A name that is cut short ends with dots.
NAMED = re.compile(r"\btests/[\w/]+\.py|\btest_\w+(?:\.py)?…?")


def test_every_test_that_is_named_exists() -> None:
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.*")]
    sources += [file for file in (ROOT / "src").rglob("*") if file.suffix in {".py", ".sql"}]
    files = {file.relative_to(ROOT).as_posix(): file.read_text() for file in (ROOT / "tests").rglob("*.py")}
    known = {name for text in files.values() for name in re.findall(r"def (test_\w+)", text)}
    known |= {*files, *(name.rsplit("/", 1)[-1] for name in files), *(Path(name).stem for name in files)}
    missing = [
        f"{source.relative_to(ROOT)}: {name}"
        for source in sources
        for name in NAMED.findall(source.read_text())
        if name not in known and not (name.endswith("…") and any(one.startswith(name[:-1]) for one in known))
    ]
    assert missing == []
