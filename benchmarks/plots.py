"""Figures, drawn from long rows without a screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridrl.benchmarks.results import ResultRow, pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinct in print and for colour-blind readers (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555")
TICKS = (5, 10, 20, 40, 80, 200)  # decisions


def parking_plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Success against decisions, path lengths and planning times, each a PNG in ``folder``."""
    return [
        budget_curves(rows, folder / "success_by_decisions.png"),
        distributions(rows, "length_m", "path length [m]", folder / "path_length.png"),
        distributions(rows, "seconds", "planning time [s]", folder / "planning_time.png", log=True),
    ]


def budget_curves(rows: Sequence[ResultRow], file: Path) -> Path:
    """Success against the number of decisions allowed, a panel for each class."""
    limits = sorted(
        {int(r.metric.rpartition("_")[2]) for r in rows if r.metric.startswith("success_within_")}
    )
    figure, panels = _panels(rows)
    colours = _coloured(rows)
    for env, axes in panels.items():
        for i, (agent, colour) in enumerate(colours.items()):
            rates = [100 * pooled(rows, env, agent, f"success_within_{d}")[0] for d in limits]
            # Thinner and thinner, so that curves on top of each other can all be seen.
            width = 1.2 + 0.8 * (len(colours) - 1 - i)
            axes.plot(limits, rates, color=colour, label=agent, linewidth=width)
        axes.set(title=env, xscale="log", ylim=(-3, 103))
        axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
        axes.minorticks_off()
    figure.supxlabel("decisions allowed")
    figure.supylabel("success [%]")
    return _save(figure, file, panels.values())


def distributions(
    rows: Sequence[ResultRow], metric: str, label: str, file: Path, log: bool = False
) -> Path:
    """Boxes (quartiles) with whiskers (5 % and 95 %) of a metric, a panel for each class."""
    figure, panels = _panels(rows)
    colours = _coloured(rows)
    for env, axes in panels.items():
        drawn = [a for a in colours if pooled(rows, env, a, f"{metric}_p50")[1]]
        boxes = [_box(rows, env, agent, metric) for agent in drawn]
        if boxes:
            art = axes.bxp(boxes, showfliers=False, patch_artist=True, orientation="horizontal")
            for patch, median, agent in zip(art["boxes"], art["medians"], drawn, strict=True):
                patch.set(facecolor=colours[agent], alpha=0.75)
                median.set(color="black", linewidth=1.6)
        axes.set(title=env, xscale="log" if log else "linear")
        axes.invert_yaxis()
    figure.supxlabel(label)
    return _save(figure, file)


def learning_curves(
    rows: Sequence[ResultRow], prefix: str, labels: tuple[str, str], file: Path
) -> Path:
    """A metric against training, mean over seeds with its 95 % interval, a panel an environment.

    Args:
        rows: Of one variant.
        prefix: Of the metrics; what follows it is the point of training, a whole number.
        labels: Of the axes.
        file: To write.
    """
    from hybridrl.benchmarks.metrics import stratified_bootstrap

    figure, panels = _panels(rows)
    points: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        if row.metric.startswith(prefix):
            key = row.env, row.agent, int(row.metric.removeprefix(prefix))
            points.setdefault(key, []).append(row.value)
    for env, axes in panels.items():
        for agent, colour in _coloured(rows).items():
            drawn = sorted((at, v) for (e, a, at), v in points.items() if (e, a) == (env, agent))
            if not drawn:
                continue
            where, means = [at for at, _ in drawn], [sum(v) / len(v) for _, v in drawn]
            bands = [stratified_bootstrap([v], samples=500) for _, v in drawn]
            axes.plot(where, means, color=colour, label=agent, linewidth=1.5)
            low, high = [b[0] for b in bands], [b[1] for b in bands]
            axes.fill_between(where, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(title=env)
    figure.supxlabel(labels[0])
    figure.supylabel(labels[1])
    return _save(figure, file, panels.values())


def metric_bars(rows: Sequence[ResultRow], metric: str, label: str, file: Path) -> Path:
    """A bar of one metric for each agent, a panel for each environment."""
    figure, panels = _panels(rows)
    colours = _coloured(rows)
    for env, axes in panels.items():
        drawn = [agent for agent in colours if pooled(rows, env, agent, metric)[1]]
        values = [pooled(rows, env, agent, metric)[0] for agent in drawn]
        axes.barh(drawn, values, color=[colours[agent] for agent in drawn])
        axes.set(title=env)
        axes.invert_yaxis()
    figure.supxlabel(label)
    return _save(figure, file)


def _box(rows: Sequence[ResultRow], env: str, agent: str, metric: str) -> dict[str, object]:
    names = ("whislo", "q1", "med", "q3", "whishi")
    points = [pooled(rows, env, agent, f"{metric}_p{p}")[0] for p in (5, 25, 50, 75, 95)]
    return {"label": agent, "fliers": [], **dict(zip(names, points, strict=True))}


def _coloured(rows: Sequence[ResultRow]) -> dict[str, str]:
    agents = list(dict.fromkeys(row.agent for row in rows))
    return {agent: COLOURS[i % len(COLOURS)] for i, agent in enumerate(agents)}


def _panels(rows: Sequence[ResultRow]) -> tuple[Figure, dict[str, Axes]]:
    envs = list(dict.fromkeys(row.env for row in rows))
    columns = min(4, len(envs))
    lines = -(-len(envs) // columns)
    figure, axes = _figure(lines, columns, (3.1 * columns + 0.6, 2.5 * lines + 0.9))
    for spare in axes[len(envs) :]:
        spare.set_visible(False)
    return figure, dict(zip(envs, axes, strict=False))


def _figure(lines: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel().tolist()
    for one in axes:
        one.grid(color="#dddddd", linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
        one.title.set_fontsize(10)
        one.tick_params(labelsize=8, labelbottom=True)
    return figure, axes


def _save(figure: Figure, file: Path, legend_of: Iterable[Axes] = ()) -> Path:
    """Write a figure, with one legend of what any of the panels shows."""
    shown: dict[str, Any] = {}
    for axes in legend_of:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    if shown:
        figure.legend(shown.values(), shown, loc="outside upper center", ncols=7, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.partial{file.suffix}")
    figure.savefig(partial, dpi=150)
    partial.replace(file)
    return file
