"""Rewards of the storage agents: pure functions of simulated latencies.

Latencies enter in units of the fast device's 4 KiB read, so that ``1 / L`` is at most about one and
means the same on every system. A latency below a tenth of the unit counts as a tenth.
"""

from __future__ import annotations

from hybridrl.envs.storage.kernels.compiled import entry

SHORTEST = 0.1


@entry
def inverse_latency(latency: float) -> float:
    """Placement reward ``R_p = 1 / L`` (Harmonia, Eq. 2, as reported by a re-implementation).

    Args:
        latency: Of the served request, in units of the fast read.
    """
    return 1.0 / max(SHORTEST, latency)


@entry
def sibyl_reward(latency: float, evicted: int, evict_time: float) -> float:
    """Sibyl's reward: ``1 / L``, and ``max(0, 1 / L - 0.001 L_e)`` where pages were evicted.

    Args:
        latency: Of the served request, in units of the fast read.
        evicted: Pages that the decision evicted.
        evict_time: Service time of their moves ``L_e``, in the same unit.
    """
    reward = 1.0 / max(SHORTEST, latency)
    return max(0.0, reward - 0.001 * evict_time) if evicted > 0 else reward


@entry
def sibyl_code_reward(latency_ms: float, evicted: int) -> float:
    """What Sibyl's public code uses: ``0.1 / L_ms - evicted^0.09`` in steps of 0.3."""
    reward: float = 0.1 / max(1e-4, latency_ms) - float(evicted) ** 0.09 * (evicted > 0)
    return round(reward / 0.3) * 0.3


@entry
def migration_reward(count: int, total: float, penalty: float) -> float:
    """Migration reward ``R_m = n / (L_1 + ... + L_n) - P`` (Harmonia, Eq. 3, as reported).

    Args:
        count: Requests of the window, ``n``.
        total: Sum of their latencies, in units of the fast read.
        penalty: Of moving a page back and forth.
    """
    return count / max(SHORTEST * count, total) - penalty


@entry
def pingpong_penalty(kappa: float, accesses: int, migrations: int) -> float:
    """``kappa / (access interval + migration interval)``; a page that never moved has none.

    Args:
        kappa: Twice the mean reward, so that moving a page twice in a row loses the mean reward.
        accesses: Requests since the page's last access, at least 1.
        migrations: Migrations since it last moved; 0 if it never did.
    """
    return kappa / (accesses + migrations) if migrations > 0 else 0.0
