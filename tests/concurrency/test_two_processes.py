"""The same races as an operator runs them: two services on one database, loaded over HTTP from threads.

When all is done the fixture asks `nostro verify` whether every invariant holds, positions without a gap among
them, and whether both services end in order.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.client import Person, fresh
from tests.concurrency.conftest import TwoServices

pytestmark = pytest.mark.slow

THREADS = 8
Job = Callable[[], httpx2.Response]


def all_at_once(threads: Sequence[Sequence[Job]]) -> Counter[tuple[int, str]]:
    """Each thread does its jobs in turn; how often each status and code was answered."""
    with ThreadPoolExecutor(len(threads)) as pool:
        answers = [
            answer for done in pool.map(lambda jobs: [job() for job in jobs], threads) for answer in done
        ]
    return Counter((answer.status_code, str(answer.json().get("code", ""))) for answer in answers)


def person_with_accounts(two_services: TwoServices, count: int, rupees: int) -> tuple[list[Person], list[str]]:
    """A person as seen from as many clients as there are threads, every other one at either service."""
    system = two_services.system()
    person = system.client.register("Ann")
    accounts = [person.open_account() for _ in range(count)]
    for account in accounts:
        assert system.fund(account, rupees).status_code == 201
    return [two_services.seen_from(person, number) for number in range(THREADS)], accounts


def test_opposite_transfers_in_two_processes_never_deadlock(two_services: TwoServices) -> None:
    """Half of the threads pay A from B, the others B from A, each pair in different processes."""
    people, (one, other) = person_with_accounts(two_services, 2, 10_000)
    answers = all_at_once(
        [
            [lambda p=person, turn=nth // 2: p.send(*([one, other] if turn % 2 else [other, one]), 1)] * 40
            for nth, person in enumerate(people)
        ]
    )
    assert answers == {(201, ""): THREADS * 40}
    assert people[0].balance(one) == people[1].balance(other) == 10_000


def test_a_ring_of_eight_in_two_processes_never_deadlocks(two_services: TwoServices) -> None:
    """Account n pays account n + 1, all at once and round and round: the textbook deadlock."""
    people, ring = person_with_accounts(two_services, THREADS, 1000)
    answers = all_at_once(
        [
            [lambda p=person, n=nth: p.send(ring[n], ring[(n + 1) % THREADS], 1)] * 40
            for nth, person in enumerate(people)
        ]
    )
    assert answers == {(201, ""): THREADS * 40}
    assert [people[0].balance(account) for account in ring] == [1000] * THREADS


def test_one_hot_account_credited_and_debited_in_two_processes_loses_nothing(
    two_services: TwoServices,
) -> None:
    people, (hot, *others) = person_with_accounts(two_services, 1 + THREADS, 1000)
    answers = all_at_once(
        [
            [
                lambda p=person, n=nth: p.send(hot, others[n], 3),
                lambda p=person, n=nth: p.send(others[n], hot, 2),
            ]
            * 20
            for nth, person in enumerate(people)
        ]
    )
    assert answers == {(201, ""): THREADS * 40}
    assert people[1].balance(hot) == 1000 - THREADS * 20


def test_one_key_sent_a_hundred_times_to_two_processes_moves_money_once(two_services: TwoServices) -> None:
    people, (source, target) = person_with_accounts(two_services, 2, 1000)
    for moved in range(1, 6):
        key = fresh()
        answers = all_at_once(
            [[lambda p=person: p.send(source, target, 10, key=key)] * 13 for person in people]  # noqa: B023
        )
        assert answers == {(201, ""): 1, (200, ""): THREADS * 13 - 1}
        assert people[moved % 2].balance(target) == 1000 + moved * 10


def test_money_is_spent_once_by_two_processes(two_services: TwoServices) -> None:
    people, (source, target) = person_with_accounts(two_services, 2, 100)
    for _ in range(5):
        answers = all_at_once([[lambda p=person: p.send(source, target, 100)] * 8 for person in people])
        assert answers == {(201, ""): 1, (400, "insufficient_funds"): 63}
        assert people[0].send(target, source, 100).status_code == 201
