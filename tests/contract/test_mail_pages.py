"""The pages that mails lead to, and the mailbox of development: what they show, and what they do not let in."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client import Client
from tests.conftest import JWT_SECRET, start
from tests.contract.conftest import House
from tests.contract.mails import header, mails_to, of

HTML = {"Accept": "text/html,application/xhtml+xml"}
MAIL_PATHS = ("/dev/mail", "/dev/mail/1", "/dev/mail/1/html")


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of these tests' own: in a mailbox that gets the mail of all tests, some would not be kept."""
    return open_house()


def policy(house: House, path: str) -> str:
    answer = house.client.request("GET", path, headers=HTML)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return str(answer.headers["content-security-policy"])


def test_the_mailbox_is_a_page_for_people_and_json_for_programs(house: House) -> None:
    ann = house.client.register("Ann")
    [mail] = mails_to(house.client, ann.email)
    page = house.client.request("GET", f"/dev/mail?to={ann.email}", headers=HTML).text
    assert f'<a href="/dev/mail/{mail["number"]}">Welcome to Nostro!</a>' in page
    page = house.client.request("GET", f"/dev/mail/{mail['number']}", headers=HTML).text
    assert "Dear Ann," in page
    assert f'<iframe sandbox="" title="The mail as HTML" src="/dev/mail/{mail["number"]}/html">' in page


def test_a_page_of_the_mailbox_runs_nothing_and_loads_nothing_foreign(house: House) -> None:
    [mail] = mails_to(house.client, house.client.register().email)
    path = f"/dev/mail/{mail['number']}"
    for one, allowed in ((path, "frame-src 'self'"), ("/dev/mail", "form-action 'none'")):
        assert policy(house, one).startswith("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'")
        assert allowed in policy(house, one)
        assert "script-src" not in policy(house, one)
    framed = policy(house, f"{path}/html")
    assert framed.startswith("sandbox; default-src 'none'; style-src 'unsafe-inline';")
    assert "frame-ancestors 'self'" in framed


def test_a_mail_is_shown_with_everything_escaped(house: House) -> None:
    name = "</title><script>alert(1)</script>"
    [mail] = mails_to(house.client, house.client.register(name).email)
    for path in ("/dev/mail", f"/dev/mail/{mail['number']}", f"/dev/mail/{mail['number']}/html"):
        page = house.client.request("GET", path, headers=HTML).text
        assert "<script" not in page


@pytest.mark.parametrize("number", ["0", "999999999", "x", "-1", "1" * 30, "%D9%A1"])
def test_a_mail_that_is_not_there_is_not_found(house: House, number: str) -> None:
    for path in (f"/dev/mail/{number}", f"/dev/mail/{number}/html"):
        answer = house.client.request("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_page_for_a_new_password_lets_only_its_own_script_run(house: House) -> None:
    said = policy(house, "/reset-password")
    assert "script-src 'self'; connect-src 'self'; form-action 'none'" in said
    page = house.client.request("GET", "/reset-password").text
    assert page.count("<script") == 1
    assert '<script src="reset-password/form.js" defer></script>' in page
    script = house.client.request("GET", "/reset-password/form.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert 'fetch("api/auth/reset-password"' in script.text


def test_the_house_has_its_own_name_and_address(open_house: Callable[..., House]) -> None:
    house = open_house(NOSTRO_NAME="Bank & Söhne", NOSTRO_PUBLIC_URL="https://bank.example/ledger/")
    ann, _ = house.funded(100)
    mails = mails_to(house.client, ann.email, 2)
    welcome = of(mails, "Welcome to Bank & Söhne!")
    assert header(welcome, "From") == "Bank & Söhne <nostro@localhost>"
    assert "Welcome to Bank &amp; Söhne" in welcome["html"]
    unsubscribe = header(of(mails, "Amount Received Successfully!"), "List-Unsubscribe")
    assert unsubscribe.startswith("<https://bank.example/ledger/unsubscribe?token=")


@pytest.mark.slow
def test_in_production_there_is_no_mailbox_and_without_a_server_no_mail(tmp_path: Path) -> None:
    secret = base64.b64encode(JWT_SECRET.encode()).decode()
    service = start(
        tmp_path / "log", "--data-dir", str(tmp_path / "var"), NOSTRO_ENV="production", JWT_SECRET=secret
    )
    client = Client(service.url)
    client.register()
    for path in MAIL_PATHS:
        answer = client.request("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.request("GET", "/reset-password").status_code == 200
    client.close()
    assert service.stop() == 0
    assert service.process.stdout
    service.process.stdout.close()
    assert service.log.read_text().count('"off; SMTP_HOST or EMAIL_USER turns it on"') == 1
