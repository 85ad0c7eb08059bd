"""The page at /docs in a real browser: it renders, asks nobody but us, and what is tried there works.

Chromium is driven over its debugging pipe: messages are JSON objects, each ended by a NUL byte.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nostro.api.documentation_files import DOCS_FILES
from nostro.api.openapi.document import DESCRIPTIONS
from tests.client import Client, fresh
from tests.conftest import Service

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE_S = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, where Chromium's own sandbox refuses to
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)
# Chromium reads its file descriptor 3 and writes its 4.
_BECOME = "import os, sys; a = sys.argv; os.dup2(int(a[1]), 3); os.dup2(int(a[2]), 4); os.execv(a[3], a[3:])"

pytestmark = pytest.mark.slow


class Browser:
    """One page of a headless Chromium, what it asked for and what it complained about."""

    def __init__(self, profile: Path) -> None:
        assert _CHROMIUM is not None
        theirs_in, self._out = _pipe()
        self._in, theirs_out = _pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _BECOME, str(theirs_in), str(theirs_out)),
                *(_CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._received = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def open_page(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._in], [], [], _PATIENCE_S)
            assert ready, "the browser does not answer"
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "the browser has gone"
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(said["request"]["url"])
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(said["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(said["args"]))
            case "Audits.issueAdded" if "ContentSecurityPolicy" in said["issue"]["code"]:
                self.complaints.append(json.dumps(said["issue"]))

    def evaluate(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """What the script says once it says something true."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(
            f"never true: {script}\n{self.complaints}\n{self.evaluate('document.body.innerText')}"
        )

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._in)
        os.close(self._out)


def _pipe() -> tuple[int, int]:
    """Both ends above 9, out of the way of the descriptors that Chromium is given."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("chromium is not installed: the page at /docs was not looked at")
    opened = Browser(tmp_path / "profile")
    try:
        opened.open_page()
        yield opened
    finally:
        opened.close()


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
