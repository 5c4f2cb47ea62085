"""Providers that are known by name."""

from typing import NamedTuple


class Provider(NamedTuple):
    """Where a provider's OAuth2 services are.

    Attributes:
        token_endpoint: gives access tokens.
        device_endpoint: begins the device code flow (RFC 8628).
        scope: what to ask for to send mail.
    """

    name: str
    token_endpoint: str
    device_endpoint: str
    scope: str


GOOGLE = Provider(
    "google",
    "https://oauth2.googleapis.com/token",
    "https://oauth2.googleapis.com/device/code",
    "https://mail.google.com/",
)
MICROSOFT = Provider(
    "microsoft",
    "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
    "https://outlook.office.com/SMTP.Send offline_access",
)
PROVIDERS = {provider.name: provider for provider in (GOOGLE, MICROSOFT)}
