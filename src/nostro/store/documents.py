"""JSON in and out of the database with every digit kept: decimals are written and read as they are."""

from decimal import Decimal
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def encode_document(document: Any) -> bytes:
    """Decimals become JSON numbers: 10.5 is `10.5`, however many digits there are."""
    return _encode(document)


def decode_document(text: str | bytes) -> Any:
    """The reverse of `encode_document`, digit by digit."""
    return _decode(text)
