"""The acceptance table of amounts, and writing them back exactly."""

import pytest

from nostro.domain.errors import InvalidAmount
from nostro.domain.money import INT64_MAX, INT64_MIN, MAX_MINOR, parse_amount, show_amount

# text, places of the currency, minor units
ACCEPTED = [
    ("1", 2, 100),
    ("10", 2, 1000),
    ("10.5", 2, 1050),
    ("10.50", 2, 1050),
    ("10.500000", 2, 1050),
    ("0.01", 2, 1),
    ("0.1", 2, 10),
    ("0.10", 2, 10),
    ("160.30", 2, 16030),
    ("999.99", 2, 99999),
    ("9999999999999.99", 2, 10**15 - 1),
    ("10000000000000", 2, MAX_MINOR),
    ("1", 0, 1),
    ("1.0", 0, 1),
    ("1.000", 0, 1),
    ("1000000000000000", 0, MAX_MINOR),
    ("0.001", 3, 1),
    ("1.234", 3, 1234),
    ("1000000000000", 3, MAX_MINOR),
    ("0.0001", 4, 1),
    ("1." + "0" * 62, 2, 100),
]

NOT_AN_AMOUNT = [
    "",
    " ",
    "0",
    "0.0",
    "0.00",
    "-1",
    "-0",
    "-0.01",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "\t1",
    "01",
    "00",
    "00.5",
    ".5",
    "5.",
    ".",
    "1..2",
    "1.2.3",
    "1,5",
    "1,000",
    "1_000",
    "1 000",
    "1e2",
    "1E2",
    "1e400",
    "1e-2",
    "0x10",
    "0b1",
    "0o7",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "null",
    "true",
    "ten",
    "١٢",
    "１２",
    "१२",
    "1２",
    "²",
    "½",
    "1\x00",
    "1\u200b",
    "\ufeff1",
    "−1",
    "$1",
    "1 INR",
    "1%",
    "1/2",
    "1" * 17,
    "9" * 5000,
    "1." + "0" * 63,
    "0." + "0" * 5000 + "1",
]

TOO_FINE_OR_TOO_LARGE = [
    ("0.001", 2),
    ("1.005", 2),
    ("160.29999999999998", 2),
    ("0.0000000001", 2),
    ("0.5", 0),
    ("1.01", 0),
    ("0.0001", 3),
    ("10000000000000.01", 2),
    ("1000000000000001", 0),
    ("1000000000000.001", 3),
    ("9007199254740993", 2),
    ("9223372036854775808"[:16], 2),
]


@pytest.mark.parametrize(("text", "exponent", "minor"), ACCEPTED)
def test_an_amount_is_read_exactly(text: str, exponent: int, minor: int) -> None:
    assert parse_amount(text).minor_units(exponent) == minor


@pytest.mark.parametrize("text", NOT_AN_AMOUNT, ids=lambda text: repr(text)[:30])
def test_anything_else_is_not_an_amount(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_amount(text)


@pytest.mark.parametrize(("text", "exponent"), TOO_FINE_OR_TOO_LARGE)
def test_more_places_than_the_currency_has_or_more_than_ten_to_the_fifteenth_is_refused(
    text: str, exponent: int
) -> None:
    amount = parse_amount(text)
    with pytest.raises(InvalidAmount):
        amount.minor_units(exponent)


@pytest.mark.parametrize("spelling", ["10", "10.0", "10.00", "10.000"])
def test_spellings_of_one_amount_are_one_amount(spelling: str) -> None:
    assert parse_amount(spelling) == parse_amount("10")


@pytest.mark.parametrize(
    ("minor", "exponent", "shown"),
    [
        (0, 0, "0"),
        (0, 2, "0"),
        (1, 2, "0.01"),
        (10, 2, "0.1"),
        (100, 2, "1"),
        (1050, 2, "10.5"),
        (-1, 2, "-0.01"),
        (-49930, 2, "-499.3"),
        (-100, 2, "-1"),
        (1, 3, "0.001"),
        (1234, 3, "1.234"),
        (5, 0, "5"),
        (-5, 0, "-5"),
        (1, 4, "0.0001"),
        (10**15 - 1, 2, "9999999999999.99"),
        (INT64_MAX, 2, "92233720368547758.07"),
        (INT64_MIN, 2, "-92233720368547758.08"),
    ],
)
def test_minor_units_are_written_as_the_shortest_exact_decimal(minor: int, exponent: int, shown: str) -> None:
    assert show_amount(minor, exponent) == shown


@pytest.mark.parametrize(("text", "exponent", "minor"), ACCEPTED)
def test_what_is_shown_reads_back_as_the_same_amount(text: str, exponent: int, minor: int) -> None:
    assert parse_amount(show_amount(minor, exponent)) == parse_amount(text)
