"""A client as a front end would write it: JSON over HTTP, tokens as bearer, fresh people on demand."""

import itertools
import secrets
from dataclasses import dataclass
from typing import Any

import httpx2

_numbers = itertools.count(1)


def fresh(prefix: str = "k") -> str:
    """A name nobody has used yet."""
    return f"{prefix}-{next(_numbers)}-{secrets.token_hex(4)}"


@dataclass
class Person:
    """A registered user, logged in."""

    client: "Client"
    id: str
    email: str
    password: str
    token: str

    def open_account(self, **fields: object) -> str:
        return str(self.post("/api/accounts", fields).json()["account"]["_id"])

    def balance(self, account: str) -> float:
        return float(self.get(f"/api/accounts/balance/{account}").json()["balance"])

    def send(self, source: str, target: str, amount: object, key: str | None = None) -> httpx2.Response:
        body = {
            "fromAccount": source,
            "toAccount": target,
            "amount": amount,
            "idempotencyKey": key or fresh(),
        }
        return self.post("/api/transactions", body)

    def fund(self, account: str, amount: object, key: str | None = None) -> httpx2.Response:
        """Only for the system user: initial funds."""
        body = {"toAccount": account, "amount": amount, "idempotencyKey": key or fresh()}
        return self.post("/api/transactions/system/initial-funds", body)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.request("GET", path, token=self.token, **options)

    def post(self, path: str, body: object = None, **options: Any) -> httpx2.Response:
        return self.client.request("POST", path, body, token=self.token, **options)

    def patch(self, path: str, body: object = None, **options: Any) -> httpx2.Response:
        return self.client.request("PATCH", path, body, token=self.token, **options)

    def put(self, path: str, body: object = None, **options: Any) -> httpx2.Response:
        return self.client.request("PUT", path, body, token=self.token, **options)

    def delete(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.request("DELETE", path, token=self.token, **options)


class Client:
    """Talks to one service; keeps connections, not cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        self._http.cookies.clear()
        if content is not None:
            return self._http.request(method, path, content=content, headers=sent)
        if body is None:
            return self._http.request(method, path, headers=sent)
        return self._http.request(method, path, json=body, headers=sent)

    def register(self, name: str = "Ann") -> Person:
        email, password = f"{fresh('person')}@example.com", "correct horse"
        answer = self.request(
            "POST", "/api/auth/register", {"email": email, "password": password, "name": name}
        )
        assert answer.status_code == 201, answer.text
        said = answer.json()
        return Person(self, said["user"]["_id"], email, password, said["token"])

    def log_in(self, email: str, password: str) -> Person:
        answer = self.request("POST", "/api/auth/login", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        said = answer.json()
        return Person(self, said["user"]["_id"], email, password, said["token"])
