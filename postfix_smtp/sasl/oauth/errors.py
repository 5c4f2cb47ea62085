"""Why there is no access token."""


class TokenError(Exception):
    """No token can be had now.

    Attributes:
        reason: for the log and the delivery report: one line without secrets.
        lasting: asking again will not help until the operator has done something.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


_SHOWN = 300


def clean(text: str, secrets: tuple[str, ...] = ()) -> str:
    """A text from outside as it may be shown: one line, bounded, without any of the `secrets`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[hidden]")
    return "".join(character if character.isprintable() else " " for character in text)[:_SHOWN].strip()
