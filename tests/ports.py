"""Ports for servers that have to be found where they were, or where another is."""

import random
import socket

# Below what kernels give to connections and to servers on any port: while ours is away, its port is nobody's.
_OURS = range(10_000, 32_768)


def free_port(*hosts: str) -> int:
    """Free on each of these addresses, 127.0.0.1 unless told otherwise."""
    chance = random.SystemRandom()  # two runs of one seed may be beside each other
    while True:
        port = chance.choice(_OURS)
        if all(_is_free(host, port) for host in hosts or ("127.0.0.1",)):
            return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
