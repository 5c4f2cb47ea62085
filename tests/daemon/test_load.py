from postfix_smtp.daemon.load import LoadMeter


class Times:
    def __init__(self) -> None:
        self.wall = self.used = 0.0

    def meter(self) -> LoadMeter:
        return LoadMeter(lambda: self.used, lambda: self.wall)

    def spend(self, share: float, seconds: float = 0.1) -> None:
        self.wall += seconds
        self.used += share * seconds


def test_a_loop_that_needs_a_core_is_saturated_until_it_is_clearly_calm() -> None:
    times = Times()
    meter = times.meter()
    seen = []
    for share in (0.3, 0.7, 0.9, 0.6, 0.4, 0.6):
        times.spend(share)
        seen.append(meter.is_saturated())
    assert seen == [False, False, True, True, False, False]


def test_nothing_is_concluded_from_a_moment() -> None:
    times = Times()
    meter = times.meter()
    times.spend(1.0, 0.01)
    assert not meter.is_saturated()
    times.spend(1.0, 0.05)
    assert meter.is_saturated()
