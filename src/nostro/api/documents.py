"""The JSON documents that clients know, built from rows. Amounts are exact numbers in major units."""

from functools import lru_cache
from typing import Any

import msgspec
from starlette.responses import Response

from nostro.domain.account import Account
from nostro.domain.event import shown_time
from nostro.domain.ids import show_id
from nostro.domain.money import show_amount, show_rate
from nostro.domain.transaction import (
    NO_NOTES,
    REVERSIBLE,
    Exchange,
    Kind,
    Leg,
    Transaction,
    TransactionStatus,
)
from nostro.domain.user import Role
from nostro.store.accounts import AccountRow, BalanceRow
from nostro.store.followers import FollowerState
from nostro.store.transactions import SeenTransaction
from nostro.store.users import User

Document = dict[str, Any]

JSON = "application/json; charset=utf-8"
encode = msgspec.json.Encoder().encode


def json_answer(status: int, document: Document, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(document), status, headers, JSON)


@lru_cache(maxsize=65536)
def number(minor: int, exponent: int) -> msgspec.Raw:
    """Minor units as a JSON number in major units, written exactly."""
    return msgspec.Raw(show_amount(minor, exponent).encode())


def user_document(user: User) -> Document:
    shown = show_id(user.id)
    return {
        "_id": shown,
        "id": shown,
        "email": user.email,
        "name": user.name,
        "systemUser": user.role is Role.SYSTEM,
        "role": user.role.value,
    }


def account_document(row: AccountRow) -> Document:
    shown = show_id(row.id)
    return {
        "_id": shown,
        "id": shown,
        "user": show_id(row.owner),
        "name": row.name,
        "description": row.description,
        "reference": row.reference,
        "metadata": msgspec.Raw(row.metadata.encode()) if row.metadata else None,
        "status": row.status.value,
        "currency": row.currency.code,
        "balance": number(row.balance, row.currency.exponent),
        "available": number(row.balance - row.held, row.currency.exponent),
        "systemAccount": row.settlement,
        "createdAt": shown_time(row.created_at),
        "updatedAt": shown_time(row.updated_at),
        "__v": 0,
    }


def balance_document(row: BalanceRow) -> Document:
    assert row.account is not None, "an account that was not found is refused before"
    assert row.currency is not None, "an account that was found has a currency"
    shown, exponent = show_id(row.account), row.currency.exponent
    return {
        "success": True,
        "accountId": shown,
        "account": shown,
        "balance": number(row.balance, exponent),
        "available": number(row.balance - row.held, exponent),
        "currency": row.currency.code,
    }


def head_document(account: Account) -> Document:
    """An account's balances after a decision."""
    return {
        "account": account.id.hex(),
        "balance": number(account.balance, account.exponent),
        "available": number(account.available, account.exponent),
        "currency": account.currency,
    }


def transaction_document(transaction: Transaction) -> Document:
    shown = transaction.id.hex()
    when = shown_time(transaction.created_at)
    document = {
        "_id": shown,
        "id": shown,
        "fromAccount": transaction.from_account.hex(),
        "toAccount": transaction.to_account.hex(),
        "amount": number(transaction.amount, transaction.exponent),
        "currency": transaction.currency,
        "kind": transaction.kind,
        "status": transaction.status,
        "idempotencyKey": transaction.key,
        "position": transaction.position,
        "createdAt": when,
        "effectiveAt": when if transaction.effective_at is None else shown_time(transaction.effective_at),
        "updatedAt": when if transaction.updated_at is None else shown_time(transaction.updated_at),
        "__v": 0,
    }
    if transaction.kind is not Kind.TRANSFER or transaction.legs:
        document |= _of_its_kind(transaction)
    if transaction.kind in REVERSIBLE:
        document["reversedAmount"] = number(transaction.reversed, transaction.exponent)
        document["reversibleAmount"] = number(transaction.reversible, transaction.exponent)
    if transaction.notes is not NO_NOTES:
        document |= _notes(transaction)
    return document


def _of_its_kind(transaction: Transaction) -> Document:
    """What only some kinds of transactions have to tell."""
    document: Document = {}
    exponent = transaction.exponent
    if transaction.parent_id is not None:
        document["parent"] = transaction.parent_id.hex()
    if transaction.kind is Kind.HOLD:
        document["heldAmount"] = number(transaction.left, exponent)
        document["capturedAmount"] = number(transaction.captured, exponent)
        document["releasedAmount"] = number(transaction.let_go, exponent)
        if transaction.status is TransactionStatus.FAILED:
            document["failureReason"] = transaction.failure_reason
    if transaction.expires_at is not None:
        document["expiresAt"] = shown_time(transaction.expires_at)
    if transaction.released is not None:
        document["releasedAmount"] = number(transaction.released, exponent)
    if transaction.exchange is not None:
        document |= _exchange(transaction.exchange)
    if transaction.legs:
        document["legs"] = [_leg(leg, transaction) for leg in transaction.legs]
    return document


def _exchange(exchange: Exchange) -> Document:
    return {
        "rate": msgspec.Raw(show_rate(exchange.rate).encode()),
        "counterAmount": number(exchange.amount, exchange.exponent),
        "counterCurrency": exchange.currency,
    }


def _leg(leg: Leg, transaction: Transaction) -> Document:
    is_other_half = transaction.exchange is not None and leg.currency == transaction.exchange.currency
    exponent = transaction.exchange.exponent if transaction.exchange and is_other_half else transaction.exponent
    return {
        "fromAccount": leg.from_account.hex(),
        "toAccount": leg.to_account.hex(),
        "amount": number(leg.amount, exponent),
        "currency": leg.currency,
    }


def _notes(transaction: Transaction) -> Document:
    description, reference, metadata = transaction.notes
    said: Document = {"description": description, "reference": reference}
    if metadata is not None:
        said["metadata"] = msgspec.Raw(metadata.encode())
    return {name: value for name, value in said.items() if value is not None}


def seen_document(seen: SeenTransaction, viewer: User) -> Document:
    """A transaction as one of its sides sees it: which way the money went, and who stands opposite."""
    document = transaction_document(seen.transaction)
    pays, receives = seen.from_owner == viewer.id, seen.to_owner == viewer.id
    outwards = pays or not receives
    opposite = seen.transaction.to_account if outwards else seen.transaction.from_account
    document["direction"] = "INTERNAL" if pays and receives else "DEBIT" if outwards else "CREDIT"
    document["counterpartyAccountId"] = show_id(opposite)
    document["counterpartyUserName"] = seen.to_name if outwards else seen.from_name
    document["counterpartyUserEmail"] = seen.to_email if outwards else seen.from_email
    return document


def follower_document(state: FollowerState) -> Document:
    return {
        "name": state.name,
        "position": state.position,
        "behind": state.behind,
        "behindSeconds": state.behind_s,
        "pending": state.pending,
        "setAside": state.set_aside,
        "lastError": state.last_error,
        "failedAt": shown_time(state.failed_at) if state.failed_at else None,
    }
