"""What a transfer request says: read quickly if it is plain, thoroughly if it is not, to the same end."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from nostro.api.bodies import Fields, amount_of, key_of, missing_of
from nostro.api.terms import account_of, flag_of, terms_of
from nostro.domain.errors import MissingField, NostroError
from nostro.domain.ids import ObjectId, parse_id
from nostro.domain.money import Amount, parse_amount
from nostro.domain.requests import PLAIN, Terms
from nostro.domain.transaction import valid_key


class Sent(NamedTuple):
    """A transfer as it was asked for; nothing in it has been looked up yet."""

    from_account: ObjectId
    to_account: ObjectId
    amount: Amount
    key: str
    terms: Terms = PLAIN


class _PlainTransfer(msgspec.Struct, forbid_unknown_fields=True):
    """The only body that is read quickly. `amount` stays the text it was written in."""

    fromAccount: str  # noqa: N815 - the contract's names
    toAccount: str  # noqa: N815
    amount: msgspec.Raw
    idempotencyKey: str  # noqa: N815


_decode_plain = msgspec.json.Decoder(_PlainTransfer).decode


def plain_transfer(body: bytes) -> Sent | None:
    """None for whatever is not plainly a sound transfer: `transfer_of` reads that, and says what is wrong."""
    try:
        said = _decode_plain(body)
        raw = bytes(said.amount)
        # Four names and three strings have fourteen quotation marks, a quoted amount two more. Any other
        # number means an escape, or a name that stands twice, of which the decoder would keep the last.
        if b"\\" in body or body.count(b'"') != 14 + raw.count(b'"'):
            return None
        from_account = parse_id(said.fromAccount, "fromAccount")
        to_account = parse_id(said.toAccount, "toAccount")
        amount = parse_amount((raw[1:-1] if raw[:1] == b'"' else raw).decode())
        key = valid_key(said.idempotencyKey)
    except (NostroError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Sent(from_account, to_account, amount, key)


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
