"""The page at /docs in a real browser: it renders, asks nobody but us, and what is tried there works."""

import json
from collections.abc import Callable

import pytest

from nostro.api.documentation_files import DOCS_FILES
from nostro.api.openapi.document import DESCRIPTIONS
from tests.client import Client, fresh
from tests.conftest import Service
from tests.e2e.browser import Browser

pytestmark = pytest.mark.slow


def _try(browser: Browser, method: str, path: str) -> tuple[str, str]:
    """Open an operation, press Execute, and read the status and the body that the page shows."""
    described = DESCRIPTIONS[method, path]
    block = f"document.getElementById('operations-{described.tag}-{described.name}')"
    browser.evaluate(f"{block}.querySelector('.opblock-summary-control').click()")
    browser.wait_for(f"!!{block}.querySelector('button.execute')")
    # The page reads an operation's references after it has drawn it; a person is slower than that.
    place = json.dumps(["paths", path, method.lower()])
    browser.wait_for(f"!!ui.getSystem().specSelectors.specResolvedSubtree({place})")
    browser.evaluate(f"{block}.querySelector('button.execute').click()")
    shown = f"{block}.querySelector('.live-responses-table .response"
    status = browser.wait_for(f"{shown} .response-col_status')?.innerText")
    body = browser.wait_for(f"{shown} .response-col_description')?.innerText")
    return status.strip(), body


def test_the_page_renders_asks_only_us_and_what_is_tried_works(
    start_service: Callable[..., Service], browser: Browser
) -> None:
    service = start_service()
    browser.call("Page.navigate", url=f"{service.url}/docs")
    browser.wait_for("document.querySelectorAll('.opblock').length > 20")
    assert "Nostro" in browser.evaluate("document.querySelector('.info .title').innerText")

    status, body = _try(browser, "GET", "/health")
    assert status == "200"
    assert '"status": "ok"' in body

    # A login by cookie counts for what is tried afterwards, also for what changes something.
    person = {"email": f"{fresh()}@example.com", "password": "correct horse", "name": "Ann"}
    headers = {"Content-Type": "application/json"}
    sent = json.dumps({"method": "POST", "headers": headers, "body": json.dumps(person)})
    assert browser.evaluate(f"fetch('/api/auth/register', {sent}).then(answer => answer.status)") == 201
    status, body = _try(browser, "GET", "/api/auth/me")
    assert (status, person["email"] in body) == ("200", True)
    status, body = _try(browser, "POST", "/api/accounts")
    assert (status, '"balance": 0' in body) == ("201", True)

    # What is meant to be refused would show here too: nothing was.
    assert browser.complaints == []
    ours = (service.url, "data:", "blob:", "about:")
    assert [url for url in browser.requests if not url.startswith(ours)] == []
    assert sum(url.startswith(service.url) for url in browser.requests) >= 8


def test_a_bearer_token_given_to_the_page_counts(
    start_service: Callable[..., Service], browser: Browser
) -> None:
    service = start_service()
    client = Client(service.url)
    person = client.register()
    client.close()
    browser.call("Page.navigate", url=f"{service.url}/docs")
    browser.wait_for("document.querySelectorAll('.opblock').length > 20")
    browser.evaluate("document.querySelector('.btn.authorize').click()")
    browser.wait_for("!!document.querySelector('.auth-container input')")
    # React listens to the native setter, not to the value attribute.
    browser.evaluate(
        "(() => { const field = document.querySelector('.auth-container input');"
        "Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, "
        f"{json.dumps(person.token)}); field.dispatchEvent(new Event('input', {{bubbles: true}}));"
        "document.querySelector('.auth-btn-wrapper .authorize').click(); })()"
    )
    browser.wait_for("document.querySelectorAll('.auth-btn-wrapper .authorize').length == 1")
    browser.evaluate("document.querySelector('.btn-done').click()")
    status, body = _try(browser, "GET", "/api/auth/me")
    assert (status, person.email in body) == ("200", True)
    assert browser.complaints == []


def test_the_files_of_the_page_are_served_and_nothing_beside_them(
    start_service: Callable[..., Service],
) -> None:
    client = Client(start_service().url)
    for name, content_type in DOCS_FILES.items():
        answer = client.request("GET", f"/docs/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert answer.headers["x-content-type-options"] == "nosniff"
        kept = name != "start.js"
        assert ("immutable" in answer.headers["cache-control"]) is kept
        assert ("no-store" in answer.headers["cache-control"]) is not kept
    page = client.request("GET", "/docs")
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    for name in ("VERSION", "index.css", "..%2f__init__.py", "%2e%2e/__init__.py", "%2fetc%2fpasswd", "x%00"):
        answer = client.request("GET", f"/docs/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name
    client.close()
