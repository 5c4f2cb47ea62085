"""TLS at start-up (TLS chapter 1): what is done as root, and the rest behind the jail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.config.expand import compatibility_level
from postfix_smtp.config.lists import split_tables
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import general_level
from postfix_smtp.tls.settings import LevelSettings, PolicySettings, TlsParameters

if TYPE_CHECKING:
    from postfix_smtp.routing.dns import Resolver
    from postfix_smtp.tables.maps import Maps
    from postfix_smtp.tables.opening import Opener
    from postfix_smtp.tls.callbacks import Callbacks
    from postfix_smtp.tls.engine import Engine
    from postfix_smtp.tls.planner import Planner, RequireTlsPolicy, StarterMaker
    from postfix_smtp.tls.requiretls import RequireTlsRules

_FOLDED = TableFlags.LOCK | TableFlags.FOLD_FIX
_STATUS_SINCE = (3, 11)
_REPORTS_SINCE = (3, 10)


@dataclass(slots=True)
class Opened:
    """What has been made as root.

    Attributes:
        engine: None without TLS, or if it could not be initialised.
        log_records: the log level wants to see records that policies are made of, also without an engine.
    """

    parameters: TlsParameters
    general: Level
    engine: "Engine | None" = None
    log_records: bool = False
    callbacks: "Callbacks | None" = None
    policies: "Maps | None" = None
    sites: "Maps | None" = None
    requiretls: "RequireTlsRules | None" = None


def open_tls(parameters: Parameters, opener: "Callable[[], Opener]") -> Opened | None:
    """Initialise TLS as root; None if it is not configured.

    Args:
        opener: makes the opener of tables, if there are any.

    Raises:
        FatalError: the level or a library parameter is bad.
    """
    p = cast(TlsParameters, parameters)
    _tell_old_default(p)
    general, wanted = general_level(LevelSettings.from_parameters(p))
    opened = Opened(p, general)
    if not wanted:
        if p.version < _STATUS_SINCE and not _reports_are_wanted(p):
            return None
        _load_late_modules(p, has_engine=False)
        return opened
    p.evaluate_tls_library()
    from postfix_smtp.ipc.tlsmgr import BlockingTlsManagerClient
    from postfix_smtp.tls.engine import Engine, EngineError
    from postfix_smtp.tls.loglevel import LogFeature, parse_loglevel
    from postfix_smtp.tls.settings import EngineSettings

    settings = EngineSettings.from_parameters(p)
    manager = BlockingTlsManagerClient(IpcSettings.from_parameters(p))
    try:
        engine = opened.engine = Engine(settings, manager)
    except EngineError:
        pass
    else:
        from postfix_smtp.tls.callbacks import Callbacks

        opened.callbacks = Callbacks(progress=engine.logs(LogFeature.SSL_DEBUG))
        engine.add_hook(opened.callbacks.install)
    finally:
        manager.close()
    _open_tables(opened, opener)
    features = parse_loglevel(settings.loglevel_title, settings.loglevel)
    opened.log_records = bool(features & (LogFeature.DANE | LogFeature.VERBOSE))
    _load_late_modules(p, has_engine=opened.engine is not None)
    return opened


def _tell_old_default(p: TlsParameters) -> None:
    """The default of the level depends on the compatibility level (3.11)."""
    if p.version < _STATUS_SINCE or p.program != "smtp" or p.is_set("smtp_tls_security_level"):
        return
    if compatibility_level(p.text("compatibility_level")) < compatibility_level("3.11"):
        log.info("using backwards-compatible default setting smtp_tls_security_level=(empty)")


def _open_tables(opened: Opened, opener: "Callable[[], Opener]") -> None:
    p = opened.parameters
    policies, sites = p.text("smtp_tls_policy_maps"), p.text("smtp_tls_per_site")
    if policies.strip():
        opened.policies = opener().open_maps(p.spelling("smtp_tls_policy_maps"), policies, _FOLDED)
        if sites.strip():
            log.warning(
                f"{p.spelling('smtp_tls_per_site')} ignored when {p.spelling('smtp_tls_policy_maps')} is not empty."
            )
    elif sites.strip():
        opened.sites = opener().open_maps(p.spelling("smtp_tls_per_site"), sites, _FOLDED)


def _load_late_modules(p: Parameters, *, has_engine: bool) -> None:
    """Import now what is needed in the jail."""
    import postfix_smtp.tls.dane
    import postfix_smtp.tls.loglevel
    import postfix_smtp.tls.planner
    import postfix_smtp.tls.policy
    import postfix_smtp.tls.trust_anchors

    if has_engine:
        import postfix_smtp.tls.session_cache
        import postfix_smtp.tls.starter
        from postfix_smtp.tls.certificate import load_codecs

        load_codecs()
    if _reports_are_wanted(p):
        import postfix_smtp.tls.tlsrpt  # noqa: F401


def _reports_are_wanted(p: Parameters) -> bool:
    return p.version >= _REPORTS_SINCE and p.flag("smtp_tlsrpt_enable")


def open_requiretls(opened: Opened, opener: "Opener") -> None:
    """Open the tables of ``smtp_requiretls_policy`` (3.11)."""
    p = opened.parameters
    if not p.flag("requiretls_enable"):
        return
    from postfix_smtp.tls.requiretls import RequireTlsRules

    opened.requiretls = RequireTlsRules.open(
        p.spelling("smtp_requiretls_policy"), split_tables(p.text("smtp_requiretls_policy")), opener
    )


def finish_tls(opened: Opened, resolver: "Resolver | None") -> "Planner":
    """Put together what deliveries use, behind the jail."""
    from postfix_smtp.tls.dane import Dane
    from postfix_smtp.tls.planner import Planner
    from postfix_smtp.tls.policy import PolicyFinder
    from postfix_smtp.tls.trust_anchors import TrustAnchorFiles

    p, log_records = opened.parameters, opened.log_records
    settings = PolicySettings.from_parameters(p)
    finder = PolicyFinder(
        settings,
        opened.general,
        opened.policies,
        opened.sites,
        Dane(settings, resolver, log_records=log_records).decide,
        TrustAnchorFiles(verbose=log_records),
        log_records=log_records,
    )
    reporting = None
    if _reports_are_wanted(p):
        from postfix_smtp.tls.tlsrpt import TlsRpt, TlsRptSettings

        reports = TlsRptSettings.from_parameters(p, dns=resolver is not None, validate=settings.dnssec)
        if reports is not None and resolver is not None:
            reporting = TlsRpt(reports, resolver)
    rules: RequireTlsPolicy | None = opened.requiretls.find if opened.requiretls is not None else None
    shows_status = p.version >= _STATUS_SINCE and p.flag("smtp_log_tls_feature_status")
    return Planner(settings, finder, _starter_maker(opened), rules, reporting, shows_status=shows_status)


def _starter_maker(opened: Opened) -> "StarterMaker | None":
    engine, callbacks = opened.engine, opened.callbacks
    if engine is None or callbacks is None:
        return None
    from postfix_smtp.delivery.session import TlsStarter
    from postfix_smtp.ipc.tlsmgr import TlsManagerClient
    from postfix_smtp.smtp.peer import Peer
    from postfix_smtp.tls.policy import Policy, Server
    from postfix_smtp.tls.reporting import SessionReport
    from postfix_smtp.tls.session_cache import SessionCache
    from postfix_smtp.tls.starter import Starter

    cache = None
    if engine.session_policy.enabled:
        manager = TlsManagerClient(IpcSettings.from_parameters(opened.parameters))
        cache = SessionCache(manager, engine.settings.cache_type, engine.session_policy.timeout)

    def make(policy: Policy, server: Server, peer: Peer, report: SessionReport | None) -> TlsStarter:
        return Starter(engine, callbacks, cache, policy, server, peer, report)

    return make
