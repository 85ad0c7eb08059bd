"""Where webhooks may go: one plain spelling of a URL, and public addresses only."""

from ipaddress import ip_address

import pytest

from nostro.domain.destination import Destinations, is_public, parse_allowed
from nostro.domain.errors import InvalidField
from nostro.settings import SettingsError, load_settings
from tests.hostile_urls import HOSTILE_URLS

ANYWHERE = Destinations()


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused_or_is_a_name_that_is_judged_when_it_is_looked_up(url: str) -> None:
    try:
        checked = ANYWHERE.checked(url.replace("{port}", "8080"))
    except InvalidField:
        return
    host = checked.partition("://")[2].partition("/")[0].partition(":")[0]
    assert any(letter.isalpha() for letter in host), f"{url} is an address in disguise"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM/Hook?Key=Value", "https://example.com/Hook?Key=Value"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("https://example.com:00443/a", "https://example.com:443/a"),
        ("https://8.8.8.8/a", "https://8.8.8.8/a"),
        ("https://[2606:4700::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://xn--bcher-kva.example/a@b", "https://xn--bcher-kva.example/a@b"),
        ("https://example.com?x=1", "https://example.com?x=1"),
    ],
)
def test_a_plain_url_is_kept_in_one_spelling(url: str, plain: str) -> None:
    assert ANYWHERE.checked(url) == plain


@pytest.mark.parametrize("url", ["http://example.com/", "http://8.8.8.8/"])
def test_in_production_only_https(url: str) -> None:
    with pytest.raises(InvalidField, match="https"):
        Destinations(https_only=True).checked(url)


@pytest.mark.parametrize("port", ["0", "22", "25", "81", "444", "1023", "65536", "99999"])
def test_a_port_below_1024_is_refused_unless_it_is_the_webs(port: str) -> None:
    with pytest.raises(InvalidField, match="port"):
        ANYWHERE.checked(f"https://example.com:{port}/")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
        ),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
        *(
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
        ),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1"),
        *("2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
        *("fe80::1%eth0", "fec0::1", "ff02::1", "::127.0.0.1", "5f00::1"),
    ],
)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00::1"]
)
def test_an_address_that_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_the_operator_names_exceptions() -> None:
    networks, hosts = parse_allowed(" 127.0.0.0/8, ::1 ,sink.internal,")
    some = Destinations(networks, hosts)
    assert some.checked("http://127.0.0.1:8080/hook") == "http://127.0.0.1:8080/hook"
    assert some.checked("http://localhost:8080/hook") == "http://localhost:8080/hook"
    assert some.checked("http://[::1]:8080/hook") == "http://[::1]:8080/hook"
    assert some.permits("sink.internal", ip_address("10.0.0.1"))
    assert not some.permits("other.internal", ip_address("10.0.0.1"))
    assert not some.permits_all("other.internal", [ip_address("127.0.0.1"), ip_address("10.0.0.1")])
    with pytest.raises(InvalidField):
        some.checked("http://10.0.0.1/")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "300.1.1.1", "a b", "http://x", "*", "127.1"])
def test_an_exception_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        parse_allowed(f"127.0.0.1, {text}")


def test_the_settings_say_where_webhooks_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSTRO_WEBHOOK_ALLOW", "127.0.0.1, sink.internal")
    assert not load_settings(environment="development").destinations.https_only
    settings = load_settings(environment="production")
    assert settings.destinations.https_only
    assert settings.destinations.permits("sink.internal", ip_address("10.0.0.1"))
    monkeypatch.setenv("NOSTRO_WEBHOOK_ALLOW", "everything, everywhere.")
    with pytest.raises(SettingsError, match=r"NOSTRO_WEBHOOK_ALLOW: 'everywhere\.'"):
        load_settings()
