"""On the wire, in every dialect: paths, methods, types, dates, tokens, the order of checks, CORS."""

import re
import time
from collections.abc import Callable

import httpx2
import pytest

from nostro.store.database import RUNTIME_ROLE
from tests.client import fresh
from tests.contract import raw
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, Stage
from tests.contract.tokens import claims, signed

JSON = "application/json; charset=utf-8"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ORIGIN = "http://localhost:5173"
FOREIGN = "https://evil.example"


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


# ── paths and methods ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "/api/accounts",
        "/api/accounts/",
        "/API/Accounts",
        "/Api/ACCOUNTS/",
        "//api//accounts",
        "/api/accounts?limit=1",
    ],
)
def test_a_path_is_found_in_any_case_with_or_without_a_slash_and_never_redirected(
    stage: Stage, path: str
) -> None:
    answer = raw.exchange(
        stage.house.service.url, raw.request("GET", path, Authorization=f"Bearer {stage.ann.token}")
    )[0]
    assert answer.status == 200
    assert "location" not in answer.headers
    assert [account["_id"] for account in answer.json()["accounts"]] == [stage.ann_account]


def test_a_trailing_slash_serves_post_too(stage: Stage) -> None:
    body = {
        "fromAccount": stage.ann_account,
        "toAccount": stage.bob_account,
        "amount": 1,
        "idempotencyKey": fresh(),
    }
    assert stage.ann.post("/api/TRANSACTIONS/", body).status_code == 201


@pytest.mark.parametrize("path", ["/", "/health", "/api/accounts", "/api/auth/me", "/api/transactions"])
def test_head_works_where_get_does_and_has_no_body(stage: Stage, path: str) -> None:
    bearer = f"Bearer {stage.ann.token}"
    (head,) = raw.exchange(
        stage.house.service.url, raw.request("HEAD", path, Authorization=bearer), method="HEAD"
    )
    (get,) = raw.exchange(stage.house.service.url, raw.request("GET", path, Authorization=bearer))
    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_a_method_that_a_path_does_not_have_is_405_and_names_those_it_has(house: House) -> None:
    answer = house.client.request("DELETE", "/api/accounts")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/api", "/api/nothing", "/nothing", "/api/auth"])
def test_an_unknown_path_is_404_in_json(house: House, path: str) -> None:
    answer = house.client.request("POST", path, {})
    assert answer.headers["content-type"] == JSON
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# ── documents ────────────────────────────────────────────────────────────────────────────────────────


def test_answers_are_json_in_utf8_with_ids_and_dates_as_clients_parse_them(stage: Stage) -> None:
    answers = [stage.send(), stage.ann.get("/api/accounts"), stage.fund()]
    documents = [answers[0].json()["transaction"], answers[1].json()["accounts"][0]]
    documents.append(answers[2].json()["transaction"])
    for answer in answers:
        assert answer.headers["content-type"] == JSON
    for document in documents:
        assert document["__v"] == 0
        for name in ("_id", "id", "user", "fromAccount", "toAccount"):
            assert re.fullmatch(r"[0-9a-f]{24}", document.get(name, NOBODY))
        for name in ("createdAt", "updatedAt"):
            assert MOMENT.fullmatch(document[name])


def test_ids_may_come_in_upper_case_and_go_back_in_lower(stage: Stage) -> None:
    answer = stage.send(toAccount=stage.bob_account.upper())
    assert answer.json()["transaction"]["toAccount"] == stage.bob_account


def test_names_keep_their_letters(house: House) -> None:
    person = house.client.register("Žofie Łaß 山田 😀")
    assert person.get("/api/auth/me").json()["user"]["name"] == "Žofie Łaß 山田 😀"


def test_an_account_opens_with_no_body_and_no_content_type(stage: Stage) -> None:
    (answer,) = raw.exchange(
        stage.house.service.url,
        raw.request("POST", "/api/accounts", Authorization=f"Bearer {stage.bob.token}", Content_Length="0"),
    )
    assert answer.status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON;charset=UTF-8",
        "application/json ; x=y",
        "application/vnd.api+json",
    ],
)
def test_json_comes_under_any_of_its_names(stage: Stage, content_type: str) -> None:
    answer = stage.house.client.request(
        "POST",
        "/api/accounts",
        token=stage.bob.token,
        content=b' {"currency" : "INR"} ',
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == 201, answer.text


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_cookie_is_the_token_and_comes_before_the_bearer(stage: Stage) -> None:
    def who(**headers: str) -> str:
        answer = stage.house.client.request("GET", "/api/auth/me", headers=headers)
        return str(answer.json().get("user", {}).get("_id", answer.status_code))

    ann, bob = f"token={stage.ann.token}", f"Bearer {stage.bob.token}"
    assert who(Cookie=ann) == stage.ann.id
    assert who(Authorization=bob) == stage.bob.id
    assert who(Cookie=ann, Authorization=bob) == stage.ann.id
    assert who(Cookie=f"theme=dark; {ann}; lang=en") == stage.ann.id
    assert who(Cookie="token=", Authorization=bob) == stage.bob.id
    assert who(Cookie="token=nonsense", Authorization=bob) == "401"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_bearer_scheme_comes_in_any_case(stage: Stage, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {stage.ann.token}"}
    assert stage.house.client.request("GET", "/api/auth/me", headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["Basic {token}", "{token}", "Bearer", "Token {token}", ""])
def test_other_schemes_are_no_token_at_all(stage: Stage, header: str) -> None:
    headers = {"Authorization": header.format(token=stage.ann.token)}
    answer = stage.house.client.request("GET", "/api/auth/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_minted_elsewhere_with_the_secret_and_three_claims_works(stage: Stage) -> None:
    now = int(time.time())
    minted = signed({"userId": stage.ann.id, "iat": now, "exp": now + 60})
    assert stage.house.client.request("GET", "/api/auth/me", token=minted).json()["user"]["_id"] == stage.ann.id
    body = {
        "fromAccount": stage.ann_account,
        "toAccount": stage.bob_account,
        "amount": 1,
        "idempotencyKey": fresh(),
    }
    assert stage.house.client.request("POST", "/api/transactions", body, token=minted).status_code == 201
    assert stage.house.client.request("POST", "/api/auth/logout", token=minted).status_code == 200
    assert stage.house.client.request("GET", "/api/auth/me", token=minted).status_code == 401


# ── the order of checks ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["system/initial-funds", "initial-funds", "system/intial-funds"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"toAccount": "", "amount": "", "idempotencyKey": ""},
        {"toAccount": "", "amount": 0, "idempotencyKey": ""},
        {"toAccount": None, "amount": None, "idempotencyKey": None},
    ],
    ids=["nothing", "empty texts", "zero", "nulls"],
)
def test_a_probe_of_initial_funds_reads_400_as_system_user_and_403_as_not(
    stage: Stage, path: str, body: dict[str, object]
) -> None:
    path = f"/api/transactions/{path}"
    assert stage.house.system.post(path, body).status_code == 400
    assert stage.ann.post(path, body).status_code == 403
    assert stage.house.client.request("POST", path, body).status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"toAccount":1,"toAccount":2}'])
@pytest.mark.parametrize(
    "path", ["/api/transactions", "/api/transactions/system/initial-funds", "/api/accounts"]
)
def test_the_token_is_judged_before_the_body(stage: Stage, path: str, body: bytes) -> None:
    def ask(token: str) -> httpx2.Response:
        headers = {"Content-Type": "application/json"}
        return stage.house.client.request("POST", path, content=body, token=token, headers=headers)

    assert ask("").json()["code"] == "token_missing"
    assert ask(signed(claims(stage.ann.id), key="another")).json()["code"] == "token_invalid"
    assert ask(signed(claims(NOBODY))).json()["code"] == "token_invalid"


# ── CORS ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("origin", [ORIGIN, "http://127.0.0.1:8080", "https://localhost", "http://[::1]:3000"])
def test_any_loopback_origin_may_call_with_credentials_during_development(stage: Stage, origin: str) -> None:
    answers = [
        stage.ann.get("/api/accounts", headers={"Origin": origin}),
        stage.house.client.request("GET", "/api/accounts", headers={"Origin": origin}),
        stage.house.client.request("GET", "/nothing", headers={"Origin": origin}),
        stage.ann.post("/api/transactions", {}, headers={"Origin": origin}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 400]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "wanted", ["content-type", "authorization,content-type,idempotency-key", "x-requested-with"]
)
def test_preflights_are_answered_without_a_token(house: House, wanted: str) -> None:
    answer = house.client.request(
        "OPTIONS",
        "/api/transactions",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": wanted,
        },
    )
    assert answer.status_code in (200, 204), answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in wanted.split(","))


@pytest.mark.parametrize(
    "origin",
    [FOREIGN, "null", "http://localhost.evil.example", "http://evil.example#localhost", "http://[::1", "x"],
)
def test_other_origins_are_not_let_in(stage: Stage, origin: str) -> None:
    headers = {"Origin": origin}
    assert "access-control-allow-origin" not in stage.ann.get("/api/accounts", headers=headers).headers
    preflight = stage.house.client.request(
        "OPTIONS", "/api/transactions", headers=headers | {"Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers


def test_in_production_only_the_configured_origins_may_call(
    house: House, open_house: Callable[..., House]
) -> None:
    production = open_house(
        database=house.tables.dsn.replace("user=postgres", f"user={RUNTIME_ROLE}"),
        NOSTRO_ENV="production",
        NOSTRO_CORS_ORIGINS=f"https://bank.example, {ORIGIN}/",
    )
    for origin, allowed in ((ORIGIN, True), ("https://bank.example", True), ("http://localhost:1", False)):
        answer = production.client.request("GET", "/health", headers={"Origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


# ── headers ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/health"), ("GET", "/nothing"), ("GET", "/api/accounts"), ("PUT", "/api/accounts")],
)
def test_every_answer_carries_the_security_headers_and_names_no_software(
    house: House, method: str, path: str
) -> None:
    headers = house.client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "x-powered-by" not in headers
