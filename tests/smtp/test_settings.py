"""Settings from parameters, and what depends on the version."""

import pytest
from fake_parameters import FakeParameters

from postfix_smtp.errors import FatalError
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.envelope import ProbeTarget
from postfix_smtp.smtp.settings import SmtpSettings

V = (3, 7, 11)


def test_defaults_of_the_two_programs_differ() -> None:
    smtp = SmtpSettings.from_parameters(FakeParameters("smtp", V, {}))
    lmtp = SmtpSettings.from_parameters(FakeParameters("lmtp", V, {}))
    assert smtp.skip_quit_response
    assert not lmtp.skip_quit_response
    assert lmtp.is_lmtp
    assert lmtp.discard_map_name == "lmtp_discard_lhlo_keyword_address_maps"
    assert smtp.limits == lmtp.limits


def test_names_of_the_other_program_count_in_lmtp() -> None:
    settings = {"lmtp_lhlo_name": "l.example", "lmtp_lhlo_timeout": "7s", "smtp_helo_timeout": "9s"}
    lmtp = SmtpSettings.from_parameters(FakeParameters("lmtp", V, settings))
    assert (lmtp.helo_name, lmtp.limits.helo) == ("l.example", 7)


def test_probe_target_ignores_case() -> None:
    p = FakeParameters("smtp", V, {"smtp_address_verify_target": "DATA"})
    assert SmtpSettings.from_parameters(p).probe_target is ProbeTarget.DATA


def test_unknown_probe_target_is_fatal() -> None:
    with pytest.raises(FatalError, match='bad protocol stage: "smtp_address_verify_target = helo"'):
        SmtpSettings.from_parameters(FakeParameters("smtp", V, {"smtp_address_verify_target": "helo"}))


@pytest.mark.parametrize(("classes", "keeps"), [("resource, software", False), ("2bounce,Protocol", True)])
def test_transcript_is_kept_if_somebody_may_read_it(classes: str, keeps: bool) -> None:
    settings = SmtpSettings.from_parameters(FakeParameters("smtp", V, {"notify_classes": classes}))
    assert settings.keep_transcript is keeps


@pytest.mark.parametrize(
    ("version", "cuts"),
    [((3, 7, 30), False), ((3, 8, 17), False), ((3, 8, 18), True), ((3, 11, 3), False), ((3, 12, 0), True)],
)
def test_endless_lines_are_cut_since_a_patch_release(version: tuple[int, ...], cuts: bool) -> None:
    assert Dialect.of(version).cut_endless_lines is cuts


def test_newest_dialect() -> None:
    newest = Dialect.of((3, 11, 6))
    assert newest.requiretls
    assert newest.strict_utf8
    assert newest.list_separator == ", "
