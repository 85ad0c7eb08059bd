"""How pages are cut: together they are the whole stretch, each entry once, whichever way they are turned."""

import itertools

import pytest

from nostro.domain.history import Place, Stretch, looked_at, stretch_of


def _pages(whole: Stretch, kept: set[int], *, newest_first: bool, limit: int, width: int) -> list[list[int]]:
    """Every page from the first to the last, as a client turns them."""
    pages, place = [], None
    for _ in range(200):
        stretch, downwards = stretch_of(whole, place, newest_first=newest_first, width=width)
        found = [seq for seq in range(stretch.first, stretch.last + 1) if seq in kept]
        found = (found[::-1] if downwards else found)[:limit]
        done = looked_at(stretch, found, downwards=downwards, limit=limit)
        pages.append(found)
        if newest_first and done.first > whole.first:
            place = Place(done.first, older=True)
        elif not newest_first and done.last < whole.last:
            place = Place(done.last, older=False)
        else:
            return pages
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("limit", "width"), [(1, 1), (3, 3), (2, 5), (5, 4), (50, 50), (1, 50)])
@pytest.mark.parametrize("whole", [Stretch(1, 0), Stretch(1, 1), Stretch(4, 17), Stretch(8, 7)])
def test_pages_together_are_everything_that_is_kept(
    whole: Stretch, limit: int, width: int, *, newest_first: bool
) -> None:
    everything = range(whole.first, whole.last + 1)
    for kept in (set(everything), {seq for seq in everything if seq % 3 == 0}, set[int]()):
        pages = _pages(whole, kept, newest_first=newest_first, limit=limit, width=width)
        assert list(itertools.chain(*pages)) == sorted(kept, reverse=newest_first)
        assert all(len(page) <= limit for page in pages)
        assert len(pages) <= max(1, len(everything))


@pytest.mark.parametrize("edge", [-1, 0, 3, 4, 9, 10, 11, 2**63 - 1])
@pytest.mark.parametrize("older", [True, False])
def test_a_place_outside_leads_to_an_empty_stretch_not_to_a_foreign_one(edge: int, *, older: bool) -> None:
    whole = Stretch(4, 10)
    stretch, downwards = stretch_of(whole, Place(edge, older), newest_first=True, width=5)
    assert downwards == older
    assert stretch.last >= stretch.first - 1
    if stretch.last >= stretch.first:
        assert whole.first <= stretch.first <= stretch.last <= whole.last
