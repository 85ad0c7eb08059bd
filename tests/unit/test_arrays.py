"""Array literals are read by PostgreSQL as they were meant (the rest of them: tests/contract/test_plans.py)."""

from nostro.store.arrays import (
    bytes_array,
    ids_array,
    plain_array,
    quoted,
    sparse_array,
    text_array,
    word_array,
    words_of,
)


def test_ids_are_written_as_any_bytes_are() -> None:
    ids = [bytes(range(start, start + 12)) for start in range(0, 240, 12)]
    for some in ([], ids[:1], ids, {*ids}):
        assert ids_array(some) == bytes_array(some)


def test_numbers_are_written_one_after_the_other() -> None:
    assert plain_array([]) == "{}"
    assert plain_array([-(2**63)]) == "{-9223372036854775808}"
    assert plain_array(number for number in (1, 0, -1)) == "{1, 0, -1}"


def test_what_is_missing_is_null_and_nothing_at_all_is_empty() -> None:
    assert sparse_array([None, 5]) == "{NULL,5}"
    assert sparse_array([None, None]) == "{}"


def test_text_is_written_as_if_each_were_written_by_itself() -> None:
    for some in ([], [""], ["a", "b,c", "{}"], ['say "a"', "b"], ["a\\", "b"], ['","'], ["a", '"', "b"]):
        assert text_array(some) == "{" + ",".join(quoted(one) for one in some) + "}"


def test_words_are_read_as_they_were_written() -> None:
    for words in (["(0,1)"], ["(0,1)", "(4294967295,65535)", "INR"]):
        assert words_of(word_array(words)) == words
