"""EVERY baseline, one table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hybridrl.envs.storage.baselines.arc import arc
from hybridrl.envs.storage.baselines.heuristics import heuristic
from hybridrl.envs.storage.baselines.learned import archivist_like, k_svm_like, rnn_hss_like
from hybridrl.envs.storage.baselines.ordered import belady, horizon, lfu
from hybridrl.envs.storage.policy import Policy
from hybridrl.planners.errors import UnknownNameError

NORMALISER = "fast_only"
_h = partial(partial, heuristic)  # _h(...) makes a policy when it is called

POLICIES: dict[str, Callable[[], Policy]] = {
    "fast_only": _h("fast_only", "fast", unlimited=True),
    "slow_only": _h("slow_only", "slow"),
    "random": _h("random", "random"),
    "cde": _h("cde", "cde"),
    "hps": _h("hps", "stay", moves=True),
    "lru_write": _h("lru_write", "fast"),
    "lru_all": _h("lru_all", "fast", reads=True),
    "lfu": lfu,
    "arc": arc,
    "static_topk": _h("static_topk", "target", reads=True, clairvoyant=True),
    "cde+hps": _h("cde+hps", "cde", moves=True),
    "archivist_like": archivist_like,
    "rnn_hss_like": rnn_hss_like,
    "k_svm_like": k_svm_like,
    "lru_write+hps": _h("lru_write+hps", "fast", moves=True),
    "cde+rnn_hss_like": partial(rnn_hss_like, "cde+rnn_hss_like", True),
}
# The family whose best member, by mean latency, is `oracle`: Belady with bypass, horizons for reads
# and for writes, and the best fixed set of pages by accesses or by the time they cost.
ORACLES: dict[str, Callable[[], Policy]] = {
    "oracle_belady": belady,
    **{f"oracle_r{r:g}": partial(horizon, r) for r in (0.0, 0.01, 0.1, 1.0)},
    **{
        f"oracle_r{r:g}_w{w:g}": partial(horizon, r, w)
        for r, w in ((0.0, 0.01), (0.0, 0.03), (0.0, 0.1), (0.01, 0.01), (0.1, 0.1))
    },
    "oracle_topk": _h("oracle_topk", "target", reads=True, clairvoyant=True),
    "oracle_benefit": _h("oracle_benefit", "target", reads=True, clairvoyant=True, benefit=True),
}


def make_policy(name: str) -> Policy:
    """A baseline or a member of the oracle family by name.

    Raises:
        UnknownNameError: If there is no such policy.
    """
    known = {**POLICIES, **ORACLES}
    if name not in known:
        raise UnknownNameError("storage policy", name, known)
    return known[name]()
