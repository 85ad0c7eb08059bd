"""Answers arrive in any pieces; what is not an answer with a length is refused."""

import pytest

from nostro.bench.wire import MAX_ANSWER_BYTES, AnswerReader, WireError, request

ANSWER = (
    b"HTTP/1.1 201 Created\r\ndate: Sat, 21 Nov 2026 03:34:28 GMT\r\nContent-Length: 11\r\n"
    b'content-type: application/json\r\n\r\n{"ok":true}'
)


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_cut_in_two_anywhere_is_read_whole(cut: int) -> None:
    reader = AnswerReader()
    assert reader.feed(ANSWER[:cut]) is False
    assert reader.feed(ANSWER[cut:]) is True
    assert (reader.status, reader.body) == (201, b'{"ok":true}')


def test_an_answer_that_comes_byte_by_byte_is_read_twice_in_a_row() -> None:
    reader = AnswerReader()
    for _ in range(2):
        complete = [reader.feed(bytes([byte])) for byte in ANSWER]
        assert complete == [False] * (len(ANSWER) - 1) + [True]
        assert reader.body == b'{"ok":true}'


@pytest.mark.parametrize("name", [b"content-length: 2", b"Content-Length:2", b"CONTENT-LENGTH:  2  "])
def test_the_length_is_found_however_it_is_written(name: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\nx: content-length: 9\r\n" + name + b"\r\n\r\n{}") is True
    assert reader.body == b"{}"


def test_an_answer_without_content_needs_no_length() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n") is True
    assert (reader.status, reader.body) == (204, b"")


@pytest.mark.parametrize(
    "bad",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1",
        b"x" * (MAX_ANSWER_BYTES + 1),
    ],
)
def test_what_is_not_one_answer_with_a_length_is_refused(bad: bytes) -> None:
    with pytest.raises(WireError):
        AnswerReader().feed(bad)


def test_a_request_announces_the_length_of_its_body() -> None:
    sent = request("POST", "/api/accounts", "127.0.0.1:3000", b'{"a":1}', "secret")
    assert sent == (
        b"POST /api/accounts HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nAuthorization: Bearer secret\r\n"
        b'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
