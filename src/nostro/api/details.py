"""Reading description, reference and metadata of an account or a transaction from a body.

None means absent, null or (for texts) blank; domain/details.py has the rules.
"""

from nostro.api.bodies import Fields, optional_text_of
from nostro.domain.details import Details, valid_description, valid_metadata, valid_reference
from nostro.domain.errors import MalformedJson
from nostro.ledger.users import valid_name


def details_of(fields: Fields) -> Details:
    """Those of an account that the body gives. Raises what the four below raise."""
    readers = {
        "name": name_of,
        "description": description_of,
        "reference": reference_of,
        "metadata": metadata_of,
    }
    return {name: read(fields) for name, read in readers.items() if name in fields}


def name_of(fields: Fields) -> str | None:
    """One line of 1 to 200 printable characters, or "" for none. Raises `InvalidField`."""
    text = optional_text_of(fields, "name")
    return valid_name(text) if text else None


def description_of(fields: Fields) -> str | None:
    """Up to 500 characters. Raises `InvalidField`."""
    text = optional_text_of(fields, "description")
    return None if text is None else valid_description(text)


def reference_of(fields: Fields) -> str | None:
    """One line of up to 140 printable characters. Raises `InvalidField`."""
    text = optional_text_of(fields, "reference")
    return None if text is None else valid_reference(text)


def metadata_of(fields: Fields) -> str | None:
    """The canonical JSON text of an object of at most 16 kB, to be stored as jsonb and to take into a digest.

    Raises `InvalidField`, `DuplicateField`, `MalformedJson` for bytes that are no text.
    """
    raw = bytes(fields.get("metadata", b"null"))
    if raw == b"null":
        return None
    try:
        return valid_metadata(raw.decode())
    except UnicodeDecodeError:
        raise MalformedJson from None
