"""The TLS engine of one process: initialised once as root (TLS chapter 1.2), then contexts, one a policy.

A context is what the library calls everything that many connections have in common. Making one costs much more than a
connection, so each is made when its policy is first met, and kept.
"""

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from postfix_smtp import log
from postfix_smtp.ipc.tlsmgr import BlockingTlsManagerClient, SessionPolicy
from postfix_smtp.tls import ciphers as ciphers_module
from postfix_smtp.tls import options
from postfix_smtp.tls.certificate import Key, signing_kind
from postfix_smtp.tls.library_configuration import ConfigurationError, name_configuration
from postfix_smtp.tls.loglevel import LogFeature, parse_loglevel
from postfix_smtp.tls.protocols import Protocols, parse_protocols
from postfix_smtp.tls.records import Digests, TlsaRecord, is_digest
from postfix_smtp.tls.settings import EngineSettings

_MAX_CONTEXTS = 64
_LOWEST_KNOWN, _HIGHEST_KNOWN = 0x0300, 0x0304
#: cryptography loads the library's provider of legacy algorithms, Postfix does not: it has no such ciphers.
_WITHOUT_LEGACY = ":-SEED:-IDEA:-RC4"
_DISABLING = "disabling TLS support"


class EngineError(Exception):
    """The engine cannot be initialised: TLS is disabled in this process. Logged."""


class Engine:
    """Everything that outlives a connection.

    Attributes:
        features: what is logged.
        digests: usable digest algorithms.
        session_policy: whether sessions are kept in tlsmgr(8).
        closing_seconds: how long to wait for a peer's closing alert, 0: not at all.
    """

    def __init__(self, settings: EngineSettings, manager: BlockingTlsManagerClient) -> None:
        """Initialise, in Postfix's order.

        Raises:
            EngineError: TLS is off; logged.
        """
        self.settings = settings
        self.closing_seconds = 0.0 if settings.fast_shutdown else float(settings.handshake_seconds)
        if self.closing_seconds:
            # Behind a jail nothing can be loaded any more.
            import postfix_smtp.tls.closing  # noqa: F401
        self.features = parse_loglevel(settings.loglevel_title, settings.loglevel)
        if self.logs(LogFeature.VERBOSE):
            log.info("initializing the client-side TLS engine")
        try:
            configuration = name_configuration(settings.config_file, settings.config_name, settings.version)
        except ConfigurationError as error:
            raise EngineError from error
        if not is_digest(settings.fingerprint_digest):
            log.warning(f'Digest algorithm "{settings.fingerprint_digest}" not found')
            log.warning(_DISABLING)
            raise EngineError
        # The library is loaded here and not before: its configuration file had to be named first.
        from OpenSSL import SSL, crypto

        from postfix_smtp.tls import credentials, library

        self._ssl: Any = SSL
        self._crypto: Any = crypto
        self._library = library
        if lacking := library.lacking():
            log.warning(f"the package cryptography is too old, it has no {', '.join(lacking)}: {_DISABLING}")
            raise EngineError
        if configuration is not None:
            library.read_configuration(configuration)
        self._install_credentials = credentials.install
        seed = manager.seed(settings.random_bytes) if settings.random_bytes <= 255 else None
        if seed is None:
            log.warning("no entropy for TLS key generation: disabling TLS support")
            raise EngineError
        self.mix(seed + f"{time.time()} {os.getpid()}".encode())
        self.digests = Digests.parse(settings.dane_digests, settings.fingerprint_digest)
        self._options = (
            options.option_bits(settings.disable_workarounds, settings.ssl_options, settings.version)
            | options.IGNORE_UNEXPECTED_EOF
        )
        self.cipher_lists = ciphers_module.base_lists(settings.cipher_lists, settings.version)
        self._groups: list[str] = []
        self._chains: list[Any] = []
        self._trust = self._load_trust()
        try:
            self._chains = credentials.load_chains(settings.chain_files, settings.key_pairs)
        except credentials.CredentialError as error:
            raise EngineError from error
        self._client_keys = [key for key in (chain.description for chain in self._chains) if key is not None]
        self._choose_groups()
        policy = manager.policy(settings.cache_type)
        self.session_policy = policy if policy is not None and library.has_sessions() else SessionPolicy(False, 0)
        self._lists: dict[tuple[str, str, str], tuple[Protocols, str]] = {}
        self._accepted: set[str] = set()
        self._hooks: list[Callable[[Any], None]] = []
        self._contexts: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def client_key(self, scheme: int) -> Key | None:
        """The own key that makes signatures of this TLS signature scheme, for the summary line."""
        kind = signing_kind(scheme)
        return next((key for key in self._client_keys if key.kind == kind), None)

    def logs(self, feature: LogFeature) -> bool:
        """Whether any of these features is logged."""
        return bool(self.features & feature)

    def mix(self, octets: bytes) -> None:
        """Add octets to the library's random generator."""
        self._library.LIB.RAND_add(self._library.FFI.from_buffer(octets), len(octets), float(len(octets)))

    def add_hook(self, hook: Callable[[Any], None]) -> None:
        """Let `hook` prepare each new context."""
        self._hooks.append(hook)

    # Contexts

    def lists(self, protocols: str, ciphers: str, exclude: str, endpoint: str) -> tuple[Protocols, str] | None:
        """Protocols, and the cipher list, of a policy; None if they are malformed, which is logged.

        Args:
            endpoint: name and address for warnings.
        """
        key = protocols, ciphers, exclude
        known = self._lists.get(key)
        if known is None:
            versions = parse_protocols(protocols)
            if versions is None:
                log.warning(f'{endpoint}: Invalid TLS protocol list "{protocols}": aborting TLS session')
                return None
            text = ciphers_module.cipher_list(self.cipher_lists, ciphers, exclude, endpoint.lower())
            if text is None:
                return None
            if len(self._lists) >= _MAX_CONTEXTS:
                self._lists.clear()
                self._accepted.clear()
            known = self._lists[key] = versions, text
        return known

    def accepts(self, cipher_list: str) -> bool:
        """Whether the library has such ciphers; if not its errors stay in its queue."""
        if cipher_list not in self._accepted:
            self._library.clear_errors()
            if not self._library.set_ciphers(self._trust, cipher_list + _WITHOUT_LEGACY):
                return False
            self._accepted.add(cipher_list)
        return True

    def context(
        self,
        cipher_list: str,
        protocols: Protocols,
        peer: str,
        *,
        match: bool,
        watched: bool = True,
        records: tuple[TlsaRecord, ...] | None = None,
        anchors: Sequence[bytes] = (),
    ) -> Any:
        """The context for a policy.

        Args:
            cipher_list: one that the library accepts.
            peer: folded name and address for warnings.
            match: security level 1 instead of 0.
            watched: the hooks are wanted.
            records: trust anchors in place of the configured authorities: the context is for them alone; None: there
                are none.
            anchors: the certificates (DER) among them.
        """
        key = (cipher_list, protocols, match, watched, records)
        context = self._contexts.get(key)
        if context is not None:
            self._contexts.move_to_end(key)
            self._limits(None, protocols, peer)
            return context
        context = self._new_context()
        self._library.set_ciphers(context, f"{cipher_list}{_WITHOUT_LEGACY}:@SECLEVEL={int(match)}")
        context.set_options(protocols.options)
        self._limits(context, protocols, peer)
        if records is None:
            self._library.share_store(context, self._trust)
        else:
            store = context.get_cert_store()
            store.set_flags(self._crypto.X509StoreFlags.PARTIAL_CHAIN)
            for encoding in anchors:
                self.trust(context, encoding)
        self._install_credentials(context, self._chains)
        if watched:
            for hook in self._hooks:
                hook(context)
        self._contexts[key] = context
        if len(self._contexts) > _MAX_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def trust(self, context: Any, encoding: bytes) -> None:
        """Make a certificate an anchor of a context that does not share its anchors."""
        try:
            item = self._crypto.load_certificate(self._crypto.FILETYPE_ASN1, encoding)
            context.get_cert_store().add_cert(item)
        except (self._crypto.Error, ValueError):
            self._library.clear_errors()

    def connection(self, context: Any) -> Any:
        """A new connection, client side, on memory buffers."""
        connection = self._ssl.Connection(context, None)
        connection.set_connect_state()
        return connection

    def _new_context(self) -> Any:
        context = self._ssl.Context(self._ssl.TLS_METHOD)
        context.set_options(self._options)
        context.set_session_cache_mode(self._ssl.SESS_CACHE_OFF)
        if self.session_policy.enabled:
            context.set_timeout(2 * self.session_policy.timeout)
        context.set_verify_depth(self.settings.verify_depth + 1)
        if self._groups:
            self._library.set_groups(context, self._groups)
        return context

    def _limits(self, context: Any, protocols: Protocols, peer: str) -> None:
        """Lowest and highest version; one that the library refuses is warned about at each connection."""
        for kind, version in (("minimum", protocols.lowest), ("maximum", protocols.highest)):
            if version and not _LOWEST_KNOWN <= version <= _HIGHEST_KNOWN:
                log.warning(f"{peer}: error setting {kind} TLS version to: 0x{version:04x}")
            elif context is not None:
                if kind == "minimum":
                    context.set_min_proto_version(version)
                else:
                    context.set_max_proto_version(version)

    # Initialisation

    def _load_trust(self) -> Any:
        """A context that is used for nothing but its store of certification authorities."""
        settings, library = self.settings, self._library
        context = self._ssl.Context(self._ssl.TLS_METHOD)
        if not settings.ca_file and not settings.ca_path:
            return context
        library.clear_errors()
        ffi = library.FFI
        loaded = library.LIB.SSL_CTX_load_verify_locations(
            context._context,
            os.fsencode(settings.ca_file) if settings.ca_file else ffi.NULL,
            os.fsencode(settings.ca_path) if settings.ca_path else ffi.NULL,
        )
        if not loaded:
            places = [("CAfile", settings.ca_file), ("CApath", settings.ca_path)]
            shown = ", ".join(f'{name}="{place}"' for name, place in places if place)
            log.info(f"cannot load Certification Authority data, {shown}: {_DISABLING}")
            library.log_errors(_unreadable(settings.ca_file) or library.error_stack(library.DECODING))
            raise EngineError
        if settings.append_default_ca:
            context.set_default_verify_paths()
        return context

    def _choose_groups(self) -> None:
        from postfix_smtp.tls.groups import choose_groups

        probe = self._ssl.Context(self._ssl.TLS_METHOD)
        library = self._library
        self._groups = choose_groups(
            self.settings.curves,
            self.settings.groups,
            self.settings.version,
            lambda names: library.set_groups(probe, names),
            library.is_known_object,
        )


def _unreadable(path: str) -> list[str]:
    """What the library's error stack looks like if a file of authorities cannot be opened; else nothing.

    The bindings do not tell the name of the file.
    """
    where = "../crypto/unknown:0"
    try:
        with open(path, "rb"):
            return []
    except OSError as error:
        number = error.errno or 0
        second = (
            "10000080:BIO routines::no such file" if number == errno.ENOENT else "10080002:BIO routines::system lib"
        )
        return [
            f"error:{0x80000000 | number:08X}:system library::{error.strerror}:{where}:calling fopen({path}, r):",
            f"error:{second}:{where}:",
            f"error:05880002:x509 certificate routines::system lib:{where}:",
        ]
