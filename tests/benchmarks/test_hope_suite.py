"""The HOPE suite: whose task and whose weights a row stands for."""

from hybridrl.benchmarks.hope import run_chunk, trials, variant
from hybridrl.benchmarks.parking import Episode
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.runner import make_request
from hybridrl.benchmarks.suites import get_suite


def test_what_is_not_our_task_stands_in_the_variant():
    usual = get_suite("hope").tiers["cpu"]
    assert variant("cpu", usual) == "cpu-200d"
    assert variant("cpu", usual | {"contact": "sampled"}) == "cpu-200d-sampled"
    assert variant("cpu", usual | {"profile": "hope", "label": "tuned"}) == "cpu-200d-hope-tuned"


def test_sampled_contact_lets_paths_through_that_certified_contact_does_not(tmp_path):
    touching = {}
    for contact in ("certified", "sampled"):
        request = make_request(
            "hope", "smoke", "hope-ppo", "extreme-parallel", scenes=60, contact=contact
        )
        (config,) = trials(request)
        (tmp_path / contact).mkdir()
        run_chunk(config, tmp_path / contact)
        episodes = read_rows(tmp_path / contact / "episodes.csv", Episode)
        touching[contact] = sum(e.found and not e.clean for e in episodes)
    assert touching["certified"] == 0
    assert touching["sampled"] > 0
