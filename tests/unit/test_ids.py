"""Object ids: 24 hex digits, nothing else, and distinct for one process."""

import pytest

from nostro.domain.errors import InvalidId
from nostro.domain.ids import IdSequence, parse_id, show_id

SHOWN = "6742f0a1b2c3d4e5f6071829"


@pytest.mark.parametrize("text", [SHOWN, SHOWN.upper(), "0" * 24, "f" * 24])
def test_24_hex_digits_are_an_id_and_are_shown_in_lower_case(text: str) -> None:
    assert show_id(parse_id(text, "accountId")) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        SHOWN[:-1],
        f"{SHOWN}0",
        f" {SHOWN}",
        f"{SHOWN}\n",
        SHOWN.replace("6", "g"),
        SHOWN.replace("6", "６"),
        f"0x{SHOWN[2:]}",
        "-" + SHOWN[1:],
        "6742f0a1 b2c3d4e5f607182",
        "../../etc/passwd/../../e",
        "' OR '1'='1' --         ",
        "a" * 100_000,
        None,
        5,
        6742_0000_0000_0000_0000_1829,
        [SHOWN],
        {"$ne": None},
        bytes.fromhex(SHOWN),
        b"null",
        True,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_anything_else_is_refused_and_the_field_is_named(text: object) -> None:
    with pytest.raises(InvalidId) as refusal:
        parse_id(text, "toAccount")
    assert refusal.value.facts == {"field": "toAccount"}


def test_ids_of_one_process_sort_by_second_and_never_repeat() -> None:
    sequence = IdSequence(b"12345", (1 << 24) - 2)
    earlier = [sequence.at(1_700_000_000) for _ in range(4)]
    later = [sequence.at(1_700_000_001) for _ in range(4)]
    assert len({*earlier, *later}) == 8
    assert max(earlier) < min(later)
    assert all(len(one) == 12 and one[4:9] == b"12345" for one in earlier + later)


@pytest.mark.parametrize("process", [b"", b"1234", b"123456"])
def test_a_process_is_told_apart_by_five_bytes(process: bytes) -> None:
    with pytest.raises(ValueError, match="exactly 5 bytes"):
        IdSequence(process, 0)
