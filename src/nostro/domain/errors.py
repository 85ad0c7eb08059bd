"""Every way a request can be refused: one class, one stable code each.

    NostroError
    ├── Unauthenticated 401       TokenMissing · TokenInvalid ─ TokenRevoked, UserGone · WrongPassword
    ├── Forbidden 403             CrossSiteRefused · NotSystemUser · NotOperator · NotAuditor · NotAccountOwner
    │                             NotReceiver
    ├── RateLimited 429           TooManyStreams
    ├── BadRequest 400            MalformedJson · DuplicateField · MissingField · InvalidField · InvalidId
    │                             InvalidAmount · InvalidKey · UnknownCurrency · SameAccount · InvalidResetLink
    │                             LogoutWithoutToken · UnknownPosition · InvalidCursor · TooManyEntries
    ├── Conflict 409              KeyConflict · EmailTaken · StatusConflict · LimitConflict
    │   │                         CurrencyTaken · RateTaken · RateChanged · TooManyWebhooks · WebhookDisabled
    │   │                         PeriodConflict
    │   └── StoryOver             AlreadyCaptured · AlreadyVoided · HoldExpired · AlreadyReversed
    ├── Refused 400               AccountNotFound · SystemAccountNotFound · CurrencyMismatch · RateNotFound
    │                             AccountNotActive · PeriodClosed · NotAHold · NotReversible · ExceedsHeldAmount
    │                             ExceedsReversibleAmount · LimitExceeded · InsufficientFunds · CeilingExceeded
    │                             AmountOverflow · GroupRefused · PreconditionFailed (412)
    ├── Missing 404               NotFound ─ UnknownAccount, UnknownWebhook · MethodNotAllowed (405)
    ├── Oversized                 BodyTooLarge (413) · UnsupportedMediaType (415) · HeadersTooLarge (431)
    └── Unavailable 503           Overloaded · StreamsFull · DatabaseUnavailable · StorageFull · OutcomeUnknown
                                  (retryable)

`PRECEDENCE` is the published order: of all refusals that apply to a transfer the first is the answer
(tests/contract/test_refusals.py has a row per code). Amounts in an error are integers in minor units of its
`currency`, whose places are its `exponent`.
"""

from typing import ClassVar


class NostroError(Exception):
    """A refusal with a stable `code`, an HTTP status and, in `facts`, what the caller may know about it."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "The service failed"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts = facts


# ── who is asking ────────────────────────────────────────────────────────────────────────────────────


class Unauthenticated(NostroError):
    http_status = 401


class TokenMissing(Unauthenticated):
    code = "token_missing"
    title = "No token was sent, neither as a cookie nor as a bearer token"


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    title = "The token is not valid, or it has expired"


class TokenRevoked(TokenInvalid):
    title = "The token was revoked by a logout"


class UserGone(TokenInvalid):
    title = "The user of this token does not exist"


class WrongPassword(Unauthenticated):
    code = "wrong_credentials"
    title = "The e-mail address or the password is wrong"


class Forbidden(NostroError):
    http_status = 403


class CrossSiteRefused(Forbidden):
    code = "cross_site_refused"
    title = "A change that rests on the cookie alone must come from an allowed origin"


class NotSystemUser(Forbidden):
    code = "not_system_user"
    title = "Only a system user may do this"


class NotOperator(Forbidden):
    code = "not_operator"
    title = "Only an operator may do this"


class NotAuditor(Forbidden):
    code = "not_auditor"
    title = "Only an operator or an auditor may see this"


class NotAccountOwner(Forbidden):
    code = "not_account_owner"
    title = "The account to pay from is not yours"


class NotReceiver(Forbidden):
    code = "not_receiver"
    title = "Only who received the money, or an operator, may let it flow back"


class RateLimited(NostroError):
    code = "rate_limited"
    http_status = 429
    title = "Too many attempts; wait before the next one"
    retryable = True


class TooManyStreams(RateLimited):
    code = "too_many_streams"
    title = "You have as many live streams open as one user may"


# ── what was asked ───────────────────────────────────────────────────────────────────────────────────


class BadRequest(NostroError):
    http_status = 400


class LogoutWithoutToken(BadRequest):
    """Two of the five systems answer 400 to a logout that has nothing to log out."""

    code = "token_missing"
    title = "No token was sent, so there is nothing to log out"


class MalformedJson(BadRequest):
    code = "malformed_json"
    title = "The body is not one JSON object in UTF-8"


class DuplicateField(BadRequest):
    code = "duplicate_field"
    title = "A field stands twice in one JSON object"


class MissingField(BadRequest):
    code = "missing_field"
    title = "A required field is missing"

    def __init__(self, *fields: str) -> None:
        super().__init__(f"Missing: {', '.join(fields)}", fields=list(fields))
        self.fields = list(fields)


class InvalidField(BadRequest):
    code = "invalid_field"
    title = "A field has a value that is not allowed"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}", field=field)


class InvalidId(BadRequest):
    code = "invalid_id"
    title = "An id is 24 hexadecimal digits"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} must be 24 hexadecimal digits", field=field)


class InvalidAmount(BadRequest):
    code = "invalid_amount"
    title = "The amount is not an exact positive decimal of this currency"


class InvalidKey(BadRequest):
    code = "invalid_key"
    title = "An idempotency key is 1 to 255 printable ASCII characters"


class UnknownCurrency(BadRequest):
    code = "unknown_currency"
    title = "The currency is neither in ISO 4217 nor registered here"


class SameAccount(BadRequest):
    code = "same_account"
    title = "fromAccount and toAccount are the same account"


class InvalidResetLink(BadRequest):
    code = "invalid_reset_link"
    title = "The link is not valid, has been used or is too old"


class UnknownPosition(BadRequest):
    code = "unknown_position"
    title = "The journal has not come as far as this position; begin anew, without one"


class InvalidCursor(BadRequest):
    code = "invalid_cursor"
    title = "The cursor is none that this list has given out"


class TooManyEntries(BadRequest):
    """Carries `entries`, how many there are, and `most`, how many there may be."""

    code = "too_many_entries"
    title = "The period has more entries than one answer can tell; ask for a shorter one"

    def __init__(self, entries: int, most: int) -> None:
        super().__init__(
            f"The period has {entries} entries; at most {most} can be answered", entries=entries, most=most
        )


class InvalidUnsubscribeLink(BadRequest):
    code = "invalid_unsubscribe_link"
    title = "The link is not one that was sent in an e-mail"


class Conflict(NostroError):
    http_status = 409


class KeyConflict(Conflict):
    code = "key_conflict"
    title = "The idempotency key was used for a different transaction"


class EmailTaken(Conflict):
    code = "email_taken"
    title = "The e-mail address belongs to a user already"


class StatusConflict(Conflict):
    code = "status_conflict"
    title = "It cannot change from the status it is in to this one"


class LimitConflict(Conflict):
    """Carries `field`, and the `available` or `balance` against it, in minor units of `currency`."""

    code = "limit_conflict"
    title = "The limit contradicts what is in the account"


class CurrencyTaken(Conflict):
    code = "currency_taken"
    title = "There is a currency of this code already, and what it is never changes"


class RateTaken(Conflict):
    code = "rate_taken"
    title = "Another system user exchanges between these two currencies"


class RateChanged(Conflict):
    """Carries `rate`, the one in force."""

    code = "rate_changed"
    title = "The exchange rate is not the one that was expected"


class PeriodConflict(Conflict):
    """Carries `closedUntil`, if the book is closed at all."""

    code = "period_conflict"
    title = "The book is closed as far as this already, or not closed that far"


class StoryOver(Conflict):
    """The earlier transaction has come to its end, so nothing more can be done about it."""


class AlreadyCaptured(StoryOver):
    code = "already_captured"
    title = "The hold has been captured to its end"


class AlreadyVoided(StoryOver):
    code = "already_voided"
    title = "The hold has been voided"


class HoldExpired(StoryOver):
    code = "hold_expired"
    title = "The hold has expired"


class AlreadyReversed(StoryOver):
    code = "already_reversed"
    title = "The transaction has been reversed in full"


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    title = "The user has as many webhooks as one may have"


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    title = "Nothing is sent to a webhook that is disabled"


# ── what the ledger refuses, under the lock ──────────────────────────────────────────────────────────


class Refused(NostroError):
    http_status = 400


class AccountNotFound(Refused):
    code = "account_not_found"
    title = "There is no such account"


class SystemAccountNotFound(AccountNotFound):
    code = "system_account_not_found"
    title = "The system user has no settlement account in this currency"


class CurrencyMismatch(Refused):
    code = "currency_mismatch"
    title = "The two accounts have different currencies"


class AccountNotActive(Refused):
    code = "account_not_active"
    title = "An account in this transfer is not active"


class RateNotFound(Refused):
    code = "rate_not_found"
    title = "No system user exchanges between these two currencies"


class PeriodClosed(Refused):
    """Carries `closedUntil`."""

    code = "period_closed"
    title = "The book is closed for the time at which this is said to have happened"


class NotAHold(Refused):
    code = "not_a_hold"
    title = "The transaction is not a hold"


class NotReversible(Refused):
    code = "not_reversible"
    title = "The transaction moved no money that could flow back, or is a reversal itself"


class ExceedsHeldAmount(Refused):
    """Carries `held`: what is left of the hold, in minor units of `currency`."""

    code = "exceeds_held_amount"
    title = "The amount is larger than what the hold still holds"


class ExceedsReversibleAmount(Refused):
    """Carries `reversible`: what has not flowed back yet, in minor units of `currency`."""

    code = "exceeds_reversible_amount"
    title = "The amount is larger than what is left to reverse"


class PreconditionFailed(Refused):
    """Carries `condition`, and `balance` or `version` as it is."""

    code = "precondition_failed"
    http_status = 412
    title = "The account is not as the request expects it"


class LimitExceeded(Refused):
    """Carries `limit` (single, hourly, daily or monthly) and `remaining`: what is left of it, in minor units of
    `currency`, or as a number of transfers for hourly."""

    code = "limit_exceeded"
    title = "A limit of the account would be exceeded"


class InsufficientFunds(Refused):
    """Carries `required`, `available` and `shortfall` in minor units of `currency`. A dry run adds
    `largestAmount`, and `earliestAvailableAt` if enough holds will expire. `account` is whose money it is."""

    code = "insufficient_funds"
    title = "The account has too little money"

    def __init__(
        self, *, required: int, available: int, currency: str, exponent: int, account: bytes = b""
    ) -> None:
        self.account = account
        super().__init__(
            required=required,
            available=available,
            shortfall=required - available,
            currency=currency,
            exponent=exponent,
        )


class CeilingExceeded(Refused):
    code = "ceiling_exceeded"
    title = "The receiving account would exceed its ceiling"


class GroupRefused(Refused):
    """An innocent member of an all-or-nothing request; the culprit carries its own refusal."""

    code = "group_refused"
    title = "Another transfer of this all-or-nothing request was refused, so nothing was done"


class AmountOverflow(Refused):
    code = "amount_overflow"
    title = "A balance would leave the range of 64 bits"


# ── what is not there ────────────────────────────────────────────────────────────────────────────────


class NotFound(NostroError):
    code = "not_found"
    http_status = 404
    title = "There is nothing here"


class UnknownAccount(NotFound):
    """An account that is not there and one that is not the caller's get the same answer."""

    code = "account_not_found"
    title = "There is no such account"

    def __init__(self) -> None:
        super().__init__("Account not found")


class UnknownWebhook(NotFound):
    """A webhook that is not there and one that is not the caller's get the same answer."""

    code = "webhook_not_found"
    title = "There is no such webhook"


class MethodNotAllowed(NostroError):
    code = "method_not_allowed"
    http_status = 405
    title = "This method is not served at this path"


class BodyTooLarge(NostroError):
    code = "body_too_large"
    http_status = 413
    title = "The body is larger than 100 kB, or a bulk than 4 MB"


class HeadersTooLarge(NostroError):
    code = "headers_too_large"
    http_status = 431
    title = "The headers are larger than 32 kB"


class MalformedRequest(NostroError):
    code = "malformed_request"
    http_status = 400
    title = "This is not a request in HTTP/1.1"


class RequestTimeout(NostroError):
    code = "request_timeout"
    http_status = 408
    title = "The request did not arrive as a whole in time; nothing was done, try again"
    retryable = True


class UnsupportedMediaType(NostroError):
    code = "unsupported_media_type"
    http_status = 415
    title = "The body must be application/json, not compressed"


# ── not the request's fault ──────────────────────────────────────────────────────────────────────────


class Unavailable(NostroError):
    http_status = 503
    retryable = True


class Overloaded(Unavailable):
    code = "overloaded"
    title = "Too much is waiting; nothing was done, try again"


class StreamsFull(Unavailable):
    code = "streams_full"
    title = "As many live streams are open as this process serves; try again later"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database cannot be reached; nothing was done, try again"


class StorageFull(Unavailable):
    code = "storage_full"
    title = "The database has no room left; nothing was done, try again later"


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    title = "It may or may not have happened; repeat with the same idempotency key to learn which"

    def __init__(self) -> None:
        super().__init__(outcome="unknown")


PRECEDENCE: tuple[type[NostroError], ...] = (
    TokenMissing,
    CrossSiteRefused,
    TokenInvalid,
    NotSystemUser,
    RateLimited,
    BodyTooLarge,
    UnsupportedMediaType,
    MalformedJson,
    DuplicateField,
    MissingField,
    InvalidId,
    InvalidAmount,
    InvalidKey,
    UnknownCurrency,
    SameAccount,
    KeyConflict,
    AccountNotFound,
    SystemAccountNotFound,
    NotAccountOwner,
    NotReceiver,
    CurrencyMismatch,
    RateNotFound,
    RateChanged,
    NotAHold,
    NotReversible,
    AlreadyCaptured,
    AlreadyVoided,
    HoldExpired,
    AlreadyReversed,
    ExceedsHeldAmount,
    ExceedsReversibleAmount,
    AccountNotActive,
    PeriodClosed,
    PreconditionFailed,
    LimitExceeded,
    InsufficientFunds,
    CeilingExceeded,
    AmountOverflow,
)
