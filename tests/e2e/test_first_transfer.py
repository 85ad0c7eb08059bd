"""The first transfer of the README, over HTTP against a service of its own."""

from collections.abc import Callable

from tests.client import Client
from tests.conftest import Service


def test_two_people_register_get_money_send_it_and_log_out(start_service: Callable[..., Service]) -> None:
    service = start_service()
    made = service.command(
        "user",
        "create",
        "--email",
        "system@example.com",
        "--name",
        "System",
        "--password",
        "-",
        "--system",
        "--json",
        stdin="a system secret\n",
    )
    assert made.returncode == 0, made.stderr
    client = Client(service.url)
    system = client.log_in("system@example.com", "a system secret")
    ann, bob = client.register("Ann"), client.register("Bob")
    ann_account, bob_account = ann.open_account(), bob.open_account()

    assert system.fund(ann_account, 100).status_code == 201
    first = ann.send(ann_account, bob_account, "10.50", key="rent")
    assert first.status_code == 201
    assert first.json()["transaction"]["status"] == "COMPLETED"
    again = ann.send(ann_account, bob_account, 10.5, key="rent")
    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["transaction"]["_id"] == first.json()["transaction"]["_id"]

    assert ann.balance(ann_account) == 89.5
    assert bob.balance(bob_account) == 10.5
    assert ann.post("/api/auth/logout").status_code == 200
    assert ann.send(ann_account, bob_account, 1).status_code == 401
    verified = service.command("verify")
    assert verified.returncode == 0, verified.stdout
    client.close()
    assert service.stop() == 0
