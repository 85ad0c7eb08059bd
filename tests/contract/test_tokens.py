"""Tokens: what is forged is refused alike, what was logged out stays out everywhere, and what rests on the
cookie alone must come from an allowed page."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY
from tests.contract.tokens import claims, encoded, signed

FOREIGN = "https://evil.example"
PAGE = "http://localhost:5173"
FAR = 2**63


@pytest.fixture(scope="module")
def ann(house: House) -> Person:
    return house.client.register()


def who(house: House, token: str, **headers: str) -> httpx2.Response:
    return house.client.request("GET", "/api/auth/me", token=token, headers=headers)


# ── forged ───────────────────────────────────────────────────────────────────────────────────────────


def unsigned(header: dict[str, Any], user: str) -> str:
    return ".".join([encoded(json.dumps(header).encode()), encoded(json.dumps(claims(user)).encode()), ""])


def with_header(**members: Any) -> Callable[[str], str]:
    return lambda user: signed(claims(user), header={"alg": "HS256", "typ": "JWT"} | members)


def with_claims(**members: Any) -> Callable[[str], str]:
    return lambda user: signed(claims(user) | members)


def without_claim(name: str) -> Callable[[str], str]:
    return lambda user: signed({key: value for key, value in claims(user).items() if key != name})


def spelt(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda user: change(signed(claims(user)))


def parts(change: Callable[[str, str, str], str]) -> Callable[[str], str]:
    return lambda user: change(*signed(claims(user)).split("."))


def written(text: str) -> Callable[[str], str]:
    return lambda user: signed(text.replace("USER", user).replace("NOW", str(int(time.time()))).encode())


FORGED: dict[str, Callable[[str], str]] = {
    # algorithms and keys
    **{f"alg {name}": (lambda user, n=name: unsigned({"alg": n}, user)) for name in ("none", "None", "NONE")},
    "alg nOnE, signed": with_header(alg="nOnE"),
    "alg in lower case": with_header(alg="hs256"),
    "alg null": with_header(alg=None),
    "alg in a list": with_header(alg=["HS256"]),
    "no alg": lambda user: signed(claims(user), header={"typ": "JWT"}),
    "alg twice": lambda user: signed(claims(user), header=b'{"alg":"none","alg":"HS256"}'),
    "HS384": lambda user: signed(claims(user), header={"alg": "HS384"}, digest="sha384"),
    "HS512": lambda user: signed(claims(user), header={"alg": "HS512"}, digest="sha512"),
    "RS256 by HS256": with_header(alg="RS256"),
    "ES256 by HS256": with_header(alg="ES256"),
    "another key": lambda user: signed(claims(user), key="another secret"),
    "an empty key": lambda user: signed(claims(user), key=""),
    "a key of NUL": lambda user: signed(claims(user), key=b"\x00" * 32),
    # headers that would lead elsewhere
    "kid": with_header(kid="1"),
    "kid of a path": with_header(kid="../../../dev/null"),
    "kid of SQL": with_header(kid="' UNION SELECT 'secret' --"),
    "jku": with_header(jku="https://evil.example/keys"),
    "jwk": with_header(jwk={"kty": "oct", "k": "c2VjcmV0"}),
    "x5u": with_header(x5u="https://evil.example/cert"),
    "crit": with_header(crit=["exp"]),
    "crit of nothing": with_header(crit=[]),
    "b64 false": with_header(b64=False),
    "b64 false, critical": with_header(b64=False, crit=["b64"]),
    "zip": with_header(zip="DEF"),
    "another type": with_header(typ="JWE"),
    "nested": with_header(cty="JWT"),
    "header of an array": lambda user: signed(claims(user), header=b"[]"),
    "header of no JSON": lambda user: signed(claims(user), header=b"HS256"),
    # claims
    "no exp": without_claim("exp"),
    "exp null": with_claims(exp=None),
    "exp as text": with_claims(exp=str(int(time.time()) + 3600)),
    "exp with a fraction": with_claims(exp=time.time() + 3600),
    "exp huge": with_claims(exp=FAR),
    "exp beyond a float": with_claims(exp=10**400),
    "exp true": with_claims(exp=True),
    "exp negative": with_claims(exp=-1),
    "exp past": with_claims(exp=int(time.time()) - 1),
    "exp now": with_claims(exp=int(time.time())),
    "exp NaN": written('{"userId":"USER","iat":NOW,"exp":NaN}'),
    "exp Infinity": written('{"userId":"USER","iat":NOW,"exp":Infinity}'),
    "exp twice": written('{"userId":"USER","iat":NOW,"exp":1,"exp":99999999999}'),
    "iat in the future": with_claims(iat=int(time.time()) + 3600),
    "iat as text": with_claims(iat="now"),
    "nbf in the future": with_claims(nbf=int(time.time()) + 3600),
    "nbf as text": with_claims(nbf="now"),
    "an audience": with_claims(aud="another service"),
    "no user": without_claim("userId"),
    "user null": with_claims(userId=None),
    "user as a number": with_claims(userId=5),
    "user as an operator": with_claims(userId={"$ne": None}),
    "user in a list": lambda user: signed(claims(user) | {"userId": [user]}),
    "user too short": with_claims(userId="0" * 23),
    "user with a line feed": lambda user: signed(claims(user) | {"userId": user + "\n"}),
    "user of SQL": with_claims(userId="' OR '1'='1"),
    "user twice": written('{"userId":"' + NOBODY + '","userId":"USER","iat":NOW,"exp":99999999999}'),
    "claims of an array": lambda user: signed(json.dumps([claims(user)]).encode()),
    "claims of no JSON": lambda user: signed(user.encode()),
    "claims 1,500 deep": lambda _: signed(b'{"a":' * 1500),
    # the text
    "cut off": spelt(lambda token: token[:-1]),
    "padded": spelt(lambda token: token + "="),
    "padded twice": spelt(lambda token: token + "=="),
    "a letter more": spelt(lambda token: token + "A"),
    "a dot more": spelt(lambda token: token + "."),
    "a part more": spelt(lambda token: token + ".e30"),
    "white space inside": spelt(lambda token: token[:20] + " " + token[20:]),
    "no signature": parts(lambda head, body, _: f"{head}.{body}."),
    "two parts": parts(lambda head, body, _: f"{head}.{body}"),
    "another's signature": parts(
        lambda head, body, _: f"{head}.{body}." + signed(claims(NOBODY)).split(".")[2]
    ),
    "another's claims": parts(
        lambda head, _, sign: f"{head}.{encoded(json.dumps(claims(NOBODY)).encode())}.{sign}"
    ),
    "header padded": parts(lambda head, body, sign: f"{head}=.{body}.{sign}"),
    "other bits at the end": parts(
        lambda head, body, sign: f"{head}.{body}.{sign[:-1]}{chr(ord(sign[-1]) + 1)}"
    ),
    "as JSON": parts(
        lambda head, body, sign: json.dumps({"protected": head, "payload": body, "signature": sign})
    ),
    "encrypted": parts(lambda head, body, sign: f"{head}.{body}.{sign}.{sign}.{sign}"),
    "a document database's": lambda _: 'j:{"$ne":null}',
    "20 kB of nothing": lambda _: "x" * 20_000,
    "20 kB of dots": lambda _: "." * 20_000,
    "20 kB, well signed": with_claims(note="x" * 20_000),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_token_is_401_with_the_same_body_as_any_other(house: House, ann: Person, forgery: str) -> None:
    token = FORGED[forgery](ann.id)
    plain = who(house, "nonsense")
    assert (plain.status_code, plain.json()["code"]) == (401, "token_invalid")
    for answer in (who(house, token), who(house, "", Cookie=f"token={token}")):
        assert (answer.status_code, answer.content) == (401, plain.content)
    moved = house.client.request("POST", "/api/transactions", {}, token=token)
    assert (moved.status_code, moved.json()["code"]) == (401, "token_invalid")


def test_100_kb_of_token_are_refused_before_they_are_read(house: House) -> None:
    answer = who(house, "x" * 100_000)
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


def test_there_are_at_least_35_forgeries() -> None:
    assert len(FORGED) >= 35


@pytest.mark.parametrize(
    "header", [{"alg": "HS256"}, {"alg": "HS256", "typ": "jwt"}, {"typ": "JWT", "alg": "HS256"}]
)
def test_a_plain_token_from_elsewhere_is_taken_however_it_is_written(
    house: House, ann: Person, header: dict[str, str]
) -> None:
    assert who(house, signed(claims(ann.id), header=header)).status_code == 200
    assert who(house, signed(claims(ann.id, nbf=int(time.time())), header=header)).status_code == 200
    assert who(house, signed(json.dumps(claims(ann.id), indent=4).encode(), header=header)).status_code == 200


# ── logging out ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def second(open_house: Callable[..., House], house: House) -> House:
    """Another service on the same database."""
    return open_house(database=house.tables.dsn)


@pytest.mark.parametrize("carrier", ["bearer", "cookie", "both"])
def test_logging_out_revokes_the_token_at_every_service_on_the_database(
    house: House, second: House, carrier: str
) -> None:
    person = house.client.register()
    assert who(second, person.token).status_code == 200
    headers = {} if carrier == "bearer" else {"Cookie": f"token={person.token}"}
    token = "" if carrier == "cookie" else person.token
    assert house.client.request("POST", "/api/auth/logout", token=token, headers=headers).status_code == 200
    for place in (house, second):
        assert who(place, person.token).status_code == 401
        assert who(place, "", Cookie=f"token={person.token}").status_code == 401


def test_every_spelling_of_the_claims_that_were_verified_is_revoked(house: House) -> None:
    """A token is known by its claims: the same ones in another order, header or layout are the same token."""
    person = house.client.register()
    said = claims(person.id)
    spellings = [
        signed(said),
        signed(dict(reversed(said.items()))),
        signed(json.dumps(said, indent=1).encode()),
        signed(said, header={"alg": "HS256"}),
    ]
    assert len(set(spellings)) == 4
    assert [who(house, token).status_code for token in spellings] == [200] * 4
    house.client.request("POST", "/api/auth/logout", token=spellings[0])
    assert [who(house, token).status_code for token in spellings] == [401] * 4
    assert who(house, person.token).status_code == 200, "another token of the same user is not touched"


def test_logging_out_twice_or_with_garbage_is_fine_and_stores_nothing_more(house: House) -> None:
    person = house.client.register()
    count = "SELECT count(*) FROM revoked_tokens"
    before = house.tables.value(count)
    for token in (person.token, person.token, "garbage", FORGED["another key"](person.id), "x" * 20_000, ""):
        assert house.client.request("POST", "/api/auth/logout", token=token).status_code == 200
    assert house.tables.value(count) == before + 1


def test_what_is_stored_of_a_token_is_only_its_digest(house: House) -> None:
    person = house.client.register()
    person.post("/api/auth/logout")
    row = house.tables.rows("SELECT * FROM revoked_tokens ORDER BY revoked_at DESC LIMIT 1")[0]
    assert (len(row["digest"]), row["user_id"].hex()) == (32, person.id)
    assert person.token not in str(dict(row))


@pytest.mark.slow
def test_a_revoked_token_is_still_revoked_after_a_restart(
    house: House, open_house: Callable[..., House]
) -> None:
    person, other = house.client.register(), house.client.register()
    person.post("/api/auth/logout")
    restarted = open_house(database=house.tables.dsn)
    assert who(restarted, person.token).status_code == 401
    assert who(restarted, other.token).status_code == 200


# ── the cookie ───────────────────────────────────────────────────────────────────────────────────────


def set_cookie(answer: httpx2.Response) -> tuple[str, set[str]]:
    value, *flags = answer.headers["set-cookie"].split(";")
    return value, {flag.strip().lower() for flag in flags}


@pytest.mark.parametrize(
    ("dialect", "lifetime"), [("backend-ledger", 259_200), ("ledgerflow", 259_200), ("banking-ledger", 604_800)]
)
def test_the_cookie_is_the_token_with_its_flags(
    house_of: Callable[[str], House], dialect: str, lifetime: int
) -> None:
    house = house_of(dialect)
    who_body = {"email": f"{fresh('flags')}@example.com", "password": "secret"}
    for path in ("register", "login"):
        answer = house.client.request("POST", f"/api/auth/{path}", who_body | {"name": "F"})
        value, flags = set_cookie(answer)
        assert value == f"token={answer.json()['token']}"
        assert flags == {"httponly", "samesite=lax", "path=/", f"max-age={lifetime}"}
    value, flags = set_cookie(house.client.request("POST", "/api/auth/logout", token=answer.json()["token"]))
    assert value == 'token=""'
    assert flags >= {"httponly", "samesite=lax", "path=/", "max-age=0"}


def test_behind_a_proxy_that_speaks_tls_the_cookie_is_secure(house: House) -> None:
    body = {"email": f"{fresh('tls')}@example.com", "password": "secret", "name": "T"}
    answer = house.client.request("POST", "/api/auth/register", body, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in set_cookie(answer)[1]


# ── requests from other pages ────────────────────────────────────────────────────────────────────────

ALLOWED = [
    {},
    {"Origin": PAGE},
    {"Origin": "http://127.0.0.1:1234"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"},
]
REFUSED = [
    {"Origin": FOREIGN},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "http://[::1"},
    {"Origin": "file://"},
    {"Origin": "HTTP://EVIL.EXAMPLE"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": FOREIGN, "Sec-Fetch-Site": "same-origin"},
]
CHANGES = [
    ("POST", "/api/accounts"),
    ("POST", "/api/transactions"),
    ("POST", "/api/transactions/system/initial-funds"),
    ("POST", "/api/auth/logout"),
    ("GET", "/api/auth/logout"),
    ("POST", f"/api/accounts/{NOBODY}/status"),
]


@pytest.mark.parametrize("headers", REFUSED, ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_that_rests_on_the_cookie_alone_is_refused_from_a_foreign_page(
    house: House, ann: Person, method: str, path: str, headers: dict[str, str]
) -> None:
    before = house.tables.position()
    answer = house.client.request(method, path, headers={"Cookie": f"token={ann.token}"} | headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_refused")
    assert house.tables.position() == before
    assert who(house, ann.token).status_code == 200


@pytest.mark.parametrize("headers", ALLOWED, ids=str)
def test_a_change_from_an_allowed_page_or_none_is_made(
    house: House, ann: Person, headers: dict[str, str]
) -> None:
    cookie = {"Cookie": f"token={ann.token}"}
    assert house.client.request("POST", "/api/accounts", headers=cookie | headers).status_code == 201


def test_the_services_own_page_may_change_things(house: House, ann: Person) -> None:
    headers = {"Cookie": f"token={ann.token}", "Origin": house.service.url}
    assert house.client.request("POST", "/api/accounts", headers=headers).status_code == 201


@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_a_bearer_token_is_no_browsers_doing_and_works_from_anywhere(
    house: House, ann: Person, headers: dict[str, str]
) -> None:
    assert ann.post("/api/accounts", headers=headers).status_code == 201
    answer = house.client.request("GET", "/api/auth/me", headers={"Cookie": f"token={ann.token}"} | headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
)
def test_a_form_of_a_foreign_page_changes_nothing(house: House, ann: Person, content_type: str) -> None:
    before = house.tables.position()
    headers = {"Cookie": f"token={ann.token}", "Origin": FOREIGN, "Content-Type": content_type}
    answer = house.client.request("POST", "/api/accounts", content=b'{"currency":"INR"}', headers=headers)
    assert answer.status_code == 403
    assert house.tables.position() == before
