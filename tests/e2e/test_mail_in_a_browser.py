"""The link of a password mail, the foot of a mail and the mailbox of development, in a real browser."""

import json
import re
from collections.abc import Callable

import pytest

from tests.client import Client
from tests.conftest import Service
from tests.contract.mails import header, mails_to, of
from tests.e2e.browser import Browser

pytestmark = pytest.mark.slow

NEW = "a better horse"
OUTCOME = "document.getElementById('outcome').innerText"


def fill(browser: Browser, **fields: str) -> None:
    for name, value in fields.items():
        browser.evaluate(f"document.getElementById('{name}').value = {json.dumps(value)}")
    browser.evaluate("document.querySelector('button').click()")


def test_the_link_in_a_password_mail_sets_a_new_password(
    start_service: Callable[..., Service], browser: Browser
) -> None:
    service = start_service()
    client = Client(service.url)
    ann = client.register("Ann")
    client.request("POST", "/api/auth/forgot-password", {"email": ann.email})
    mail = of(mails_to(client, ann.email, 2), "Set a new Nostro password")
    browser.call("Page.navigate", url=f"{service.url}/dev/mail/{mail['number']}")
    link = browser.wait_for("document.querySelector('pre a')?.href")
    token = re.search(r"token=\d+\.([0-9a-f]+)", link)
    assert token is not None

    browser.call("Page.navigate", url=link)
    assert browser.wait_for("document.getElementById('email')?.value") == ann.email
    fill(browser, password=NEW, again="another horse")
    assert browser.wait_for(OUTCOME) == "The two passwords differ."
    fill(browser, password=NEW, again=NEW)
    browser.wait_for(f"{OUTCOME} == 'The password was changed; log in with it'")
    assert browser.evaluate("document.getElementById('reset').hidden") is True
    assert client.log_in(ann.email, NEW).get("/api/auth/me").status_code == 200
    assert ann.get("/api/auth/me").status_code == 401

    browser.call("Page.navigate", url="about:blank")
    browser.call("Page.navigate", url=link)
    browser.wait_for("document.getElementById('email')?.value")
    fill(browser, password=NEW, again=NEW)
    browser.wait_for(f"{OUTCOME}.includes('used or is too old')")

    assert not [url for url in browser.requests if token[1] in url], (
        "no address that was asked for has the token"
    )
    assert token[1] not in service.log.read_text()
    assert not [url for url in browser.requests if not url.startswith((service.url, "about:", "data:"))]
    assert [text for text in browser.complaints if "400" not in text] == []
    client.close()


def test_the_mailbox_runs_nothing_that_a_name_brings_along(
    start_service: Callable[..., Service], browser: Browser
) -> None:
    service = start_service()
    client = Client(service.url)
    name = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    ann = client.register(name)
    [mail] = mails_to(client, ann.email)
    for path in ("/dev/mail", f"/dev/mail/{mail['number']}", f"/dev/mail/{mail['number']}/html"):
        browser.call("Page.navigate", url=service.url + path)
        browser.wait_for("document.readyState == 'complete' && document.title")
        assert browser.evaluate("document.title") != "taken"
    assert browser.complaints == []
    assert {url for url in browser.requests if url.endswith("/x")} == set()
    client.close()


def test_the_foot_of_a_mail_ends_mail_of_its_kind_once_its_reader_agrees(
    start_service: Callable[..., Service], browser: Browser
) -> None:
    service = start_service()
    who = ("--email", "system@example.com", "--name", "System", "--password", "a long secret", "--system")
    assert service.command("user", "create", *who).returncode == 0
    client = Client(service.url)
    ann = client.register("Ann")
    assert client.log_in("system@example.com", "a long secret").fund(ann.open_account(), 1).status_code == 201
    mail = of(mails_to(client, ann.email, 2), "Amount Received Successfully!")
    browser.call("Page.navigate", url=header(mail, "List-Unsubscribe").strip("<>"))
    browser.wait_for("document.querySelector('button')?.innerText == 'No more of them'")
    wanted = "/api/users/me/mail-preferences"
    assert ann.get(wanted).json()["mailPreferences"]["events"]["received"] is True
    browser.evaluate("document.querySelector('button').click()")
    browser.wait_for(
        "document.body?.innerText.includes('You will get no more e-mails about money you received')"
    )
    assert ann.get(wanted).json()["mailPreferences"]["events"]["received"] is False
    assert browser.complaints == []
    client.close()
