"""The parts around a language model that need no server: breaker, budget, cache."""

import pytest

from hybridrl.agents.tell_drive.teachers.breaker import CircuitBreaker
from hybridrl.agents.tell_drive.teachers.cache import NEGATIVE_S, AnswerCache
from hybridrl.agents.tell_drive.teachers.ledger import Budget, Ledger, Price
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_trial_through():
    now = [0.0]
    breaker = CircuitBreaker(5, 60.0, clock=lambda: now[0])
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(5):
        assert breaker.allow()
        breaker.failed()
    assert breaker.state == "open" and not breaker.allow()
    now[0] = 61.0
    assert breaker.allow() and not breaker.allow()
    breaker.failed()
    now[0] = 100.0
    assert not breaker.allow()
    now[0] = 122.0
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed" and breaker.allow()


@pytest.mark.parametrize(
    "budget", [Budget(max_tokens=110), Budget(max_cost=1e-4), Budget(max_seconds=5.0)]
)
def test_every_kind_of_budget_ends(budget):
    now = [0.0]
    ledger = Ledger(prices={"m": Price(1.0, 1.0)}, budget=budget, clock=lambda: now[0])
    assert ledger.reserve()
    ledger.paid("m", 100, 10, 1.0, ok=True)
    now[0] = 6.0
    assert not ledger.reserve()


def test_failures_are_forgotten_after_an_hour_and_modes_are_obeyed(tmp_path):
    now = [0.0]
    cache = AnswerCache(clock=lambda: now[0])
    cache.put("k", "")
    assert cache.get("k") == ("", 0)
    now[0] = NEGATIVE_S + 1
    assert cache.get("k") is None
    for mode, found in (("off", False), ("refresh", False), ("read-write", True)):
        one = AnswerCache(tmp_path / "a.sqlite", mode)
        one.put("q", "text")
        assert (one.get("q") is not None) == found
    assert AnswerCache(tmp_path / "a.sqlite").clear() == 1
    with pytest.raises(UnknownNameError, match="cache mode"):
        AnswerCache(mode="writeonly")
    with pytest.raises(ScenarioError, match="cache"):
        AnswerCache(tmp_path / "none.sqlite", "read-only")
    (tmp_path / "bad.sqlite").write_text("no data base, but long enough to be read as one" * 50)
    with pytest.raises(ScenarioError, match="cache of answers"):
        AnswerCache(tmp_path / "bad.sqlite")
