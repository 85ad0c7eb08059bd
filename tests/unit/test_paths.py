"""Every spelling of a path that clients use, and the one path that the routes know."""

import pytest

from nostro.api.paths import canonical
from nostro.settings import DialectName

ID = "6742f0a1b2c3d4e5f6071829"
FUNDS = "/api/transactions/system/initial-funds"

SPELLINGS = [
    ("/", "/"),
    ("", "/"),
    ("/health", "/health"),
    ("/api/health", "/health"),
    ("/Api/HEALTH/", "/health"),
    ("/api/auth/login", "/api/auth/login"),
    ("/auth/login", "/api/auth/login"),
    ("/AUTH/Login/", "/api/auth/login"),
    ("/api/accounts", "/api/accounts"),
    ("/accounts", "/api/accounts"),
    ("/api/account", "/api/accounts"),
    ("/account/", "/api/accounts"),
    ("/api/accounts/create", "/api/accounts"),
    ("/api/accounts/all", "/api/accounts/all"),
    ("/api/accounts/ALL", "/api/accounts/all"),
    (f"/api/accounts/balance/{ID}", f"/api/accounts/balance/{ID}"),
    (f"/api/accounts/{ID}/balance", f"/api/accounts/balance/{ID}"),
    (f"/account/{ID}/Balance/", f"/api/accounts/balance/{ID}"),
    (f"/account/{ID}/Entries/", f"/api/accounts/{ID}/entries"),
    (f"/api/accounts/{ID}/SERIES", f"/api/accounts/{ID}/series"),
    (f"/api/accounts/{ID}", f"/api/accounts/{ID}"),
    (f"/api/accounts/{ID.upper()}", f"/api/accounts/{ID}"),
    (f"/api/accounts/user/{ID}", f"/api/accounts/user/{ID}"),
    (f"/api/accounts/{ID}/STATUS", f"/api/accounts/{ID}/status"),
    ("/api/accounts/by-email/Ann@Example.com", "/api/accounts/by-email/Ann@Example.com"),
    ("/api/transactions", "/api/transactions"),
    ("/transactions", "/api/transactions"),
    ("/api/transaction", "/api/transactions"),
    ("/api/transactions/transfer", "/api/transactions"),
    ("/api/transactions/create/", "/api/transactions"),
    ("/api/transactions/system/initial-funds", FUNDS),
    ("/api/transactions/system/initial-fund", FUNDS),
    ("/api/transactions/system/initial_funds", FUNDS),
    ("/api/transactions/system/intial-funds", FUNDS),
    ("/api/transactions/initial-funds", FUNDS),
    ("/api/transactions/initial-fund", FUNDS),
    ("/api/transactions/initial_funds", FUNDS),
    ("/api/transactions/intial-funds", FUNDS),
    ("/transactions/system/intial-funds", FUNDS),
    ("/API/Transaction/System/Intial-Funds/", FUNDS),
    (f"/api/transactions/{ID}", f"/api/transactions/{ID}"),
    ("/api/transactions/History", "/api/transactions/history"),
    (f"/api/transactions/account/{ID}", f"/api/transactions/account/{ID}"),
    ("/api/transactions/by-key/Rent", "/api/transactions/by-key/Rent"),
    ("/api/transactions/by-key/History", "/api/transactions/by-key/History"),
    ("/api/transactions/BY-KEY/a%2Fb%20c", "/api/transactions/by-key/a%2Fb c"),
    ("/api/transactions/by-key/100%25/", "/api/transactions/by-key/100%25"),
    ("/%61pi/%61ccounts", "/api/accounts"),
    ("//api///accounts//", "/api/accounts"),
    ("/api/../api/accounts", "/api/../api/accounts"),
    ("/openapi.json", "/openapi.json"),
    ("/Nothing/Here", "/nothing/here"),
]


@pytest.mark.parametrize(("asked", "path"), SPELLINGS)
def test_every_spelling_leads_to_one_path(asked: str, path: str) -> None:
    assert canonical(asked).path == path


@pytest.mark.parametrize(
    ("asked", "dialect"),
    [
        ("/transactions", DialectName.LEDGERFLOW),
        ("/transactions/system/intial-funds", DialectName.LEDGERFLOW),
        ("/api/accounts/create", DialectName.BANKING_LEDGER),
        (f"/api/accounts/{ID}", DialectName.BANKING_LEDGER),
        (f"/api/accounts/user/{ID}", DialectName.BANKING_LEDGER),
        ("/api/transactions", None),
        ("/api/transactions/system/intial-funds", None),
        ("/api/accounts", None),
        ("/auth/login", None),
        ("/", None),
    ],
)
def test_a_path_that_only_one_dialect_has_answers_in_that_dialect(
    asked: str, dialect: DialectName | None
) -> None:
    assert canonical(asked).dialect is dialect
