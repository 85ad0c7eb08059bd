"""`nostro webhooks listen` and `trigger`, beside a real service and a real receiver."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest
from standardwebhooks import Webhook as Verifier

from tests.client import Person
from tests.contract.conftest import House
from tests.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


def _listen(house: House, person: Person, sink: Sink, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "nostro", "webhooks", "listen", "--forward-to", sink.url),
            *("--url", house.service.url, *arguments),
        ],
        env=house.service.environment | {"NOSTRO_TOKEN": person.token},
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(lines: IO[str] | None) -> str:
    assert lines is not None
    return lines.readline().strip()


def test_listen_forwards_what_happens_from_now_on(house: House, sink: Sink) -> None:
    ann, account = house.funded(100)
    target = ann.open_account()
    listening = _listen(house, ann, sink, "--events", "transaction.*")
    secret = _line(listening.stdout).removeprefix("Signing with ")
    assert sink.url in _line(listening.stdout)
    ann.open_account()
    first, second = (ann.send(account, target, 1).json()["transaction"]["position"] for _ in range(2))
    told = [Verifier(secret).verify(one.body, one.headers) for one in sink.wait_for(2)]
    assert [event["position"] for event in told] == [first, second]
    assert [event["data"]["entries"][0]["balanceAfter"] for event in told] == [99, 98]
    assert told[1]["previousposition"] == first
    assert _line(listening.stdout) == f"{first}  transaction.completed            204"
    listening.send_signal(signal.SIGINT)
    assert listening.wait(timeout=30) == 0
    assert listening.stdout is not None
    listening.stdout.close()


def test_listen_begins_where_it_is_told_to_with_the_secret_it_is_given(house: House, sink: Sink) -> None:
    ann = house.client.register()
    ann.open_account()
    secret = "whsec_" + "A" * 32
    listening = _listen(house, ann, sink, "--after", "0", "--secret", secret)
    told = [Verifier(secret).verify(one.body, one.headers) for one in sink.wait_for(2)]
    assert [event["type"] for event in told] == ["io.nostro.user.registered", "io.nostro.account.opened"]
    listening.send_signal(signal.SIGINT)
    assert listening.wait(timeout=30) == 0
    assert listening.stdout is not None
    listening.stdout.close()


def test_listen_says_what_is_wrong(house: House, sink: Sink) -> None:
    to = ("webhooks", "listen", "--forward-to", sink.url)
    refused = house.service.command(*to, "--url", house.service.url, "--token", "not one of ours")
    assert (refused.returncode, "token_invalid" in refused.stderr) == (1, True)
    nobody = house.service.command(*to, "--url", "http://127.0.0.1:9", "--token", "x")
    assert (nobody.returncode, "does not answer" in nobody.stderr) == (1, True)
    stranger = house.service.command(*to, "--url", sink.url, "--token", "x")
    assert (stranger.returncode, "as no Nostro does" in stranger.stderr) == (1, True)
    assert house.service.command(*to).returncode == 2, "a token is needed"


@pytest.mark.parametrize("event", ["transaction.completed", "hold.created", "webhook.disabled"])
def test_trigger_sends_a_sample(house: House, sink: Sink, event: str) -> None:
    done = house.service.command("webhooks", "trigger", event, "--forward-to", sink.url)
    assert done.returncode == 0, done.stderr
    secret = done.stdout.splitlines()[0].removeprefix("Signing with ")
    (received,) = sink.received
    assert Verifier(secret).verify(received.body, received.headers)["type"] == f"io.nostro.{event}"


def test_trigger_fails_when_the_receiver_does(house: House, sink: Sink) -> None:
    sink.answer(500)
    done = house.service.command("webhooks", "trigger", "hold.created", "--forward-to", sink.url)
    assert (done.returncode, done.stdout.split()[-1]) == (1, "500")
    gone = ("--forward-to", "http://127.0.0.1:9/")
    assert "no answer" in house.service.command("webhooks", "trigger", "hold.created", *gone).stdout
    unknown = house.service.command("webhooks", "trigger", "hold.forgotten", "--forward-to", sink.url)
    assert (unknown.returncode, "hold.created" in unknown.stderr) == (2, True)
