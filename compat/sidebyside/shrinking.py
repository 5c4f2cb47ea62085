"""The smallest scenario that still shows something."""

from collections.abc import Callable, Iterator
from typing import Any

from compat.sidebyside.scenario import Scenario

#: Lists in which an element stands for itself; others, such as records of content, are cut in halves first.
_FEW = 8


def _without(value: Any, path: tuple[Any, ...], replacement: list[Any]) -> Any:
    """A copy of nested dictionaries and lists with what is at `path` replaced (by nothing, or one value)."""
    key, *rest = path
    if isinstance(value, dict):
        changed = dict(value)
        new = [_without(value[key], tuple(rest), replacement)] if rest else replacement
        if new:
            changed[key] = new[0]
        else:
            del changed[key]
        return changed
    if isinstance(key, slice):
        return [*value[: key.start], *replacement, *value[key.stop :]]
    new = [_without(value[key], tuple(rest), replacement)] if rest else replacement
    return type(value)([*value[:key], *new, *value[key + 1 :]])


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Everything that could be left out or made simpler, the large pieces first."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
        size = len(value) // 2
        while len(value) > _FEW and size > 1:
            for start in range(0, len(value), size):
                yield (*path, slice(start, start + size)), []
            size //= 2
    elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
        inner = list(enumerate(value))
    for key, _ in inner:
        yield (*path, key), []
    for key, element in inner:
        yield from _paths(element, (*path, key))
        yield from (((*path, key), [simple]) for simple in _simpler(element))


def _simpler(value: Any) -> Iterator[Any]:
    if isinstance(value, str) and "\n" in value:
        rows = value.splitlines(keepends=True)
        for at in range(len(rows)):
            yield "".join(rows[:at] + rows[at + 1 :])
    if isinstance(value, (str, bytes)) and len(value) > 60:
        yield value[: len(value) // 2]
        yield value[: len(value) * 3 // 4]
    if isinstance(value, list) and value and not isinstance(value[0], (list, tuple)):
        yield from value[:1]


def _remove_message(scenario: Scenario, number: int) -> Scenario:
    """A copy without one message and the steps that send it."""
    steps: list[Any] = []
    left_out = False
    for step in scenario["steps"]:
        if step == ("idle",) and left_out:
            left_out = False
        elif step[0] != "send":
            steps.append(step)
        elif step[1] == number:
            left_out = True
        else:
            steps.append(("send", step[1] - (step[1] > number)))
    messages = [message for at, message in enumerate(scenario["messages"]) if at != number]
    return {**scenario, "messages": messages, "steps": steps}


def _recipients(scenario: Scenario) -> Iterator[Scenario]:
    """Copies without one recipient, where arguments are given for each."""
    for number, message in enumerate(scenario["messages"]):
        arguments = message.get("rcpt_args")
        for at in range(len(message["to"])) if len(message["to"]) > 1 else ():
            changed = {**message, "to": message["to"][:at] + message["to"][at + 1 :]}
            if arguments:
                changed["rcpt_args"] = arguments[:at] + arguments[at + 1 :]
            messages = list(scenario["messages"])
            messages[number] = changed
            yield {**scenario, "messages": messages}


def _candidates(scenario: Scenario) -> Iterator[Scenario]:
    if len(scenario["messages"]) > 1:
        for number in range(len(scenario["messages"])):
            yield _remove_message(scenario, number)
    yield from _recipients(scenario)
    for path, replacement in _paths(scenario):
        if _may_go(path):
            yield _without(scenario, path, replacement)


def _may_go(path: tuple[Any, ...]) -> bool:
    """Whether something can be left out by itself, and without the rest losing its sense."""
    match path:
        case ("agents" | "messages" | "steps",) | ("messages" | "steps", _):
            return False
        case ("messages", _, "to" | "lines") | ("messages", _, "to" | "rcpt_args", _):
            return False
    return True


def shrink(scenario: Scenario, still: Callable[[Scenario], bool], most: int = 400) -> Scenario:
    """Leave out one thing after the other while `still` is true of the rest.

    Args:
        most: how often `still` may be asked.
    """
    asked = 0
    seen = {repr(scenario)}
    found = True
    while found and asked < most:
        found = False
        for candidate in _candidates(scenario):
            key = repr(candidate)
            if key in seen:
                continue
            seen.add(key)
            asked += 1
            if still(candidate):
                scenario = candidate
                found = True
                break
            if asked >= most:
                break
    return scenario
