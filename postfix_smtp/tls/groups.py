"""Key exchange groups (TLS chapter 5.4)."""

from collections.abc import Callable

from postfix_smtp import log
from postfix_smtp.config.lists import split

_GROUPS_SINCE = (3, 8)
_LIBRARY_NAMES_SINCE = (3, 10)
_DEFAULT_CURVES = {
    (3, 8): "X25519 X448 prime256v1 secp521r1 secp384r1",
    (3, 10): "X25519 X448 prime256v1 secp384r1 secp521r1",
}
_DEFAULT_GROUPS = "ffdhe2048 ffdhe3072"

#: Whether the library can use the groups with these names, in this order; None: it cannot be told.
Setter = Callable[[list[str]], bool | None]


def choose_groups(
    curves: str, groups: str, version: tuple[int, ...], supported: Setter, is_known: Callable[[str], bool]
) -> list[str]:
    """The groups to offer, best first; none: those of the library.

    Args:
        curves, groups: ``tls_eecdh_auto_curves``, ``tls_ffdhe_auto_groups``.
        supported: tries names.
        is_known: whether the library has heard of a name that it does not support.
    """
    if version < _GROUPS_SINCE:
        return _curves(curves, supported, is_known)
    if not curves.strip() and not groups.strip():
        return []
    found = _usable(curves, groups, version, supported, "configured")
    if found:
        return found
    default = _DEFAULT_CURVES[(3, 10) if version >= _LIBRARY_NAMES_SINCE else (3, 8)]
    if (split(curves), split(groups)) != (split(default), split(_DEFAULT_GROUPS)):
        log.warning("using Postfix default key exchange groups instead")
        found = _usable(default, _DEFAULT_GROUPS, version, supported, "Postfix default")
        if found:
            return found
    log.warning("using OpenSSL default key exchange groups instead")
    return []


def _curves(curves: str, supported: Setter, is_known: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    skipped = False
    for name in split(curves):
        if supported([name]) is not False:
            found.append(name)
        elif is_known(name):
            skipped = True
        else:
            log.warning(f'ignoring unknown ECDHE curve "{name}"')
    if not found and skipped:
        log.warning("none of the configured ECDHE curves are supported")
    return found


def _usable(curves: str, groups: str, version: tuple[int, ...], supported: Setter, kind: str) -> list[str]:
    by_library = version >= _LIBRARY_NAMES_SINCE
    separators = ", \t\r\n:" if by_library else ", \t\r\n"
    names = split(curves, separators) + split(groups, separators)
    if not names:
        log.warning(f"no {kind} key exchange group - OpenSSL requires at least one")
        return []
    found: list[str] = []
    for name in names:
        if by_library and name.lower() in (known.lower() for known in found):
            continue
        if supported([name]) is not False:
            found.append(name)
        elif not by_library:
            log.warning(f'ignoring unknown key exchange group "{name}"')
    if not found:
        log.warning(f"none of the {kind} key exchange groups are supported")
    return found
