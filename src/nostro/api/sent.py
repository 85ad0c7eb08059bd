"""What a transfer request says: read quickly if it is plain, thoroughly if it is not, to the same end."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from nostro.api.bodies import Fields, amount_of, key_of, missing_of
from nostro.api.terms import account_of, flag_of, terms_of
from nostro.domain.errors import InvalidField, MissingField, NostroError
from nostro.domain.ids import ObjectId, parse_id
from nostro.domain.money import Amount, parse_amount
from nostro.domain.requests import LONGEST_HOLD_S, PLAIN, Terms
from nostro.domain.transaction import valid_key


class Sent(NamedTuple):
    """A transfer as it was asked for; nothing in it has been looked up yet."""

    from_account: ObjectId
    to_account: ObjectId
    amount: Amount
    key: str
    terms: Terms = PLAIN


class _PlainTransfer(msgspec.Struct, forbid_unknown_fields=True):
    """What is read quickly, now or on hold. `amount` stays the text it was written in."""

    fromAccount: str  # noqa: N815 - the contract's names
    toAccount: str  # noqa: N815
    amount: msgspec.Raw
    idempotencyKey: str  # noqa: N815
    hold: bool = False
    expiresIn: int | msgspec.UnsetType = msgspec.UNSET  # noqa: N815


class _PlainCapture(msgspec.Struct, forbid_unknown_fields=True):
    idempotencyKey: str  # noqa: N815
    amount: msgspec.Raw = msgspec.Raw(b"null")
    final: bool = False


_decode_transfer = msgspec.json.Decoder(_PlainTransfer).decode
_decode_capture = msgspec.json.Decoder(_PlainCapture).decode
_HOLDS = Terms(hold=True)
_MARK, _BACKSLASH = ord('"'), ord("\\")


def plain_transfer(body: bytes) -> Sent | None:
    """None for whatever is not plainly a sound transfer: `transfer_of` reads that, and says what is wrong."""
    try:
        said = _decode_transfer(body)
        raw = bytes(said.amount)
        # Four names and three strings have fourteen quotation marks, a quoted amount two more.
        marks = 14 + raw.count(_MARK)
        terms = PLAIN
        if said.hold or said.expiresIn is not msgspec.UNSET:
            terms, named = _plain_hold(said)
            marks += 2 * named
        if not _reads_as_written(body, marks):
            return None
        from_account = parse_id(said.fromAccount, "fromAccount")
        to_account = parse_id(said.toAccount, "toAccount")
        key = valid_key(said.idempotencyKey)
        return Sent(from_account, to_account, _plain_amount(raw), key, terms)
    except (NostroError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _plain_hold(said: _PlainTransfer) -> tuple[Terms, int]:
    """The terms of a hold, and how many names it took to say them; `InvalidField` for anything odd."""
    if not said.hold:
        raise InvalidField("hold", "is read thoroughly unless it is plainly true")
    if said.expiresIn is msgspec.UNSET:
        return _HOLDS, 1
    if not 1 <= said.expiresIn <= LONGEST_HOLD_S:
        raise InvalidField("expiresIn", "is out of bounds")
    return Terms(hold=True, expires_in_s=said.expiresIn), 2


def plain_capture(body: bytes) -> tuple[str, Amount | None, bool] | None:
    """Key, amount and whether it is final; None for whatever is not plainly a sound capture."""
    try:
        said = _decode_capture(body)
        raw = bytes(said.amount)
        named = 1 + (b'"amount"' in body) + (b'"final"' in body)
        if not _reads_as_written(body, 2 * named + 2 + raw.count(b'"')):
            return None
        key = valid_key(said.idempotencyKey)
        return key, None if raw == b"null" else _plain_amount(raw), said.final
    except (NostroError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _reads_as_written(body: bytes, marks: int) -> bool:
    """Any other number of quotation marks means an escape, or a name that stands twice, of which the decoder
    would keep the last."""
    return _BACKSLASH not in body and body.count(_MARK) == marks


def _plain_amount(raw: bytes) -> Amount:
    return parse_amount((raw[1:-1] if raw[:1] == b'"' else raw).decode())


def transfer_of(fields: Fields, header_keys: Sequence[str] = ()) -> Sent:
    """Raises the first refusal of errors.PRECEDENCE that the request itself deserves."""
    if flag_of(fields, "dryRun") and missing_of(fields, "idempotencyKey"):
        # Nothing will be done, so nothing has to be told apart later.
        header_keys = header_keys or ["dry run"]
    _require_named(fields, header_keys)
    terms = terms_of(fields)
    if terms.legs:
        from_account, to_account, amount = terms.legs[0]
    else:
        from_account = account_of(fields, "fromAccount")
        to_account = terms.split[0].account if terms.split else account_of(fields, "toAccount")
        amount = amount_of(fields)
    return Sent(from_account, to_account, amount, key_of(fields, header_keys), terms)


def _require_named(fields: Fields, header_keys: Sequence[str]) -> None:
    if "legs" in fields:
        require_money_fields(fields, header_keys, needs_amount=False)
    elif "to" in fields:
        require_money_fields(fields, header_keys, "fromAccount")
    else:
        require_money_fields(fields, header_keys, "fromAccount", "toAccount")


def require_money_fields(
    fields: Fields, header_keys: Sequence[str], *accounts: str, needs_amount: bool = True
) -> None:
    """All missing fields at once, before any of them is judged; a key may also come as a header."""
    missing = missing_of(fields, *accounts)
    if needs_amount and bytes(fields.get("amount", b'""')) == b'""':
        missing.append("amount")
    if missing_of(fields, "idempotencyKey") and not any(header_keys):
        missing.append("idempotencyKey")
    if missing:
        raise MissingField(*missing)
