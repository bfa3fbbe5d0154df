"""The memory, reflection, and the teacher that votes from it."""

from dataclasses import replace

import numpy as np
import pytest

from hybridrl.agents.tell_drive.teachers.memory import Memory, MemoryTeacher
from hybridrl.agents.tell_drive.teachers.reflection import Decision, reflect, remember_episode
from hybridrl.agents.tell_drive.teachers.registry import make_teacher
from hybridrl.agents.tell_drive.teachers.rule import RuleTeacher
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.scene import LaneView, Scene
from hybridrl.planners.errors import ScenarioError

LANE = LaneView(1, 100.0, 25.0, 60.0, 25.0)
BASE = Scene(
    *("highway", 3.0, 25.0, 25.0, 1, 4, 150.0, 20.0, LANE, LANE, LANE, (), 0.1),
    *((0.1, 0.1, 0.1, 0.9, 0.05), 20.0, ACTIONS, None),
)


def at(gap, scenario="highway"):
    return replace(BASE, scenario=scenario, own=replace(LANE, front_gap=gap))


def test_the_nearest_of_the_same_scenario_come_first_and_ties_go_to_the_older():
    memory = Memory(radius=0.0)
    for gap in (20.0, 40.0, 60.0, 80.0):
        memory.add(at(gap), "IDLE")
    memory.add(at(40.0), "SLOWER")
    memory.add(at(41.0, "merge"), "FASTER")
    found = memory.retrieve(at(42.0))
    assert [one.entry.id for one in found] == [1, 4, 2]
    assert found[0].distance == found[1].distance == pytest.approx(0.02, abs=1e-6)
    assert [one.entry.hits for one in found] == [1, 1, 1]
    assert memory.retrieve(at(42.0, "roundabout")) == []


def test_retrieval_agrees_with_brute_force(rng):
    memory = Memory(radius=0.0, floor=100.0)
    gaps = rng.uniform(0, 150, 60)
    for gap in gaps:
        memory.add(at(gap), "IDLE")
    for gap in rng.uniform(0, 150, 20):
        expected = np.argsort(np.abs(gaps - gap), kind="stable")[:5]
        assert [one.entry.id for one in memory.retrieve(at(gap), 5)] == expected.tolist()


def test_what_is_far_away_is_not_retrieved_and_what_is_known_not_added():
    memory = Memory(radius=0.1, floor=0.3)
    assert memory.add(at(50.0), "IDLE") and not memory.add(at(55.0), "IDLE")
    assert memory.add(at(55.0), "SLOWER") and memory.add(at(65.0), "IDLE")
    assert memory.retrieve(at(120.0)) == [] and len(memory.retrieve(at(60.0), 9)) == 3


def test_a_full_memory_forgets_the_least_useful_but_no_last_of_an_action():
    memory = Memory(capacity=3, radius=0.0)
    memory.add(at(10.0), "SLOWER", outcome=-9.0)
    for k, outcome in enumerate((0.5, 0.1, 0.3, 0.2)):
        memory.add(at(30.0 + 10 * k), "IDLE", outcome=outcome)
    kept = {(e.action, e.outcome) for e in memory.entries}
    assert kept == {("SLOWER", -9.0), ("IDLE", 0.5), ("IDLE", 0.3)}


def test_hits_make_an_entry_worth_keeping():
    memory = Memory(capacity=2, radius=0.0, floor=0.01)
    memory.add(at(10.0), "IDLE", outcome=0.0)
    memory.add(at(50.0), "IDLE", outcome=0.1)
    for _ in range(5):
        memory.retrieve(at(10.0))
    memory.add(at(90.0), "IDLE", outcome=0.2)
    assert [e.id for e in memory.entries] == [0, 2]


def test_it_travels_through_files_and_damage_is_found(tmp_path):
    memory = Memory(radius=0.0)
    memory.add(at(10.0), "SLOWER", outcome=-1.0, crashed=True, origin="reflection", note="why")
    memory.add(at(50.0), "IDLE")
    memory.save(tmp_path)
    back = Memory.load(tmp_path)
    assert back.entries == memory.entries
    assert back.retrieve(at(12.0))[0].distance == memory.retrieve(at(12.0))[0].distance
    back.add(at(90.0), "IDLE")
    assert back.entries[-1].id == 2
    for damaged in ('{"id": 0}\n', '{"id":' * 3000):
        (tmp_path / "memory.jsonl").write_text(damaged)
        with pytest.raises(ScenarioError, match=r"Memory\.save"):
            Memory.load(tmp_path)
    with pytest.raises(ScenarioError):
        make_teacher("memory", folder=tmp_path / "nowhere")


def test_entries_that_make_no_sense_are_refused():
    with pytest.raises(ScenarioError, match="action"):
        Memory().add(replace(BASE, available=("IDLE",)), "FASTER")
    with pytest.raises(ScenarioError, match="origin"):
        Memory().add(BASE, "IDLE", origin="rumour")


def test_the_teacher_votes_by_nearness_and_says_when_it_knows_nothing():
    memory = Memory(radius=0.0, floor=0.5)
    memory.add(at(20.0), "SLOWER")
    memory.add(at(40.0), "IDLE")
    memory.add(at(60.0), "IDLE")
    teacher = MemoryTeacher(memory)
    assert [a.action for a in teacher.advise([at(21.0), at(50.0)])] == ["SLOWER", "IDLE"]
    assert not teacher.advise([at(149.0)])[0].valid
    assert not teacher.advise([replace(at(21.0), available=("FASTER",))])[0].valid


def test_cases_are_worded_as_scenes_are():
    memory = Memory()
    memory.add(at(20.0), "SLOWER", note="too close")
    (case,) = memory.cases(at(21.0))
    assert case.text == at(20.0).text() and (case.action, case.note) == ("SLOWER", "too close")


class Brakes:
    """Always says SLOWER."""

    name, quality = "brakes", "planner"

    def advise(self, scenes):
        from hybridrl.agents.tell_drive.teachers.advice import advice_for

        return [advice_for(scene, "SLOWER", 1.0, self.name) for scene in scenes]


def test_reflection_walks_back_to_the_decision_that_was_not_braking():
    episode = [Decision(at(float(gap)), "FASTER") for gap in (90, 60, 30)]
    episode += [Decision(at(10.0), "SLOWER"), Decision(at(5.0), "SLOWER")]
    found = reflect(episode, Brakes(), crashed=True, min_ttc=0.0)
    assert found is not None and found.action == "SLOWER"
    assert found.scene.own.front_gap == 30.0 and "0.90" in found.reason and "0.05" in found.reason
    assert reflect(episode, Brakes(), crashed=False, min_ttc=3.0) is None
    assert reflect(episode, Brakes(), crashed=False, min_ttc=0.5) is not None


def test_a_correction_must_be_safer_than_what_was_done():
    safe = replace(at(30.0), action_risk=(0.1, 0.1, 0.1, 0.1, 0.3))
    assert reflect([Decision(safe, "FASTER")], Brakes(), True, 0.0) is None
    braking = [Decision(at(30.0), "SLOWER")] * 3
    assert reflect(braking, Brakes(), True, 0.0) is None
    agreeing = [Decision(replace(BASE, own=replace(LANE, front_gap=149.0)), "FASTER")]
    assert reflect(agreeing, RuleTeacher(), True, 0.0) is None


def test_episodes_are_remembered_every_fifth_decision_or_corrected():
    memory = Memory(radius=0.0)
    episode = [Decision(at(5.0 + 10 * k), "IDLE", 1.0) for k in range(11)]
    assert remember_episode(memory, episode, Brakes(), success=True, crashed=False) == 3
    assert memory.entries[0].outcome == pytest.approx(sum(0.95**k for k in range(5)))
    assert memory.entries[2].outcome == 1.0
    crash = [Decision(at(33.0), "FASTER", -5.0)]
    assert remember_episode(memory, crash, Brakes(), success=False, crashed=True) == 1
    last = memory.entries[-1]
    assert (last.origin, last.action, last.crashed) == ("reflection", "SLOWER", True)
