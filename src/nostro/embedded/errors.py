"""What the supervisor says when it cannot go on."""


class EmbeddedError(Exception):
    """One plain sentence for the operator: what is wrong, and what to do about it."""
