"""Reading a standing order from a body: what is due when, how often, and what happens for lack of money."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from nostro.api.bodies import Fields, amount_of, key_of, parse_fields, string_of, text_of, whole_number_of
from nostro.api.details import description_of
from nostro.api.sent import require_money_fields
from nostro.domain.errors import InvalidField
from nostro.domain.ids import parse_id
from nostro.domain.standing_order import (
    LONGEST_RETRY_MINUTES,
    MOST_ATTEMPTS,
    MOST_TIMES,
    CatchUp,
    Retry,
)
from nostro.ledger.schedules import (
    END_OF_TIME,
    LONGEST_STEP_DAYS,
    LONGEST_STEP_MONTHS,
    valid_cron,
    valid_zone,
)
from nostro.ledger.standing_orders import Changes, Kept, OrderTerms

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_SCHEDULES = ("at", "cron", "everyDays", "everyMonths")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)

Choice = TypeVar("Choice", bound=Enum)


def order_of(fields: Fields, header_keys: Sequence[str], *, dry_run: bool) -> OrderTerms:
    """Raises the first refusal of errors.PRECEDENCE that the request deserves. A dry run needs no key."""
    keys = header_keys if not dry_run else ["dry-run"]
    require_money_fields(fields, keys, "fromAccount", "toAccount")
    given = [name for name in _SCHEDULES if not _is_absent(fields, name)]
    if len(given) != 1:
        raise InvalidField("at", "or one of cron, everyDays and everyMonths must be given, and no second one")
    at, cron = moment_of(fields, "at"), string_of(fields, "cron")
    starts = moment_of(fields, "startsAt")
    if at is not None and starts is not None:
        raise InvalidField("startsAt", "is not for an order that is due once")
    day = whole_number_of(fields, "dayOfMonth", 1, 31)
    if day is not None and given != ["everyMonths"]:
        raise InvalidField("dayOfMonth", "is for everyMonths")
    return OrderTerms(
        from_account=parse_id(string_of(fields, "fromAccount"), "fromAccount"),
        to_account=parse_id(string_of(fields, "toAccount"), "toAccount"),
        amount=amount_of(fields),
        key="" if dry_run else key_of(fields, header_keys),
        at=at,
        cron=valid_cron(text_of(fields, "cron")) if cron is not None else None,
        every_days=whole_number_of(fields, "everyDays", 1, LONGEST_STEP_DAYS),
        every_months=whole_number_of(fields, "everyMonths", 1, LONGEST_STEP_MONTHS),
        day_of_month=day,
        zone=_zone(fields),
        starts=starts,
        ends=moment_of(fields, "endsAt"),
        times=whole_number_of(fields, "times", 1, MOST_TIMES),
        retry=retry_of(fields, Retry()) or Retry(),
        catch_up=choice_of(fields, "catchUp", CatchUp) or CatchUp.ALL,
        description=description_of(fields),
    )


def changes_of(fields: Fields) -> Changes:
    """What is absent stays; null takes away an end. Raises `InvalidField`, `InvalidAmount`."""
    return Changes(
        amount=None if _is_absent(fields, "amount") else amount_of(fields),
        ends=moment_of(fields, "endsAt") if "endsAt" in fields else Kept.KEPT,
        times=whole_number_of(fields, "times", 1, MOST_TIMES) if "times" in fields else Kept.KEPT,
        retry=retry_of(fields, None),
        catch_up=choice_of(fields, "catchUp", CatchUp),
    )


def _is_absent(fields: Fields, name: str) -> bool:
    return bytes(fields.get(name, b"null")) == b"null"


def _zone(fields: Fields) -> str:
    return "UTC" if _is_absent(fields, "timeZone") else valid_zone(text_of(fields, "timeZone"))


def moment_of(fields: Fields, name: str) -> datetime | None:
    """A date and time with its distance from UTC, from 2000 to 2199; None when absent or null."""
    text = string_of(fields, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) and _MOMENT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or not EARLIEST <= moment < END_OF_TIME:
        raise InvalidField(name, "must be a date and time from 2000 to 2199, such as 2026-12-01T09:00:00+01:00")
    return moment.astimezone(UTC)


def retry_of(fields: Fields, otherwise: Retry | None) -> Retry | None:
    """`retry`, what it leaves out as `Retry` has it; `otherwise` when absent or null."""
    if _is_absent(fields, "retry"):
        return otherwise
    raw = bytes(fields["retry"])
    if raw[:1] != b"{":
        raise InvalidField("retry", "must be an object with maxAttempts and intervalMinutes")
    said, usual = parse_fields(raw), Retry()
    attempts = whole_number_of(said, "maxAttempts", 1, MOST_ATTEMPTS)
    minutes = whole_number_of(said, "intervalMinutes", 1, LONGEST_RETRY_MINUTES)
    return Retry(attempts or usual.attempts, minutes or usual.minutes)


def choice_of(fields: Fields, name: str, choices: type[Choice]) -> Choice | None:
    """One of an enumeration's values, in any case; None when absent or null."""
    text = string_of(fields, name)
    if text is None:
        return None
    return choice(text, name, choices)


def choice(text: object, name: str, choices: type[Choice]) -> Choice:
    """`InvalidField` naming `name` for anything but a value of `choices`, in any case."""
    try:
        return choices(text.upper() if isinstance(text, str) else None)
    except ValueError:
        known = ", ".join(str(one.value) for one in choices)
        raise InvalidField(name, f"must be one of {known}") from None
