"""Whatever a client sends, it is answered with a clear refusal in JSON and a code, never with a 500, and a
refusal stores nothing."""

import gzip
import json
import re
from typing import Any

import httpx2
import pytest

from tests.client import fresh
from tests.contract import raw
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, Stage

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


def post(stage: Stage, path: str, content: bytes, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return stage.ann.post(path, content=content, headers=JSON | named)


def refused(answer: httpx2.Response | raw.RawAnswer) -> tuple[int, str]:
    """Status and code of a refusal in JSON with all that clients read."""
    said = answer.json()
    status = answer.status if isinstance(answer, raw.RawAnswer) else answer.status_code
    assert 400 <= status < 500, said
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (said["status"], said["success"], said["httpStatus"]) == ("failed", False, status)
    assert "Traceback" not in said["message"]
    return status, said["code"]


# ── what is not one JSON object in UTF-8 ─────────────────────────────────────────────────────────────

GOOD = (
    f'{{"fromAccount":"{NOBODY}","toAccount":"{NOBODY[:-1]}1","amount":1,"idempotencyKey":"k","note":"x"}}'
).encode()

NOT_AN_OBJECT = {
    "cut off": GOOD[:-1],
    "one brace": b"{",
    "white space and a brace": b" \n }",
    "a comma too many": b'{"amount":1,}',
    "no comma": b'{"amount":1 "note":2}',
    "single quotes": b"{'amount':1}",
    "no quotes": b"{amount:1}",
    "a comment": b'{"amount":1/* one */}',
    "a word": b"nonsense",
    "a number": b"5",
    "a text": b'"text"',
    "null": b"null",
    "true": b"true",
    "an array": b"[]",
    "an array of objects": b"[" + GOOD + b"]",
    "trailing data": GOOD + b"x",
    "two objects": GOOD + GOOD,
    "a line feed in a text": GOOD.replace(b'"x"', b'"a\nb"'),
    "an unknown escape": GOOD.replace(b'"x"', b'"\\x"'),
    "a short escape": GOOD.replace(b'"x"', b'"\\u12"'),
    "a lone surrogate": GOOD.replace(b'"x"', b'"\\ud800"'),
    "surrogates the wrong way round": GOOD.replace(b'"k"', b'"\\ude00\\ud83d"'),
    "NUL between": GOOD.replace(b",", b"\x00,"),
    "NUL after": GOOD + b"\x00",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 big-endian": GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "Latin-1": GOOD.replace(b'"x"', "é".encode("latin-1")),
    "a byte that is never UTF-8": GOOD.replace(b'"x"', b'"\xff"'),
    "an overlong encoding": GOOD.replace(b'"x"', b'"\xc0\x80"'),
    "a surrogate in UTF-8": GOOD.replace(b'"x"', b'"\xed\xa0\x80"'),
    "bad UTF-8 in a name": GOOD.replace(b"note", b"n\xffte"),
    "arrays 10^5 deep": b"[" * 100_000,
    "objects 20,000 deep": b'{"a":' * 20_000,
    "an array 10^5 deep in a field": b'{"amount":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a hexadecimal number": b'{"amount":0x10}',
}


@pytest.mark.parametrize("path", ["/api/transactions", "/api/auth/register", "/api/accounts"])
@pytest.mark.parametrize("flaw", NOT_AN_OBJECT)
def test_what_is_not_one_json_object_in_utf8_is_malformed(stage: Stage, path: str, flaw: str) -> None:
    before = stage.house.tables.position()
    assert refused(post(stage, path, NOT_AN_OBJECT[flaw])) == (400, "malformed_json")
    assert stage.house.tables.position() == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":1,"amount":1}',
        b'{"amount":1,"\\u0061mount":2}',
        b'{"note":{"a":1,"a":2}}',
        b'{"note":[{"b":{"a":1,"a":1}}]}',
        b'{"":1,"":2}',
        b'{"note":"{","note":"{"}',
        b'{"' + b"a" * 1000 + b'":1,"' + b"a" * 1000 + b'":1}',
    ],
)
def test_a_name_that_stands_twice_at_any_depth_is_refused(stage: Stage, body: bytes) -> None:
    assert refused(post(stage, "/api/transactions", body)) == (400, "duplicate_field")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"{}"),
        ("text/plain;charset=UTF-8", b'{"amount":1}'),
        ("application/x-www-form-urlencoded", b"amount=1&toAccount=2"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="amount"\r\n\r\n1\r\n',
        ),
        ("application/xml", b"<amount>1</amount>"),
        ("application/octet-stream", b"{}"),
        ("application/jsonp", b"{}"),
        ("nonsense", b"{}"),
        ("text/json", b"{}"),
    ],
)
def test_what_says_that_it_is_not_json_is_415(stage: Stage, content_type: str, body: bytes) -> None:
    before = stage.house.tables.position()
    for path in ("/api/transactions", "/api/accounts", "/api/auth/login"):
        assert refused(post(stage, path, body, Content_Type=content_type)) == (415, "unsupported_media_type")
    assert stage.house.tables.position() == before


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x"])
def test_a_compressed_body_is_415_and_never_unpacked(stage: Stage, encoding: str) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    answer = post(stage, "/api/transactions", bomb, Content_Encoding=encoding)
    assert refused(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("size", "code"), [(100 * 1024, "missing_field"), (100 * 1024 + 1, "body_too_large")])
def test_a_body_may_have_100_kb(stage: Stage, size: int, code: str) -> None:
    answer = post(stage, "/api/transactions", b"{}".ljust(size))
    assert refused(answer) == (413 if code == "body_too_large" else 400, code)


def test_a_body_of_any_length_in_chunks_is_refused_once_it_is_too_large(stage: Stage) -> None:
    sent = raw.request(
        "POST", "/api/transactions", Authorization=f"Bearer {stage.ann.token}", Transfer_Encoding="chunked"
    )
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    answer = raw.exchange(stage.house.service.url, sent + chunk * 7)[0]
    assert refused(answer) == (413, "body_too_large")


# ── fields of the wrong type ─────────────────────────────────────────────────────────────────────────

WRONG = [True, 5, 1.5, [], {}, ["a"], {"$gt": ""}, {"$ne": None}, {"toString": "x"}]
TRANSFER = {"fromAccount": "invalid_id", "toAccount": "invalid_id", "amount": "invalid_amount"}
TRANSFER |= {"idempotencyKey": "invalid_key"}


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("field", TRANSFER)
def test_a_transfer_field_of_the_wrong_type_has_its_own_code(stage: Stage, field: str, wrong: object) -> None:
    if field == "amount" and type(wrong) in (int, float):
        wrong = -wrong  # type: ignore[operator]
    before = stage.house.tables.position()
    assert refused(stage.send(**{field: wrong})) == (400, TRANSFER[field])
    if field != "fromAccount":
        assert refused(stage.fund(**{field: wrong})) == (400, TRANSFER[field])
    assert stage.house.tables.position() == before


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/auth/register", "email"),
        ("/api/auth/register", "password"),
        ("/api/auth/register", "name"),
        ("/api/auth/login", "email"),
        ("/api/auth/login", "password"),
        ("/api/accounts", "name"),
        ("/api/accounts/{account}/status", "status"),
        ("/api/accounts/{account}/status", "reason"),
    ],
)
def test_a_text_field_of_the_wrong_type_is_invalid(stage: Stage, path: str, field: str, wrong: object) -> None:
    sound = {"email": f"{fresh()}@example.com", "password": "secret", "name": "N"}
    sound |= {"status": "INACTIVE", "reason": "r"}
    before = stage.house.tables.position()
    answer = stage.ann.post(path.format(account=stage.ann_account), sound | {field: wrong})
    assert refused(answer) == (400, "invalid_field")
    assert stage.house.tables.position() == before


@pytest.mark.parametrize(
    "wrong", [*WRONG, "", "XXX", "XAU", "INRR", "IN", "I\x00R", "١٢٣", "$$$"][1:], ids=repr
)
def test_a_currency_that_is_none_is_unknown(stage: Stage, wrong: object) -> None:
    answer = stage.bob.post("/api/accounts", {"currency": wrong})
    if wrong == "":
        assert answer.json()["account"]["currency"] == "INR"
    else:
        assert refused(answer) == (400, "unknown_currency")


TEXTS = ["a\x00b", "\x00", "a\nb", "a\r\nBcc: all@example.com", "\u202egnp", "x" * 201, "   ", "\ufeff"]


@pytest.mark.parametrize("name", TEXTS, ids=lambda text: repr(text)[:20])
def test_a_name_is_one_line_of_printable_text(stage: Stage, name: str) -> None:
    before = stage.house.tables.position()
    body = {"email": f"{fresh()}@example.com", "password": "secret", "name": name}
    assert refused(stage.as_anyone("POST", "/api/auth/register", body)) == (400, "invalid_field")
    assert refused(stage.ann.post("/api/accounts", {"name": name})) == (400, "invalid_field")
    assert stage.house.tables.position() == before


@pytest.mark.parametrize(
    "email",
    [
        *("nonsense", "@example.com", "a@", "a@b", "a b@example.com", "a@exa mple.com", "a@b@example.com"),
        *("a\x00@example.com", "a\n@example.com", "a@example.com\r\nBcc: x@y.z", "<a@example.com>", "a;b@x.de"),
        *("a" * 250 + "@example.com", "a@" + "b" * 300 + ".com", '"a"@example.com', "a,b@example.com", "a@b."),
    ],
    ids=lambda text: repr(text)[:24],
)
def test_what_is_no_address_does_not_register(stage: Stage, email: str) -> None:
    body = {"email": email, "password": "secret", "name": "N"}
    assert refused(stage.as_anyone("POST", "/api/auth/register", body)) == (400, "invalid_field")


@pytest.mark.parametrize("password", ["12345", "p" * 1025, "\x00" * 8], ids=["short", "long", "NUL"])
def test_a_password_has_6_to_1024_characters(stage: Stage, password: str) -> None:
    body = {"email": f"{fresh()}@example.com", "password": password, "name": "N"}
    assert refused(stage.as_anyone("POST", "/api/auth/register", body)) == (400, "invalid_field")


def test_passwords_that_differ_after_72_bytes_are_different(stage: Stage) -> None:
    body = {"email": f"{fresh()}@example.com", "password": "p" * 72 + "one", "name": "N"}
    assert stage.as_anyone("POST", "/api/auth/register", body).status_code == 201
    other = body | {"password": "p" * 72 + "two"}
    assert refused(stage.as_anyone("POST", "/api/auth/login", other)) == (401, "wrong_credentials")
    assert stage.as_anyone("POST", "/api/auth/login", body).status_code == 200


# ── fields that nobody asked for ─────────────────────────────────────────────────────────────────────

EXTRA: dict[str, Any] = {
    "_id": NOBODY,
    "id": NOBODY,
    "user": NOBODY,
    "userId": NOBODY,
    "owner": NOBODY,
    "systemUser": True,
    "isSystemUser": True,
    "systemAccount": True,
    "settlement": True,
    "role": "SYSTEM",
    "balance": 1_000_000,
    "held": -5,
    "floor": -1_000_000,
    "status": "CLOSED",
    "position": 1,
    "createdAt": "1970-01-01T00:00:00.000Z",
    "kind": "INITIAL_FUNDS",
    "__v": 7,
    "__proto__": {"systemUser": True},
    "constructor": {"prototype": {"systemUser": True}},
    "nested": {"deep": [{"er": None}]},
}


def test_registering_ignores_what_it_does_not_ask_for(stage: Stage) -> None:
    body = EXTRA | {"email": f"{fresh()}@example.com", "password": "secret", "name": "N"}
    said = stage.as_anyone("POST", "/api/auth/register?role=SYSTEM&systemUser=true", body).json()
    (row,) = stage.house.tables.rows("SELECT * FROM users WHERE email = $1", body["email"])
    assert (row["role"], row["id"].hex()) == ("CUSTOMER", said["user"]["_id"])
    assert said["user"]["_id"] != NOBODY
    assert row["created_at"].year > 1970
    again = stage.as_anyone("POST", "/api/auth/login", body).json()
    assert again["user"]["systemUser"] is False


def test_opening_an_account_ignores_what_it_does_not_ask_for(stage: Stage) -> None:
    opened = stage.bob.post("/api/accounts?balance=5", EXTRA).json()["account"]
    (row,) = stage.house.tables.rows("SELECT * FROM accounts WHERE id = decode($1, 'hex')", opened["_id"])
    assert (row["owner"].hex(), row["status"], row["balance"], row["held"]) == (stage.bob.id, "ACTIVE", 0, 0)
    assert (row["settlement"], row["floor"], opened["__v"]) == (False, 0, 0)


def test_a_transfer_ignores_what_it_does_not_ask_for(stage: Stage) -> None:
    made = stage.send(**EXTRA).json()["transaction"]
    assert (made["kind"], made["status"], made["amount"]) == ("TRANSFER", "COMPLETED", 1)
    assert made["_id"] != NOBODY


# ── ids, paths and queries ───────────────────────────────────────────────────────────────────────────

BAD_IDS = [
    *("x", "0" * 23, "0" * 25, "g" * 24, "0" * 900, "%00", "0" * 23 + "%00", "%FF%FE", "%", "%zz", "%u0030"),
    *("..%2F..%2Fetc%2Fpasswd", "' OR 1=1 --", "1;DROP TABLE entries", "${7*7}", "{{7*7}}", "%0d%0aX: y"),
    *("[$ne]=", "null", "undefined", "NaN", "-1", "０" * 24, "%E2%80%AE", "*", "\\", "<script>"),
]


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda text: text[:24])
@pytest.mark.parametrize(
    "path",
    [
        "/api/accounts/balance/{}",
        "/api/accounts/{}/entries",
        "/api/accounts/{}/series?from=2026-01-01&to=2026-01-02",
        "/api/accounts/user/{}",
        "/api/transactions/{}",
        "/api/transactions/account/{}",
        "/api/transactions?accountId={}",
    ],
)
def test_a_bad_id_in_a_path_or_a_query_is_refused(stage: Stage, path: str, bad: str) -> None:
    asked = path.format(re.sub(r"[ <>#\\\"`^{|}]|[^\x00-\x7f]", _percent_encoded, bad))
    sent = raw.request("GET", asked, Authorization=f"Bearer {stage.ann.token}")
    assert refused(raw.exchange(stage.house.service.url, sent)[0]) == (400, "invalid_id")


def _percent_encoded(found: "re.Match[str]") -> str:
    return "".join(f"%{byte:02x}" for byte in found[0].encode())


@pytest.mark.parametrize("bad", ["' OR '1'='1", "0" * 1000, "../../etc/passwd", "\x00", NOBODY + "\n"])
@pytest.mark.parametrize("field", ["fromAccount", "toAccount"])
def test_a_bad_id_in_a_body_is_refused(stage: Stage, field: str, bad: str) -> None:
    assert refused(stage.send(**{field: bad})) == (400, "invalid_id")


@pytest.mark.parametrize(
    "path",
    [
        *("/api/accounts/../auth/me", "/../../etc/passwd", "/api//..//..//", "/api/%2e%2e/%2e%2e/etc/passwd"),
        *(
            "/%00",
            "/api/%00/x",
            "/%ff",
            "/%",
            "/%zz",
            "/api/accounts%00/x",
            "/" + "a" * 5000,
            "/" + "%41" * 3000,
        ),
        *(
            "/api/transactions/by-key/a/b",
            "/errors/%00",
            "/errors/../errors/x",
            "/docs/..%2f..%2fpyproject.toml",
        ),
        *(
            "/.git/config",
            "/.env",
            "/favicon",
            "/api/accounts/a/b/c",
            "/;/x",
            "/nothing?/x/y",
        ),
    ],
    ids=lambda text: text[:30],
)
def test_an_odd_path_leads_nowhere(stage: Stage, path: str) -> None:
    sent = raw.request("GET", path, Authorization=f"Bearer {stage.ann.token}")
    assert refused(raw.exchange(stage.house.service.url, sent)[0]) == (404, "not_found")


@pytest.mark.parametrize(
    "number", ["0", "-1", "201", "1.5", "1e2", "abc", "٣", "9" * 30, " 1", "%00", "' OR 1=1"]
)
@pytest.mark.parametrize("name", ["limit", "skip"])
def test_limit_and_skip_are_whole_numbers_within_bounds(stage: Stage, name: str, number: str) -> None:
    answer = stage.ann.get(f"/api/transactions?{name}={number}")
    if (name, number) in {("skip", "0"), ("skip", "201")}:
        assert answer.status_code == 200
    else:
        assert refused(answer) == (400, "invalid_field")


@pytest.mark.parametrize("status", ["DONE", "' OR 1=1 --", "%00", "COMPLETED,PENDING", "x" * 1000, "[$ne]"])
def test_an_unknown_status_is_refused(stage: Stage, status: str) -> None:
    assert refused(stage.ann.get(f"/api/transactions?status={status}")) == (400, "invalid_field")


# ── headers, and HTTP itself ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["X-Long", "Cookie", "Authorization", "Idempotency-Key", "Origin", "User-Agent"]
)
def test_headers_of_64_kb_are_refused(stage: Stage, name: str) -> None:
    sent = raw.request(
        "POST", "/api/transactions", GOOD, f"{name}: {'x' * 65_536}", Content_Type="application/json"
    )
    assert refused(raw.exchange(stage.house.service.url, sent)[0]) == (431, "headers_too_large")


@pytest.mark.parametrize("header", ["é", "\xff\xfe", "k" * 256, "a\tb"], ids=repr)
def test_a_key_header_that_is_not_printable_ascii_is_refused(stage: Stage, header: str) -> None:
    body = {"fromAccount": stage.ann_account, "toAccount": stage.bob_account, "amount": 1}
    bearer = f"Bearer {stage.ann.token}"
    sent = raw.request(
        "POST",
        "/api/transactions",
        json.dumps(body).encode(),
        f"Idempotency-Key: {header}",
        Authorization=bearer,
    )
    assert refused(raw.exchange(stage.house.service.url, sent)[0]) == (400, "invalid_key")


BROKEN = {
    "no HTTP at all": b"hello\r\n\r\n",
    "a line of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60,
    "a bad version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a bad header": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "a header name with a space": b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "a bad length": b"POST /api/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length and chunks": b"POST /api/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bad chunk": b"POST /api/accounts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a bare line feed in the path": b"GET /a\nb HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a host that is not one": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_broken_http_is_refused_on_the_spot_and_harms_no_one(stage: Stage, flaw: str) -> None:
    before = stage.house.tables.position()
    answers = raw.exchange(stage.house.service.url, BROKEN[flaw], hang_up=True)
    assert all(answer.status in (400, 401, 404) for answer in answers)
    assert all(answer.json()["code"] for answer in answers)
    assert len(answers) <= 1, "what follows a broken request must not be taken for another one"
    assert stage.house.tables.position() == before
    assert stage.house.client.request("GET", "/health").status_code == 200


@pytest.mark.parametrize("piece", [b"x", b"a: b\r\n"], ids=["one header", "many headers"])
def test_headers_without_an_end_are_cut_off(stage: Stage, piece: bytes) -> None:
    """The client never hangs up and never finishes: it is the server that closes."""
    endless = b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + piece * (4_000_000 // len(piece))
    answers = raw.exchange(stage.house.service.url, endless)
    said = [(answer.status, answer.json()["code"]) for answer in answers]
    assert said in ([(431, "headers_too_large")], [])  # reset, when it had not read all of it


def test_a_body_that_never_comes_stores_nothing(stage: Stage) -> None:
    before = stage.house.tables.position()
    sent = raw.request("POST", "/api/accounts", Authorization=f"Bearer {stage.ann.token}", Content_Length="50")
    assert raw.exchange(stage.house.service.url, sent + b'{"currency":"INR"', hang_up=True) == []
    assert stage.house.tables.position() == before


def test_requests_in_a_row_are_answered_in_their_order(stage: Stage) -> None:
    bearer = f"Bearer {stage.ann.token}"
    asked = ["/health", "/api/auth/me", "/nothing", f"/api/accounts/balance/{stage.ann_account}"]
    sent = b"".join(raw.request("GET", path, Authorization=bearer, Connection="keep-alive") for path in asked)
    answers = raw.exchange(stage.house.service.url, sent + raw.request("GET", "/api/accounts"))
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 401]


def test_nothing_in_this_file_was_an_error_of_the_service(house: House) -> None:
    """Runs last: what clients send wrong is answered, not logged as a failure."""
    assert "request_failed" not in house.service.log.read_text()
    assert "Traceback" not in house.service.log.read_text()
