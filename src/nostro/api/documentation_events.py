"""docs/reference/events.md, written from event_schemas.py: `python -m nostro.api.documentation_events`.

tests/contract/test_events.py says when it is out of date, and how to write it anew.
"""

import json
import sys

import msgspec

from nostro.api.event_schemas import EVENT_TYPES, Json, schema_document
from nostro.domain.event import SCHEMA_VERSION
from nostro.ledger.event_examples import examples
from nostro.store.documents import encode_document

_HEAD = f"""\
# Events

What happened, told in one form everywhere: to webhooks, to brokers, on the live stream and at
`GET /api/events`. This page is written from the code:
`python -m nostro.api.documentation_events > docs/reference/events.md`.

An event is a JSON document after [CloudEvents](https://cloudevents.io) 1.0:

| member | meaning |
|---|---|
| `specversion` | `1.0` |
| `id` | `evt_` and the position: the same for ever, on every channel, after every replay |
| `source` | the ledger it comes from; with `id`, unique everywhere |
| `type` | `io.nostro.` and one of the types below |
| `time` | when it was recorded, in UTC |
| `subject` | the transaction, account or user it is about |
| `datacontenttype` | `application/json` |
| `dataschema` | which schema `data` follows, and its version |
| `position` | its place in the journal: dense, from 1, in the order of commits |
| `data` | what happened, by type |

An event may come more than once; `id` tells. Amounts are JSON numbers in major units, exact. Balances are
those right after this event, not those of now. A customer is told the entries, balances and legs of own
accounts only, and not why somebody else did something; an operator is told everything.

The schemas are version {SCHEMA_VERSION}. Within a version, members may be added; none is taken away or changes
its meaning. Types may be added, too: ignore those you do not know. Each schema is served at
`/schemas/events/TYPE`.

```
curl -s localhost:3000/api/events?after=0\\&limit=1 -H "Authorization: Bearer $TOKEN"
```

answers with `events` and `next`, the position to ask from next.

## Types
"""


def events_page() -> str:
    """The page, as Markdown. Types whose data have the same members share one table."""
    shown: dict[int, str] = {}
    return _HEAD + "".join(_section(name, shown) for name in EVENT_TYPES)


def _section(name: str, shown: dict[int, str]) -> str:
    kind = EVENT_TYPES[name]
    alike = shown.setdefault(id(kind.data), name)
    if alike == name:
        schema = schema_document(name)["properties"]["data"]
        table = f"| in `data` | type | meaning |\n|---|---|---|\n{_rows(schema, '')}"
    else:
        table = f"Members of `data`: as of [{alike}](#{alike.replace('.', '')}).\n"
    example = msgspec.json.format(encode_document(examples()[name].data), indent=2).decode()
    return f"\n### {name}\n\n{kind.text}\n\n{table}\n```json\n{example}\n```\n"


def _rows(schema: Json, prefix: str) -> str:
    rows = ""
    for name, member in schema["properties"].items():
        path = f"{prefix}{name}"
        optional = "" if name in schema["required"] else ", not always"
        rows += f"| `{path}` | {_type(member)}{optional} | {member.get('description', '')} |\n"
        inner = member.get("items", member)
        if "properties" in inner:
            rows += _rows(inner, f"{path}{'[]' if 'items' in member else ''}.")
    return rows


def _type(member: Json) -> str:
    if "enum" in member:
        return " or ".join(json.dumps(value) for value in member["enum"])
    kinds = member["type"]
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


if __name__ == "__main__":
    sys.stdout.write(events_page())
