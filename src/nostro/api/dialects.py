"""The three dialects of the five systems: statuses and texts where they contradict each other.

Each situation has one row: what backend-ledger answers, and what the other two answer instead. A situation
without a row is answered with the error's own status and sentence. Placeholders: {available} and {amount} in
major units, {name} of the user.
"""

from dataclasses import dataclass

from nostro.settings import DialectName

Answer = tuple[int, str]

_BACKEND_LEDGER: dict[str, Answer] = {
    "registered": (201, "User registered successfully"),
    "email_taken": (422, "User already exists with email."),
    "logged_in": (200, "User logged in successfully"),
    "wrong_credentials": (401, "Email or password is INVALID"),
    "logged_out": (200, "User logged out successfully"),
    "logout_without_token": (200, "User logged out successfully"),
    "token_missing": (401, "Unauthorized access, token is missing"),
    "token_revoked": (401, "Unauthorized access, token is invalid"),
    "token_invalid": (401, "Unauthorized access, token is invalid"),
    "user_gone": (401, "Unauthorized access, user no longer exists"),
    "not_system_user": (403, "Forbidden access, not a system user"),
    "account_opened": (201, "Account created successfully"),
    "no_account_yet": (200, ""),
    "unknown_account": (404, "Account not found"),
    "transfer_missing_field": (400, "FromAccount, toAccount, amount and idempotencyKey are required"),
    "transfer_account_not_found": (400, "Invalid fromAccount or toAccount"),
    "transfer_account_not_active": (
        400,
        "Both fromAccount and toAccount must be ACTIVE to process transaction",
    ),
    "transfer_insufficient_funds": (
        400,
        "Insufficient balance. Current balance is {available}. Requested amount is {amount}",
    ),
    "transferred": (201, "Transaction completed successfully"),
    "held": (201, "Amount held successfully"),
    "captured": (201, "Hold captured successfully"),
    "voided": (201, "Hold voided successfully"),
    "extended": (201, "Hold extended successfully"),
    "reversed": (201, "Transaction reversed successfully"),
    "exchanged": (201, "Exchange completed successfully"),
    "previewed": (200, "Nothing was done: this is what would happen"),
    "replayed": (200, "Transaction already processed"),
    "key_conflict": (409, "Idempotency key has already been used for a different transaction"),
    "funds_missing_field": (400, "toAccount, amount and idempotencyKey are required"),
    "funds_account_not_found": (400, "Invalid toAccount"),
    "funds_account_not_active": (
        400,
        "Both fromAccount and toAccount must be ACTIVE to process transaction",
    ),
    "system_account_not_found": (400, "System user account not found"),
    "funded": (201, "Initial funds transaction completed successfully"),
    "order_made": (201, "Standing order created"),
    "order_replayed": (200, "Standing order already created"),
    "order_previewed": (200, "This standing order can be created; nothing was"),
    "webhook_created": (201, "Webhook created"),
}

_LEDGERFLOW: dict[str, Answer] = {
    "email_taken": (409, "User already exists"),
    "logged_in": (200, "User Logged In"),
    "wrong_credentials": (401, "Invalid email or password"),
    "logout_without_token": (400, "Token is required for logout"),
    "token_revoked": (401, "Unauthorized access, token is blacklisted"),
    "not_system_user": (403, "Access denied, system user required"),
    "no_account_yet": (404, "Open your first account {name}!!"),
    "unknown_account": (404, "Account not found!!"),
    "transfer_missing_field": (400, "All fields are required"),
    "transfer_account_not_found": (404, "Account not found"),
    "transfer_account_not_active": (400, "Both accounts must be active to perform a transaction"),
    "transfer_insufficient_funds": (400, "Insufficient balance. Current balance: {available}"),
    "transferred": (201, "Transaction successful"),
    "funds_missing_field": (400, "All fields are required"),
    "funds_account_not_found": (404, "Account not found"),
    "funds_account_not_active": (400, "Both accounts must be active to perform a transaction"),
    "system_account_not_found": (404, "System account not found"),
    "funded": (201, "Initial funds transaction created successfully"),
}

_BANKING_LEDGER: dict[str, Answer] = {
    "email_taken": (422, "Email already exists in the database"),
    "wrong_credentials": (401, "Invalid email or password"),
    "logout_without_token": (400, "No token found"),
    "token_missing": (401, "Unauthorized, token is missing"),
    "token_revoked": (401, "Unauthorized, token is blacklisted"),
    "token_invalid": (401, "Unauthorized, token is invalid"),
    "user_gone": (401, "Unauthorized, user no longer exists"),
    "not_system_user": (403, "Forbidden, user is not a system user"),
    "transfer_missing_field": (
        400,
        "Missing required fields: fromAccount, toAccount, amount, idempotencyKey",
    ),
    "transfer_account_not_found": (400, "One or both accounts not found"),
    "transfer_account_not_active": (400, "Both accounts must be active to process the transaction"),
    "transfer_insufficient_funds": (
        400,
        "Insufficient balance. Available balance is {available}.Required balance is {amount}",
    ),
    "transferred": (200, "Transaction processed successfully"),
    "funds_missing_field": (400, "Missing required fields: toAccount, amount, idempotencyKey"),
    "funds_account_not_found": (400, "Account not found"),
    "funds_account_not_active": (400, "Both accounts must be active to process the transaction"),
    "funded": (201, "Initial funds transaction created successfully"),
}


@dataclass(frozen=True)
class Dialect:
    name: DialectName
    answers: dict[str, Answer]

    def answer(self, situation: str) -> Answer:
        return self.answers[situation]


DIALECTS: dict[DialectName, Dialect] = {
    DialectName.BACKEND_LEDGER: Dialect(DialectName.BACKEND_LEDGER, _BACKEND_LEDGER),
    DialectName.LEDGERFLOW: Dialect(DialectName.LEDGERFLOW, _BACKEND_LEDGER | _LEDGERFLOW),
    DialectName.BANKING_LEDGER: Dialect(DialectName.BANKING_LEDGER, _BACKEND_LEDGER | _BANKING_LEDGER),
}
