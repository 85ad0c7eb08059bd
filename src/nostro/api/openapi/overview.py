"""The words before the operations: what holds for all of them."""

OVERVIEW = """\
Accounts, transfers and balances in a double-entry ledger. This service speaks the dialect **{dialect}**: \
statuses and texts below are those it answers with.

- **Who asks.** Log in; the token comes in the answer and as a cookie. Send it as `Authorization: Bearer …` or \
let the browser send the cookie. The cookie comes first when both are there.
- **Amounts** are JSON numbers in major units (`10.5`); strings of the same digits are accepted. Never \
negative, never more decimal places than the currency has.
- **Exactly once.** Every transfer carries an idempotency key. The same key with the same request answers with \
the same transaction and `Idempotency-Replayed: true`; with another request it is `key_conflict`. A refused \
request leaves its key free.
- **Refusals** have a stable `code`; `retryable` tells whether trying again may help. When several apply, the \
first of the published order is the answer: token, permission, body, state.
- **Paths** match in any case, with or without a trailing slash; `HEAD` works where `GET` does; any \
other method is 405 `method_not_allowed` with `Allow`, any other path 404 `not_found`. Both \
are Problems like the rest, and so are 431 `headers_too_large`, 400 `malformed_request` (what is no HTTP) and \
408 `request_timeout` (what does not arrive as a whole within a minute).
- **Bodies** are JSON objects of at most 100 kB (a bulk: 4 MB). Members that are not described are ignored; \
answers may gain \
members in later versions.
"""

TAGS = {
    "Authentication": "Becoming a user, logging in and out.",
    "Accounts": "Opening accounts, their balances and their status.",
    "Currencies": "What accounts are opened in, and the rates between them.",
    "History": "What happened to an account, line by line and over time.",
    "Transactions": "Moving money, and what was moved.",
    "Events": "What happened and what happens, told to whom it concerns.",
    "Standing orders": "Transfers made later, once or again and again.",
    "Webhooks": "Events sent to a URL, signed.",
    "Reports": "The books as a whole, for operators and auditors.",
    "E-mail": "How one gets mail, and the pages that mails lead to.",
    "Service": "Health, errors explained, this description.",
}
