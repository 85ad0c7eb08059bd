"""Who may send how much at once, in one process: no owner of webhooks takes the senders from the others.

A quarter of them is an owner's, however many webhooks there are, so that somebody whose receivers answer late
delays nobody else. Of a webhook at which nothing arrives one request at a time is enough to learn that it is
back. It decides only what is tried next, never whether something is delivered.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nostro.domain.ids import ObjectId
from nostro.followers.frame import NotNow
from nostro.store.webhooks import Webhook

_AGAIN_S = 1.0
_FAILING_AGAIN_S = 5.0


@dataclass(slots=True)
class Turns:
    """`of_one_owner`: requests that one owner's webhooks may have under way."""

    of_one_owner: int
    _of_owner: Counter[ObjectId] = field(default_factory=Counter)
    _of_webhook: Counter[ObjectId] = field(default_factory=Counter)

    @contextmanager
    def taken(self, webhook: Webhook) -> Iterator[None]:
        """Inside a request may be made. Raises `NotNow`."""
        if webhook.failing_since is not None and self._of_webhook[webhook.id]:
            raise NotNow(_FAILING_AGAIN_S)
        if self._of_owner[webhook.owner] >= self.of_one_owner:
            raise NotNow(_AGAIN_S)
        for count, whose in ((self._of_owner, webhook.owner), (self._of_webhook, webhook.id)):
            count[whose] += 1
        try:
            yield
        finally:
            for count, whose in ((self._of_owner, webhook.owner), (self._of_webhook, webhook.id)):
                count[whose] -= 1
                if not count[whose]:
                    del count[whose]
