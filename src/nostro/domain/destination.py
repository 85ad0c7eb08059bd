"""Where the service may send a request that somebody else asked for: only to public addresses.

Whoever registers a URL decides where this service connects to, from inside its operator's network. So a URL
has one plain spelling that no two parsers read differently, and every address that its host stands for must be
public or named by the operator (`NOSTRO_WEBHOOK_ALLOW`). The spelling is judged when a URL is registered, the
addresses each time a connection is made (followers/guard.py); tests/hostile_urls.py lists what is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from nostro.domain.errors import InvalidField

LONGEST_URL = 1000
_LONGEST_HOST = 253
_LEAST_OPEN_PORT = 1024

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?)",
)
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What a lenient parser takes for a part of an IPv4 address: 127.1, 0177.0.0.1, 0x7f.0.0.1, 2130706433.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

# IANA's special-purpose registries, and one public address at which a cloud answers its own machines.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared behind a carrier's NAT; also metadata of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host of a virtual machine in Azure
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of one cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Everything outside is refused: loopback, mapped IPv4, NAT64, unique local, link-local, multicast.
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address of any kind inside
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_6 and not any(address in network for network in _NOT_PUBLIC_6)


@dataclass(frozen=True, slots=True)
class Destinations:
    """What the operator lets requests go to. `networks` and `hosts` are let through although not public."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    https_only: bool = False

    def permits(self, host: str, address: Address) -> bool:
        """Whether a request for `host` may be sent to `address`."""
        if is_public(address) or host in self.hosts:
            return True
        return any(address.version == network.version and address in network for network in self.networks)

    def permits_all(self, host: str, addresses: Iterable[Address]) -> bool:
        """A host with one forbidden address is refused as a whole: it could be given any of them."""
        return all(self.permits(host, address) for address in addresses)

    def checked(self, url: str) -> str:
        """`url` in its plain spelling. Raises `InvalidField` for one that no request may be sent to.

        A name is not looked up here: what it stands for may change, and is judged at each connection.
        """
        scheme, host, port, rest = _split(url)
        if self.https_only and scheme != "https":
            raise InvalidField("url", "must begin with https:// in production")
        if port is not None and not (int(port) in {80, 443} or _LEAST_OPEN_PORT <= int(port) <= 65535):
            raise InvalidField("url", "must have the port 80, 443 or one from 1024 to 65535")
        address = _literal(host)
        if host == "localhost" or host.endswith(".localhost"):
            address = IPv4Address("127.0.0.1")
        if address is not None and not self.permits(host, address):
            raise InvalidField("url", "must lead to a public address, or one that NOSTRO_WEBHOOK_ALLOW names")
        return f"{scheme}://{host}{'' if port is None else f':{int(port)}'}{rest}"


def _split(url: str) -> tuple[str, str, str | None, str]:
    authority = _AUTHORITY.match(url)
    end = authority.end() if authority else 0
    found = _URL.fullmatch(url[:end].lower() + url[end:])
    if found is None or len(url) > LONGEST_URL or not _plain_host(found["host"]):
        raise InvalidField(
            "url", f"must be http:// or https://, a host, and a path of at most {LONGEST_URL} characters in all"
        )
    return found["scheme"], found["host"], found["port"], found["rest"]


def _plain_host(host: str) -> bool:
    """A name whose last label is not a number, an IPv4 address of four decimal numbers, or one of IPv6."""
    if _literal(host) is not None:
        return True
    labels = host.split(".")
    return (
        len(host) <= _LONGEST_HOST
        and all(_LABEL.fullmatch(label) for label in labels)
        and not _NUMERIC_LABEL.fullmatch(labels[-1])
    )


def _literal(host: str) -> Address | None:
    """The address that `host` spells out, if it does."""
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        return None


def parse_allowed(text: str) -> tuple[tuple[Network, ...], frozenset[str]]:
    """Networks, addresses and host names, separated by commas; ValueError names the one that is none."""
    networks: list[Network] = []
    hosts: set[str] = set()
    for item in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            networks.append(ip_network(item))
        except ValueError:
            if not _plain_host(item):
                raise ValueError(f"{item!r} is neither a network nor an address nor a host name") from None
            hosts.add(item)
    return tuple(networks), frozenset(hosts)
