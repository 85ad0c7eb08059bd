"""What docs/concepts/webhooks.md tells a receiver to do: its own code, on messages signed by the service's."""

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from nostro.ledger.sealing import Seal, SealBroken
from nostro.ledger.signing import new_secret, signed_headers

_PAGE = (Path(__file__).parent.parent.parent / "docs/concepts/webhooks.md").read_text("utf-8")
BODY = '{"amount":10.50,"note":"ä"}'.encode()


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def messages() -> dict[str, tuple[str, dict[str, str], bytes, bool]]:
    """By what is special about each: secret, headers, body, and whether it is to be believed."""
    now, old, new = datetime.now(UTC), new_secret(), new_secret()
    good = signed_headers("webhooks-7-a", BODY, now, [new])
    both = signed_headers("webhooks-7-a", BODY, now, [new, old])
    stale = signed_headers("webhooks-7-a", BODY, now - timedelta(minutes=6), [new])
    early = signed_headers("webhooks-7-a", BODY, now + timedelta(hours=1), [new])
    return {
        "as sent": (new, good, BODY, True),
        "both secrets, the new one": (new, both, BODY, True),
        "both secrets, the old one": (old, both, BODY, True),
        "another secret": (old, good, BODY, False),
        "another body": (new, good, BODY + b" ", False),
        "another id": (new, good | {"webhook-id": "webhooks-8-a"}, BODY, False),
        "too old": (new, stale, BODY, False),
        "from the future": (new, early, BODY, False),
        "no signature": (new, good | {"webhook-signature": ""}, BODY, False),
    }


@pytest.mark.parametrize("name", messages())
def test_the_python_of_the_page_and_the_package_agree(name: str) -> None:
    secret, headers, body, believed = messages()[name]
    page: dict[str, Any] = {}
    exec(_block("python"), page)
    if believed:
        page["verify"](secret, headers, body)
        assert Verifier(secret).verify(body, headers) == json.loads(body)
        return
    with pytest.raises(ValueError, match=r"too old|no signature"):
        page["verify"](secret, headers, body)
    with pytest.raises((WebhookVerificationError, ValueError)):
        Verifier(secret).verify(body, headers)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed here")
def test_the_javascript_of_the_page_agrees() -> None:
    cases = [
        {"name": name, "secret": secret, "headers": headers, "body": body.decode(), "believed": believed}
        for name, (secret, headers, body, believed) in messages().items()
    ]
    script = _block("js") + (
        "const wrong = [];"
        f"for (const one of {json.dumps(cases)}) {{"
        "  let believed = true;"
        "  try { verify(one.secret, one.headers, Buffer.from(one.body)); } catch (_) { believed = false; }"
        "  if (believed !== one.believed) wrong.push(one.name);"
        "} console.log(JSON.stringify(wrong));"
    )
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []


def test_a_secret_is_32_bytes_nobody_can_guess() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) for one in secrets} == {32}


def test_a_sealed_secret_is_opened_by_its_own_key_for_its_own_purpose() -> None:
    seal = Seal(b"JWT_SECRET", "webhook secrets")
    sealed = seal.sealed("whsec_x")
    assert "whsec" not in sealed
    assert seal.sealed("whsec_x") != sealed, "never twice the same"
    assert seal.opened(sealed) == "whsec_x"
    for other in (Seal(b"another", "webhook secrets"), Seal(b"JWT_SECRET", "something else")):
        with pytest.raises(SealBroken):
            other.opened(sealed)
    for broken in ("", "x", sealed[:-3] + "AAA", "whsec_x"):
        with pytest.raises(SealBroken):
            seal.opened(broken)
