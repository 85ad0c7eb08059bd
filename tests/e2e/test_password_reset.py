"""A forgotten password, from the wish to the first login with the new one."""

from collections.abc import Callable

from tests.client import Client, Person
from tests.conftest import Service


def _reset(client: Client, person: Person, token: str, password: str) -> int:
    body = {"email": person.email, "token": token, "newPassword": password}
    return client.request("POST", "/api/auth/reset-password", body).status_code


def test_a_reset_link_works_once_and_voids_every_earlier_token(start_service: Callable[..., Service]) -> None:
    service = start_service()
    client = Client(service.url)
    ann, bob = client.register("Ann"), client.register("Bob")
    token = service.command("user", "reset-token", "--email", ann.email).stdout.strip()

    assert _reset(client, bob, token, "a new secret") == 400
    assert _reset(client, ann, token[:-1] + ("0" if token[-1] != "0" else "1"), "a new secret") == 400
    assert _reset(client, ann, token, "short") == 400
    assert _reset(client, ann, token, "a new secret") == 200
    assert _reset(client, ann, token, "another secret") == 400

    assert ann.get("/api/auth/me").status_code == 401
    assert bob.get("/api/auth/me").status_code == 200
    wrong = client.request("POST", "/api/auth/login", {"email": ann.email, "password": ann.password})
    assert wrong.status_code == 401
    again = client.log_in(ann.email, "a new secret")
    assert again.get("/api/auth/me").status_code == 200
    client.close()


def test_asking_for_a_link_tells_nobody_whether_the_address_exists(
    start_service: Callable[..., Service],
) -> None:
    service = start_service()
    client = Client(service.url)
    ann = client.register("Ann")
    answers = [
        client.request("POST", "/api/auth/forgot-password", {"email": email})
        for email in (ann.email, "nobody@example.com")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert service.command("verify").returncode == 0
    client.close()
