"""Run as a process of its own: a statement's data in, a PDF out. Knows nothing of the ledger
(typesetting.py)."""

import sys
from pathlib import Path

import typst

if __name__ == "__main__":
    sys.stdout.buffer.write(
        typst.compile(
            Path(__file__).with_name("statement.typ").read_bytes(),
            format="pdf",
            sys_inputs={"statement": sys.stdin.buffer.read().decode()},
        )
    )
