"""Every operation: method, path, what serves it. openapi/ describes each; a test keeps the two equal."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from nostro.api import (
    account_states,
    accounts,
    auth,
    bulk,
    currencies,
    documentation,
    events,
    follow_ups,
    history,
    limits,
    mail,
    mailbox,
    metrics,
    pages,
    periods,
    reports,
    reset_page,
    standing_orders,
    statements,
    stream,
    transactions,
    webhooks,
)
from nostro.api.desk import Desk
from nostro.api.paths import (
    ACCOUNTS,
    BULK,
    EXCHANGE,
    INITIAL_FUNDS,
    MAIL_PREFERENCES,
    STANDING_ORDERS,
    TRANSACTIONS,
    WEBHOOKS,
)

Endpoint = Callable[[Request, Desk], Awaitable[Response]]


class Operation(NamedTuple):
    """`words`: which rows of the dialects an error in this operation is answered with."""

    method: str
    path: str
    endpoint: Endpoint
    words: str = ""


OPERATIONS: tuple[Operation, ...] = (
    Operation("POST", "/api/auth/register", auth.register),
    Operation("POST", "/api/auth/login", auth.log_in),
    Operation("POST", "/api/auth/logout", auth.log_out),
    Operation("GET", "/api/auth/logout", auth.log_out),
    Operation("POST", "/api/auth/forgot-password", auth.forgot_password),
    Operation("POST", "/api/auth/reset-password", auth.reset_password),
    Operation("GET", "/api/auth/session", auth.session),
    Operation("GET", "/api/auth/me", auth.session),
    Operation("POST", ACCOUNTS, accounts.open_account),
    Operation("GET", ACCOUNTS, accounts.list_accounts),
    Operation("GET", f"{ACCOUNTS}/all", accounts.all_accounts),
    Operation("GET", f"{ACCOUNTS}/balance/{{account}}", history.balance, "balance"),
    Operation("GET", f"{ACCOUNTS}/by-email/{{email}}", accounts.accounts_by_email),
    Operation("GET", f"{ACCOUNTS}/user/{{user}}", accounts.accounts_of_user),
    Operation("GET", f"{ACCOUNTS}/{{account}}", accounts.one_account),
    Operation("PATCH", f"{ACCOUNTS}/{{account}}", accounts.change_details),
    Operation("POST", f"{ACCOUNTS}/{{account}}/status", account_states.change_status),
    *(
        Operation("POST", f"{ACCOUNTS}/{{account}}/{verb}", partial(account_states.change_status_to, status))
        for verb, status in account_states.VERBS.items()
    ),
    Operation("GET", f"{ACCOUNTS}/{{account}}/events", account_states.account_events),
    Operation("GET", f"{ACCOUNTS}/{{account}}/entries", history.list_entries),
    Operation("GET", f"{ACCOUNTS}/{{account}}/series", history.series),
    Operation("GET", f"{ACCOUNTS}/{{account}}/limits", limits.read_limits),
    Operation("PUT", f"{ACCOUNTS}/{{account}}/limits", limits.replace_limits),
    Operation("PATCH", f"{ACCOUNTS}/{{account}}/limits", limits.change_limits),
    Operation("GET", "/api/currencies", currencies.list_currencies),
    Operation("POST", "/api/currencies", currencies.register_currency),
    Operation("GET", "/api/rates", currencies.list_rates),
    Operation("GET", "/api/rates/{base}/{quote}", currencies.one_rate),
    Operation("PUT", "/api/rates/{base}/{quote}", currencies.set_rate),
    Operation("GET", f"{ACCOUNTS}/{{account}}/statement", statements.statement),
    Operation("POST", TRANSACTIONS, transactions.transfer, "transfer"),
    Operation("POST", BULK, bulk.bulk),
    Operation("GET", TRANSACTIONS, history.list_transactions),
    Operation("POST", INITIAL_FUNDS, transactions.initial_funds, "funds"),
    Operation("POST", EXCHANGE, transactions.exchange, "transfer"),
    Operation("POST", f"{TRANSACTIONS}/{{transaction}}/capture", follow_ups.capture, "transfer"),
    Operation("POST", f"{TRANSACTIONS}/{{transaction}}/void", follow_ups.void, "transfer"),
    Operation("POST", f"{TRANSACTIONS}/{{transaction}}/extend", follow_ups.extend, "transfer"),
    Operation("POST", f"{TRANSACTIONS}/{{transaction}}/reverse", follow_ups.reverse, "transfer"),
    Operation("GET", f"{TRANSACTIONS}/history", history.list_transactions),
    Operation("GET", f"{TRANSACTIONS}/account/{{account}}", history.list_transactions),
    Operation("GET", f"{TRANSACTIONS}/by-key/{{key}}", transactions.by_key),
    Operation("GET", f"{TRANSACTIONS}/{{transaction}}", transactions.one_transaction),
    Operation("GET", "/api/events", events.list_events),
    Operation("GET", "/api/stream", stream.stream),
    Operation("GET", "/api/followers", events.list_followers),
    Operation("GET", "/schemas/events", events.list_schemas),
    Operation("GET", "/schemas/events/{type}", events.one_schema),
    Operation("POST", STANDING_ORDERS, standing_orders.create),
    Operation("GET", STANDING_ORDERS, standing_orders.list_orders),
    Operation("GET", f"{STANDING_ORDERS}/{{order}}", standing_orders.one_order),
    Operation("PATCH", f"{STANDING_ORDERS}/{{order}}", standing_orders.change),
    Operation("GET", f"{STANDING_ORDERS}/{{order}}/runs", standing_orders.list_runs),
    Operation("GET", f"{STANDING_ORDERS}/{{order}}/upcoming", standing_orders.upcoming),
    Operation("POST", f"{STANDING_ORDERS}/{{order}}/pause", standing_orders.pause),
    Operation("POST", f"{STANDING_ORDERS}/{{order}}/resume", standing_orders.resume),
    Operation("POST", f"{STANDING_ORDERS}/{{order}}/cancel", standing_orders.cancel),
    Operation("POST", WEBHOOKS, webhooks.create_webhook),
    Operation("GET", WEBHOOKS, webhooks.list_webhooks),
    Operation("GET", f"{WEBHOOKS}/{{webhook}}", webhooks.one_webhook),
    Operation("PATCH", f"{WEBHOOKS}/{{webhook}}", webhooks.change_webhook),
    Operation("DELETE", f"{WEBHOOKS}/{{webhook}}", webhooks.delete_webhook),
    Operation("POST", f"{WEBHOOKS}/{{webhook}}/rotate", webhooks.rotate_secret),
    Operation("GET", f"{WEBHOOKS}/{{webhook}}/deliveries", webhooks.list_deliveries),
    Operation("POST", f"{WEBHOOKS}/{{webhook}}/deliveries/{{position}}/resend", webhooks.resend),
    Operation("GET", f"{WEBHOOKS}/{{webhook}}/attempts", webhooks.list_attempts),
    Operation("POST", f"{WEBHOOKS}/{{webhook}}/replay", webhooks.replay),
    Operation("GET", "/api/reports/trial-balance", reports.trial_balance),
    Operation("GET", "/api/reports/balances", reports.balances),
    Operation("GET", "/api/reports/restatements", reports.restatements),
    Operation("GET", "/api/periods", periods.list_periods),
    Operation("POST", "/api/periods/close", periods.close_period),
    Operation("POST", "/api/periods/reopen", periods.reopen_period),
    Operation("GET", MAIL_PREFERENCES, mail.preferences),
    Operation("PUT", MAIL_PREFERENCES, mail.change_preferences),
    Operation("GET", "/unsubscribe", mail.ask_to_unsubscribe),
    Operation("POST", "/unsubscribe", mail.unsubscribe),
    Operation("GET", "/reset-password", reset_page.reset_page),
    Operation("GET", "/reset-password/form.js", reset_page.reset_script),
    Operation("GET", "/dev/mail", mailbox.mailbox),
    Operation("GET", "/dev/mail/{mail}", mailbox.one_mail),
    Operation("GET", "/dev/mail/{mail}/html", mailbox.mail_as_html),
    Operation("GET", "/", pages.root),
    Operation("GET", "/health", pages.health),
    Operation("GET", "/metrics", metrics.metrics),
    Operation("GET", "/errors/{code}", pages.error_explained),
    Operation("GET", "/openapi.json", documentation.openapi),
    Operation("GET", "/docs", documentation.docs_page),
    Operation("GET", "/docs/{file}", documentation.docs_file),
)
