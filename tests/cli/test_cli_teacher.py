"""``hybridrl teacher``: lists, asks, compares, and looks into caches."""

import json

from hybridrl.agents.tell_drive.teachers.cache import AnswerCache
from hybridrl.agents.tell_drive.teachers.registry import TEACHERS


def test_every_teacher_is_listed(hybridrl):
    done = hybridrl("teacher", "list", "--json")
    assert [line["teacher"] for line in json.loads(done.stdout)] == list(TEACHERS)


def test_a_question_shows_advice_cost_prompt_and_the_planners_choice(hybridrl):
    words = ("teacher", "ask", "rule", "--env", "merge", "--step", 1, "--prompt")
    answer = json.loads(hybridrl(*words, "--json").stdout)
    assert answer["valid"] and answer["action"] in answer["probs"]
    assert isinstance(answer["agrees"], bool) and answer["planner"]
    assert answer["cost"] == 0 and [m["role"] for m in answer["prompt"]] == ["system", "user"]
    assert answer["prompt"][1]["content"].startswith(answer["scene"])
    plain = hybridrl(*words)
    assert "[system]" in plain.stdout and "latency_s" in plain.stdout
    planner = json.loads(hybridrl("teacher", "ask", "lookahead", "--env", "merge", "--json").stdout)
    assert planner["agrees"] and "prompt" not in planner


def test_many_questions_give_rates(hybridrl):
    done = hybridrl("teacher", "bench", "forecast", "--env", "merge", "--scenes", 6, "--json")
    numbers = json.loads(done.stdout)
    assert numbers["scenes"] == 6 and numbers["valid"] == 1.0
    assert 0.0 <= numbers["agrees_with_planner"] <= 1.0 and numbers["latency_p95_s"] > 0
    same = hybridrl("teacher", "bench", "forecast", "--env", "merge", "--scenes", 6, "--json")
    assert json.loads(same.stdout)["agrees_with_planner"] == numbers["agrees_with_planner"]


def test_bad_settings_are_usage_errors(hybridrl):
    for words, says in (
        (("ask", "rules"), "did you mean rule"),
        (("ask", "rule", "--env", "moon"), "driving scenario"),
        (("ask", "openai"), "base_url"),
        (("bench", "chaos", "--set", "mode=kind"), "chaos"),
        (("cache", "none.sqlite"), "cache"),
    ):
        done = hybridrl("teacher", *words)
        assert done.exit_code == 2 and says in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_an_endpoint_that_is_not_there_is_no_crash(hybridrl):
    settings = ("base_url=http://127.0.0.1:9/v1", "model=m", "limits={retries=0}")
    pairs = [word for setting in settings for word in ("--set", setting)]
    done = hybridrl("teacher", "ask", "openai", "--env", "merge", *pairs, "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert not answer["valid"] and "ConnectError" in answer["reason"] and not answer["agrees"]


def test_a_cache_is_counted_and_cleared(hybridrl, tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put("k", "text", "m", "fp", 12)
    cache.close()
    done = json.loads(hybridrl("teacher", "cache", "a.sqlite", "--json").stdout)
    assert done == {"answers": 1, "failed": 0, "tokens": 12, "models": ["m fp"]}
    assert "forgot 1" in hybridrl("teacher", "cache", "a.sqlite", "--clear").stderr
    assert json.loads(hybridrl("teacher", "cache", "a.sqlite", "--json").stdout)["answers"] == 0
