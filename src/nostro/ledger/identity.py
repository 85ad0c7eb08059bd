"""Ids for this process: the one place where clock and randomness meet the pure sequence of domain.ids."""

import secrets
import time

from nostro.domain.ids import IdSequence, ObjectId

_sequence = IdSequence(secrets.token_bytes(5), secrets.randbelow(1 << 24))


def new_id() -> ObjectId:
    return _sequence.at(int(time.time()))
