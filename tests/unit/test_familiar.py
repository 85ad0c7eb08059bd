"""Which requests need no parser: those whose head differs from a parsed one in token and length only."""

import pytest

from nostro.api.familiar import Familiar, FamiliarHeads

TRANSFER = "/api/transactions"


def _request(
    *lines: str,
    method: str = "POST",
    path: str = TRANSFER,
    token: str = "t1",
    body: str = "{}",
    length: str = "",
) -> bytes:
    said = [f"{method} {path} HTTP/1.1", "Host: ledger", *lines, f"Authorization: Bearer {token}"]
    if body or length:
        said += ["Content-Type: application/json", f"Content-Length: {length or len(body)}"]
    return ("\r\n".join([*said, "", ""]) + body).encode("latin-1")


@pytest.fixture
def heads() -> FamiliarHeads:
    familiar = FamiliarHeads()
    familiar.remember(_request())
    familiar.remember(_request(method="GET", path="/api/accounts/balance/1", body=""))
    return familiar


def test_what_was_not_remembered_is_not_familiar() -> None:
    assert FamiliarHeads().read(_request()) is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (_request(), Familiar("POST", TRANSFER, b"t1", b"{}")),
        (_request(token="other"), Familiar("POST", TRANSFER, b"other", b"{}")),
        (_request(body='{"a":1}'), Familiar("POST", TRANSFER, b"t1", b'{"a":1}')),
        (_request(path=f"{TRANSFER}/1/capture"), Familiar("POST", f"{TRANSFER}/1/capture", b"t1", b"{}")),
        (
            _request(method="GET", path="/api/accounts/balance/2", body=""),
            Familiar("GET", "/api/accounts/balance/2", b"t1", b""),
        ),
    ],
)  # fmt: skip
def test_method_path_token_and_body_are_read_anew(heads: FamiliarHeads, sent: bytes, read: Familiar) -> None:
    assert heads.read(sent) == read


@pytest.mark.parametrize(
    "sent",
    [
        _request("Cookie: token=t2"),
        _request("Authorization: Bearer t2"),
        _request("Content-Length: 2"),
        _request("Transfer-Encoding: chunked"),
        _request().replace(b"ledger", b"other"),
        _request().replace(b"application/json", b"text/plain"),
        _request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        _request().replace(b"Bearer", b"Basic"),
        _request().replace(b"Authorization", b"Authorisation"),
        _request(path=f"{TRANSFER}?dryRun=true"),
        _request(path="/api/transactions%2f"),
        _request(path="http://ledger/api/transactions"),
        _request() + b"x",
        _request()[:-1],
        _request() * 2,
        _request(length="3"),
        _request(length="1"),
        _request(length="+2"),
        _request(length="2 "),
        _request(length="2, 2"),
        _request(length="00002"),
        _request(length="\xb2"),
        _request().replace(b"\r\n", b"\n"),
        b"\r\n" + _request(),
        _request(method="GET"),
        b"",
        b"\r\n\r\n",
    ],
)
def test_anything_else_is_left_to_the_parser(heads: FamiliarHeads, sent: bytes) -> None:
    assert heads.read(sent) is None


@pytest.mark.parametrize(
    "line",
    [
        "Transfer-Encoding: chunked",
        "transfer-encoding: gzip",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "X-Folded: a\r\n b",
        "X-Folded: a\r\n\tb",
        f"X-Long: {'x' * 1024}",
    ],
)
def test_lines_that_change_the_meaning_of_others_are_never_familiar(line: str) -> None:
    heads = FamiliarHeads()
    heads.remember(_request(line))
    assert heads.read(_request(line)) is None


def test_the_oldest_are_forgotten_first() -> None:
    heads = FamiliarHeads()
    for number in range(600):
        heads.remember(_request(f"X-Number: {number}"))
    familiar = [heads.read(_request(f"X-Number: {number}")) is not None for number in range(600)]
    assert familiar == [False] * 88 + [True] * 512
