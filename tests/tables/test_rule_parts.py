from postfix_smtp.tables.rule_parts import Part, parts


def test_rules_of_one_kind_are_one_part() -> None:
    assert parts([0, 0, 0, 0], "aabb") == [Part(0, 2, 0), Part(2, 4, 0)]


def test_a_condition_is_a_part_and_knows_where_to_go_on() -> None:
    # a rule, if, a rule, endif, a rule
    assert parts([0, 3, 0, 0], "aaaa") == [Part(0, 1, 0), Part(1, 2, 3), Part(2, 3, 0), Part(3, 4, 0)]


def test_a_condition_may_be_the_last() -> None:
    assert parts([1], "a") == [Part(0, 1, 1)]


def test_no_rules() -> None:
    assert parts([], "") == []
