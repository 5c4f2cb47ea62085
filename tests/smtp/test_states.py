"""General laws of the transaction's tables."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.smtp.settings import TimeLimits
from postfix_smtp.smtp.states import CORRECTABLE, NEXT, PHASES, SILENT, State, Turn, must_abort

MOVING = [state for state in State if state is not State.LAST]


def test_the_script_only_goes_forward() -> None:
    for (state, turn), following in NEXT.items():
        assert following > state or (turn is Turn.STAY and following is state)


def test_every_state_but_the_last_goes_on() -> None:
    assert {state for state, turn in NEXT if turn is Turn.ON} == set(MOVING)


def test_every_state_that_waits_has_a_time_limit_and_a_name() -> None:
    assert set(PHASES) == set(MOVING)
    fields = {field.name for field in dataclasses.fields(TimeLimits)}
    assert {limit for limit, _ in PHASES.values()} <= fields


def test_errors_are_silent_exactly_where_every_recipient_is_decided() -> None:
    assert {State.ABORT, State.PROBE, State.QUIT} == SILENT


@given(st.sampled_from(State), st.booleans(), st.integers(-1, 5))
def test_course_is_corrected_only_before_something_pointless(
    sender: State, sender_rejected: bool, accepted: int
) -> None:
    aborts = must_abort(sender, sender_rejected=sender_rejected, accepted=accepted)
    if aborts:
        assert sender in CORRECTABLE
        assert sender_rejected or accepted <= 0
    if sender is State.DATA and accepted > 0:
        assert not aborts
