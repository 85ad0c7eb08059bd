"""What a transfer may say beyond accounts, amount and key: hold, legs, split, conditions, time, notes.

A body that says none of it has the terms `PLAIN`. Everything here is judged by its form alone; what it means
for the accounts is decided under their lock (domain/posting.py).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import msgspec

from nostro.api.bodies import Fields, amount_of, number_text_of, parse_fields, require, string_of, whole
from nostro.api.details import description_of, metadata_of, reference_of
from nostro.domain.errors import InvalidField, MalformedJson
from nostro.domain.ids import ObjectId, parse_id
from nostro.domain.money import parse_rate
from nostro.domain.requests import LONGEST_HOLD_S, MOST_LEGS, PLAIN, Condition, LegWish, Part, Terms
from nostro.domain.transaction import NO_NOTES, Notes, Operation

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

_SAID = frozenset(
    {"hold", "expiresIn", "legs", "to", "effectiveAt", "restate", "ifBalance", "ifVersion", "rate"}
    | {"description", "reference", "metadata"}
)
_SIGNED = re.compile(rb"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,12})?")
_SHARE = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.([0-9]{1,6}))?%", re.ASCII)
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def terms_of(fields: Fields) -> Terms:
    """Raises `InvalidField`, `MissingField`, `InvalidId`, `InvalidAmount`."""
    if fields.keys().isdisjoint(_SAID):
        return PLAIN
    hold, legs, split = flag_of(fields, "hold"), legs_of(fields), split_of(fields)
    expires_in_s = seconds_of(fields, "expiresIn") if "expiresIn" in fields else None
    effective_at = moment_of(fields, "effectiveAt")
    if legs and split:
        raise InvalidField("to", "cannot stand beside legs")
    if hold and (legs or split or effective_at):
        raise InvalidField("hold", "is for one leg, and begins when it is made")
    if expires_in_s is not None and not hold:
        raise InvalidField("expiresIn", "is for a hold")
    terms = Terms(
        hold=hold,
        expires_in_s=expires_in_s,
        legs=legs,
        split=split,
        conditions=(*_balance_conditions(fields), *_version_conditions(fields)),
        effective_at=effective_at,
        restate=flag_of(fields, "restate"),
        expected_rate=_rate_of(fields),
        notes=notes_of(fields),
    )
    return PLAIN if terms == PLAIN else terms


def refuse_terms(terms: Terms, operation: Operation) -> None:
    """`InvalidField` for what makes no sense in this operation."""
    if operation is Operation.TRANSFER:
        senseless = {"rate": terms.expected_rate is not None}
    else:
        senseless = {"hold": terms.hold, "legs": bool(terms.legs), "to": bool(terms.split)}
        senseless["rate"] = terms.expected_rate is not None and operation is Operation.INITIAL_FUNDS
    for name, is_said in senseless.items():
        if is_said:
            raise InvalidField(name, "has no meaning here")


def notes_of(fields: Fields) -> Notes:
    notes = Notes(description_of(fields), reference_of(fields), metadata_of(fields))
    return NO_NOTES if notes == NO_NOTES else notes


def flag_of(fields: Fields, name: str) -> bool:
    raw = bytes(fields.get(name, b"false"))
    if raw not in {b"true", b"false", b"null"}:
        raise InvalidField(name, "must be true or false")
    return raw == b"true"


def seconds_of(fields: Fields, name: str) -> int:
    seconds = whole(bytes(fields.get(name, b"")))
    if seconds is None or not 1 <= seconds <= LONGEST_HOLD_S:
        raise InvalidField(name, f"must be a whole number of seconds from 1 to {LONGEST_HOLD_S}")
    return seconds


def moment_of(fields: Fields, name: str) -> datetime | None:
    """An ISO 8601 date and time with its offset, in UTC."""
    text = string_of(fields, name)
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text) if isinstance(text, str) and len(text) <= 40 else None
        when = when.astimezone(UTC) if when is not None and when.tzinfo is not None else None
    except (ValueError, OverflowError):
        when = None
    if when is None or when < EARLIEST:
        raise InvalidField(name, "must be a date and time with its offset, such as 2026-01-31T12:00:00Z")
    return when


def legs_of(fields: Fields) -> tuple[LegWish, ...]:
    """Each pays from its own `fromAccount`, or from that of the whole request."""
    legs = []
    for item in _items(fields, "legs"):
        leg = parse_fields(item)
        if "fromAccount" in fields:
            leg = {"fromAccount": fields["fromAccount"]} | leg
        require(leg, "fromAccount", "toAccount", "amount")
        legs.append(LegWish(account_of(leg, "fromAccount"), account_of(leg, "toAccount"), amount_of(leg)))
    return tuple(legs)


def split_of(fields: Fields) -> tuple[Part, ...]:
    parts = tuple(_part(parse_fields(item)) for item in _items(fields, "to"))
    if sum(part.amount is None and part.share is None for part in parts) > 1:
        raise InvalidField("to", "may have one remainder")
    return parts


def _part(fields: Fields) -> Part:
    require(fields, "account")
    account = account_of(fields, "account")
    said = [name for name in ("amount", "share", "remainder") if name in fields]
    if len(said) != 1 or (said == ["remainder"] and not flag_of(fields, "remainder")):
        raise InvalidField("to", "each must say one of amount, share and remainder: true")
    if said == ["amount"]:
        return Part(account, amount=amount_of(fields))
    return Part(account, share=_share_of(fields) if said == ["share"] else None)


def _share_of(fields: Fields) -> Fraction:
    text = string_of(fields, "share")
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    share = Fraction(f"{match[1]}.{match[2] or 0}") / 100 if match else Fraction(0)
    if not 0 < share <= 1:
        raise InvalidField("share", "must be more than 0% and at most 100%, such as 2.5%")
    return share


def _items(fields: Fields, name: str) -> Sequence[bytes]:
    raw = bytes(fields.get(name, b"[]"))
    try:
        items = [bytes(item) for item in _decode_items(raw)]
    except msgspec.DecodeError:
        raise InvalidField(name, "must be an array of objects") from None
    if name in fields and not 1 <= len(items) <= MOST_LEGS:
        raise InvalidField(name, f"must have 1 to {MOST_LEGS} members")
    if not all(item.startswith(b"{") for item in items):
        raise InvalidField(name, "must be an array of objects")
    return items


def account_of(fields: Fields, name: str) -> ObjectId:
    return parse_id(string_of(fields, name), name)


def _balance_conditions(fields: Fields) -> list[Condition]:
    conditions = []
    for payer, raw in _sides(fields, "ifBalance"):
        tests = _object(raw, "ifBalance")
        if not tests or not tests.keys() <= {"gte", "lte", "eq"}:
            raise InvalidField("ifBalance", "must say gte, lte or eq")
        for test, value in tests.items():
            conditions.append(Condition(payer, "balance", test, _signed(bytes(value), "ifBalance")))
    return conditions


def _version_conditions(fields: Fields) -> list[Condition]:
    conditions = []
    for payer, raw in _sides(fields, "ifVersion"):
        version = whole(raw)
        if version is None or not 0 <= version < 10**18:
            raise InvalidField("ifVersion", "must be the number of an entry")
        conditions.append(Condition(payer, "version", "eq", Decimal(version)))
    return conditions


def _sides(fields: Fields, name: str) -> list[tuple[bool, bytes]]:
    """For the paying account alone, or under `from` and `to` for either."""
    raw = bytes(fields.get(name, b"null"))
    if raw == b"null":
        return []
    members = _object(raw, name) if raw.startswith(b"{") else {}
    if not members or members.keys().isdisjoint({"from", "to"}):
        return [(True, raw)]
    if not members.keys() <= {"from", "to"}:
        raise InvalidField(name, "must have only from and to, or neither")
    return [(side == "from", bytes(value)) for side, value in members.items()]


def _object(raw: bytes, name: str) -> Fields:
    try:
        return parse_fields(raw)
    except MalformedJson:
        raise InvalidField(name, "must be an object") from None


def _signed(raw: bytes, name: str) -> Decimal:
    raw = raw[1:-1] if raw[:1] == b'"' else raw
    if not _SIGNED.fullmatch(raw):
        raise InvalidField(name, "must compare with a decimal number, such as 10.50")
    return Decimal(raw.decode())


def _rate_of(fields: Fields) -> Decimal | None:
    text = number_text_of(fields, "rate")
    return None if text is None else parse_rate(text)
