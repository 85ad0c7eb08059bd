"""Statements as PDF, set by typst in a process of its own, one at a time.

A process, because the typesetter's memory grows with every document (2,000 lines: 0.8 GB after eight of
them, in one process) and because a thread cannot be stopped: this one is, after `LONGEST_S`. The wheel
carries its fonts; those of the machine are used for scripts that they lack.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from nostro.domain.errors import NostroError, Overloaded
from nostro.domain.ids import show_id
from nostro.domain.transaction import Direction
from nostro.ledger.statement_csv import fixed
from nostro.ledger.statements import Statement
from nostro.store.history import EntryRow

log = structlog.get_logger(__name__)

LONGEST_S = 20.0
MOST_WAITING = 8
_PROGRAM = Path(__file__).with_name("typeset.py")


@dataclass
class Typesetter:
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    async def pdf_of(self, statement: Statement, lines: Sequence[EntryRow]) -> bytes:
        """Raises `Overloaded` when too many wait, or the machine takes too long."""
        if self._waiting >= MOST_WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await _typeset(json.dumps(_document(statement, lines)).encode())
        finally:
            self._waiting -= 1


async def _typeset(data: bytes) -> bytes:
    # -P: the modules beside the program must not stand in for the standard library's.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(_PROGRAM)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            pdf, complaint = await process.communicate(data)
    except TimeoutError:
        raise Overloaded from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        # What it complains of may quote the statement, so only its size is told.
        log.error("typesetting_failed", status=process.returncode, size=len(complaint))
        raise NostroError
    return pdf


def _document(statement: Statement, lines: Sequence[EntryRow]) -> dict[str, object]:
    span, exponent = statement.span, statement.span.currency.exponent
    credits_, debits = (
        sum(line.amount for line in lines if line.direction is direction)
        for direction in (Direction.CREDIT, Direction.DEBIT)
    )
    last = statement.period.until - timedelta(microseconds=1)
    return {
        "title": "Account statement",
        "account": show_id(span.account),
        "facts": [
            ["Account", " · ".join(filter(None, (show_id(span.account), span.name)))],
            ["Owner", span.owner_name],
            ["Period", f"{_minute(statement.period.since, statement)} – {_minute(last, statement)}"],
            ["Time zone", statement.zone.key],
            ["Currency", span.currency.code],
            ["Opening balance", grouped(statement.opening, exponent)],
            ["Received", grouped(credits_, exponent)],
            ["Paid", grouped(debits, exponent)],
            ["Closing balance", grouped(statement.closing, exponent)],
        ],
        "columns": ["Recorded", "What", "Paid", "Received", "Balance"],
        "rows": [
            ["", "Opening balance", "", "", grouped(statement.opening, exponent)],
            *(_row(statement, line) for line in lines),
            ["", "Closing balance", "", "", grouped(statement.closing, exponent)],
        ],
    }


def _row(statement: Statement, line: EntryRow) -> list[str]:
    exponent = statement.span.currency.exponent
    amount, debit = grouped(line.amount, exponent), line.direction is Direction.DEBIT
    late = f"of {_minute(line.effective_at, statement)}" if line.effective_at else None
    what = (line.counterparty_name, line.kind.value, line.description, line.reference, late)
    return [
        _minute(line.created_at, statement),
        " · ".join(filter(None, what)),
        amount if debit else "",
        "" if debit else amount,
        grouped(line.balance_after, exponent),
    ]


def _minute(when: datetime, statement: Statement) -> str:
    return when.astimezone(statement.zone).strftime("%Y-%m-%d %H:%M")


def grouped(minor: int, exponent: int) -> str:
    """For people: 1,234,567.50."""
    whole, point, places = fixed(minor, exponent).partition(".")
    return f"{int(whole):,}{point}{places}" if whole != "-0" else f"-0{point}{places}"
