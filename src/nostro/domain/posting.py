"""The posting rules: which transfers happen, and what is written when they do. Nothing else moves money.

`decide` takes requests in their order of arrival and the `Books`: everything they refer to, read under the
lock. Each request is judged by a flat list of guards in the published precedence (errors.PRECEDENCE); after
the last guard it must succeed. It is then posted into the books, so that the next request sees it. A batch
therefore decides exactly what the same requests would one by one
(tests/property/test_posting_model.py::test_a_batch_decides_what_the_same_requests_decide_one_by_one).

There is no I/O here, no clock and no randomness: the store reads before, writes after, and PostgreSQL's
constraints stand behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nostro.domain.account import Account
from nostro.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    AmountOverflow,
    CeilingExceeded,
    CurrencyMismatch,
    GroupRefused,
    InsufficientFunds,
    InvalidAmount,
    KeyConflict,
    NostroError,
    NotAccountOwner,
    NotSystemUser,
    SameAccount,
    SystemAccountNotFound,
    TokenRevoked,
    UserGone,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import INT64_MAX, INT64_MIN, Amount
from nostro.domain.transaction import Direction, Entry, KeyScope, Kind, Transaction, TransactionStatus
from nostro.domain.user import Caller, Claims, Role


@dataclass(slots=True)
class TransferRequest:
    """A request to move money, as parsed. `id` is given before the decision, so that a transaction found
    under the request's key after a lost COMMIT can be told from an earlier one (ledger/committer.py).

    `from_account` None: the caller's settlement account in the receiver's currency (initial funds).
    """

    id: ObjectId
    kind: Kind
    claims: Claims
    key: str
    digest: bytes
    from_account: ObjectId | None
    to_account: ObjectId
    amount: Amount

    @property
    def scope(self) -> KeyScope:
        return KeyScope(self.claims.user, self.kind, self.key)


@dataclass(frozen=True, slots=True)
class Policy:
    """`house_exponent`: the places judged when the paying account says nothing the caller may know."""

    house_exponent: int = 2
    frozen_receives: bool = False


@dataclass(slots=True)
class Books:
    """All that a batch refers to, as it stands under the lock, and what the batch has written so far."""

    now: datetime
    accounts: dict[ObjectId, Account]
    callers: dict[ObjectId, Caller]
    revoked: set[bytes]
    recorded: dict[KeyScope, Transaction]
    transactions: list[Transaction] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    moved: dict[ObjectId, Account] = field(default_factory=dict)
    _settlements: dict[tuple[ObjectId, str], Account] | None = None

    def settlement_of(self, owner: ObjectId, currency: str) -> Account | None:
        if self._settlements is None:
            self._settlements = {(a.owner, a.currency): a for a in self.accounts.values() if a.settlement}
        return self._settlements.get((owner, currency))


@dataclass(slots=True)
class Posted:
    """The transaction that answers a request, and whether it was there before (`replayed`)."""

    transaction: Transaction
    replayed: bool


Outcome = Posted | NostroError


def decide(batch: Sequence[TransferRequest], books: Books, policy: Policy) -> list[Outcome]:
    """One outcome per request, in order. Refusals are returned, never raised: they harm no neighbour."""
    return [_decide_one(request, books, policy) for request in batch]


def decide_together(batch: Sequence[TransferRequest], books: Books, policy: Policy) -> list[Outcome]:
    """All or nothing: with one refusal nothing of the batch stays in the books, and those who did nothing wrong
    get `GroupRefused`. The first refusal that is none is the culprit's."""
    outcomes = decide(batch, books, policy)
    if not any(isinstance(outcome, NostroError) for outcome in outcomes):
        return outcomes
    books.transactions, books.entries, books.moved = [], [], {}
    return [outcome if isinstance(outcome, NostroError) else GroupRefused() for outcome in outcomes]


def _decide_one(request: TransferRequest, books: Books, policy: Policy) -> Outcome:
    caller = books.callers.get(request.claims.user)
    if caller is None:
        return UserGone()
    if request.claims.void(revoked=request.claims.digest in books.revoked, token_epoch=caller.token_epoch):
        return TokenRevoked()
    if request.kind is Kind.INITIAL_FUNDS and caller.role is not Role.SYSTEM:
        return NotSystemUser()

    target = books.accounts.get(request.to_account)
    source = _source_of(request, target, books)
    try:
        amount = request.amount.minor_units(_places(request, source, target, policy))
    except InvalidAmount as refusal:
        return refusal
    if request.from_account == request.to_account or (source is not None and source is target):
        return SameAccount()

    earlier = books.recorded.get(request.scope)
    if earlier is not None:
        if earlier.digest != request.digest:
            return KeyConflict(conflictingFields=_conflicts(request, earlier))
        return Posted(earlier, replayed=earlier.id != request.id)

    if target is None:
        return AccountNotFound(role="to")
    if source is None:
        return SystemAccountNotFound() if request.from_account is None else AccountNotFound(role="from")
    if source.owner != request.claims.user:
        return NotAccountOwner()
    if source.currency != target.currency:
        return CurrencyMismatch()
    if not source.pays or not target.receives(frozen_receives=policy.frozen_receives):
        return AccountNotActive()
    if source.floor is not None and source.available - amount < source.floor:
        return InsufficientFunds(
            required=amount, available=source.available - source.floor, currency=source.currency
        )
    if target.ceiling is not None and target.balance + amount > target.ceiling:
        return CeilingExceeded()
    if source.balance - amount < INT64_MIN or target.balance + amount > INT64_MAX:
        return AmountOverflow()

    return Posted(_post(request, source, target, amount, books), replayed=False)


def _source_of(request: TransferRequest, target: Account | None, books: Books) -> Account | None:
    if request.from_account is not None:
        return books.accounts.get(request.from_account)
    return books.settlement_of(request.claims.user, target.currency) if target else None


def _places(request: TransferRequest, source: Account | None, target: Account | None, policy: Policy) -> int:
    """The places the amount may have: those of the paying account, if the caller may know anything of it."""
    if request.from_account is None:
        return target.exponent if target is not None else policy.house_exponent
    if source is not None and source.owner == request.claims.user:
        return source.exponent
    return policy.house_exponent


def _conflicts(request: TransferRequest, earlier: Transaction) -> list[str]:
    """Which fields of the request differ from the transaction that took its key."""
    fields = []
    if request.from_account is not None and request.from_account != earlier.from_account:
        fields.append("fromAccount")
    if request.to_account != earlier.to_account:
        fields.append("toAccount")
    if request.amount.digits * 10**earlier.exponent != earlier.amount * 10**request.amount.scale:
        fields.append("amount")
    return fields


def _post(request: TransferRequest, source: Account, target: Account, amount: int, books: Books) -> Transaction:
    """Write the transaction and its two entries into the books. Every guard has passed: it must succeed."""
    transaction = Transaction(
        id=request.id,
        kind=request.kind,
        status=TransactionStatus.COMPLETED,
        requested_by=request.claims.user,
        key=request.key,
        digest=request.digest,
        from_account=source.id,
        to_account=target.id,
        amount=amount,
        currency=source.currency,
        exponent=source.exponent,
        created_at=books.now,
    )
    books.transactions.append(transaction)
    books.recorded[transaction.scope] = transaction
    _enter(transaction, source, Direction.DEBIT, -amount, books)
    _enter(transaction, target, Direction.CREDIT, amount, books)
    return transaction


def _enter(transaction: Transaction, account: Account, direction: Direction, change: int, books: Books) -> None:
    account.balance += change
    account.last_seq += 1
    books.entries.append(
        Entry(account.id, account.last_seq, transaction.id, direction, abs(change), account.balance)
    )
    books.moved[account.id] = account
