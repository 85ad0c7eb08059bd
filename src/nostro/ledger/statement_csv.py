"""A statement as CSV (RFC 4180): one header, the opening balance, the lines, the closing balance.

Amounts have a decimal point and the places of the currency; times are those of the statement's time zone, with
their offset. Cells that people wrote never begin as a formula does: a spreadsheet would carry it out.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from nostro.domain.ids import show_id
from nostro.domain.transaction import Direction
from nostro.ledger.statements import Statement
from nostro.store.history import EntryRow

COLUMNS = (
    *(
        "line",
        "recorded",
        "happened",
        "kind",
        "description",
        "reference",
        "counterparty",
        "counterparty_account",
    ),
    *("debit", "credit", "balance", "currency", "transaction"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def fixed(minor: int, exponent: int) -> str:
    """Major units with all their places: 1050 with 2 places is 10.50."""
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"


def harmless(text: str | None) -> str:
    """With an apostrophe in front where a spreadsheet would take it for a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


async def csv_of(statement: Statement, pieces: AsyncIterator[list[EntryRow]]) -> AsyncIterator[str]:
    """In pieces, as the lines come."""
    yield _written([COLUMNS, _edge(statement, "OPENING_BALANCE", statement.period.since, statement.opening)])
    async for piece in pieces:
        yield _written([_row(statement, line) for line in piece])
    yield _written([_edge(statement, "CLOSING_BALANCE", statement.period.until, statement.closing)])


def _edge(statement: Statement, kind: str, when: datetime, balance: int) -> tuple[str, ...]:
    currency = statement.span.currency
    moment = _local(when, statement)
    return ("", moment, moment, kind, *[""] * 6, fixed(balance, currency.exponent), currency.code, "")


def _row(statement: Statement, line: EntryRow) -> tuple[str, ...]:
    currency = statement.span.currency
    amount = fixed(line.amount, currency.exponent)
    debit = line.direction is Direction.DEBIT
    return (
        str(line.seq),
        _local(line.created_at, statement),
        _local(line.effective_at or line.created_at, statement),
        line.kind.value,
        harmless(line.description),
        harmless(line.reference),
        harmless(line.counterparty_name),
        show_id(line.counterparty),
        amount if debit else "",
        "" if debit else amount,
        fixed(line.balance_after, currency.exponent),
        currency.code,
        show_id(line.transaction),
    )


def _local(when: datetime, statement: Statement) -> str:
    return when.astimezone(statement.zone).isoformat(timespec="milliseconds")


def _written(rows: Iterable[tuple[str, ...]]) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerows(rows)
    return sink.getvalue()
