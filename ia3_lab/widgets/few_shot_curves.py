"""The few-shot curves: every run of a comparison, as curves over k, against parameters, or as paired differences."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, validate

from ia3_lab.plots import plot_intervals, plot_lines
from ia3_lab.study.results import by_draw, interval
from ia3_lab.style import FIGURE_WIDTH, METHOD_STYLES
from ia3_lab.widgets.base import BookWidget


class FewShotCurves(BookWidget):
    """Accuracy of several ways to adapt one model, from the runs themselves.

    Means and 95% intervals are Student's over the draws, computed in the browser from the accuracies. A difference
    between two methods is taken draw by draw, on the same examples, before it is averaged.

    Parameters
    ----------
    runs : DataFrame
        As `ia3_lab.study.results.read_runs` returns; the final ones are shown.
    methods : mapping of str to (str, int)
        Key of ``METHOD_STYLES`` -> label, and parameters trained besides the head, in the order of the controls.
    chance : mapping of str to float
        Task -> the accuracy of guessing, in the order of the drop-down list.
    task, k, view, reference, shown_methods, numbers
        What is on show; ``view`` is "curve", "parameters" or "paired". A task without that k shows its nearest.
    """

    task = Unicode().tag(sync=True)
    k = Int(32, min=1).tag(sync=True)
    view = Enum(("curve", "parameters", "paired"), "curve").tag(sync=True)
    reference = Unicode("ia3").tag(sync=True)
    shown_methods = List(Unicode()).tag(sync=True)
    numbers = Bool(False).tag(sync=True)
    methods = List(read_only=True).tag(sync=True, shown=False)
    chance = Dict(read_only=True).tag(sync=True, shown=False)
    accuracies = Dict(read_only=True).tag(sync=True, shown=False)
    quantiles = Dict(read_only=True).tag(sync=True, shown=False)

    def __init__(
        self, runs: pd.DataFrame, methods: Mapping[str, tuple[str, int]], chance: Mapping[str, float], **traits: Any
    ) -> None:
        from scipy.stats import t  # here: it takes a second to load

        final, cells, quantiles = runs[runs.stage == "final"], {task: {} for task in chance}, {}
        for task, k in sorted({*zip(final.task, final.k, strict=True)}):
            table = by_draw(final, task, k)[[*methods]]
            if len(table) < 2 or table.isna().any(axis=None):  # a paired difference would be taken over other draws
                raise TraitError(f"the methods need the same draws of {task} at k = {k}, at least two")
            cells[task][str(k)] = table.round(6).to_dict("list")
            quantiles[str(len(table))] = float(t.ppf(0.975, len(table) - 1))
        plain = [{"name": name, "label": label, "parameters": int(p)} for name, (label, p) in methods.items()]
        self.set_trait("methods", [one | METHOD_STYLES[one["name"]]._asdict() for one in plain])
        self.set_trait("chance", dict(chance))
        self.set_trait("accuracies", cells)
        self.set_trait("quantiles", quantiles)
        super().__init__(**{"task": next(iter(chance)), "shown_methods": [*methods]} | traits)

    @validate("task", "reference", "shown_methods")
    def _check_names(self, proposal: Any) -> Any:
        value, known = proposal.value, [one["name"] for one in self.methods]
        known = [*self.chance] if proposal.trait.name == "task" else known
        if unknown := [name for name in ([value] if isinstance(value, str) else value) if name not in known]:
            raise TraitError(f"{proposal.trait.name}: {unknown[0]!r} is not one of {', '.join(known)}")
        return value

    def rows(self) -> pd.DataFrame:
        """Return the numbers on show, a row for each mark: method, k, mean, low, high; of differences if paired."""
        tables = {int(k): pd.DataFrame(values) for k, values in self.accuracies[self.task].items()}
        if self.view != "curve":
            k = min(tables, key=lambda k: abs(math.log2(k / self.k)))
            differences = tables[k].rsub(tables[k][self.reference], axis=0).drop(columns=self.reference)
            tables = {k: differences if self.view == "paired" else tables[k]}
        shown = [method["name"] for method in self.methods if method["name"] in self.shown_methods]
        found = [(name, k, *interval(table[name])) for name in shown for k, table in tables.items() if name in table]
        return pd.DataFrame(found, columns=["method", "k", "mean", "low", "high"])

    def figure(self) -> tuple[Figure, str]:
        """Return the view as one of the book's charts, and every mean in words."""
        labels = {method["name"]: method["label"] for method in self.methods}
        shown = dict(iter(self.rows().groupby("method", sort=False)))
        ks = sorted({k for rows in shown.values() for k in rows.k})
        what = f"{labels[self.reference]} minus each" if self.view == "paired" else "mean accuracy"
        title = f"{self.task}: {what}, 95% intervals, k = {', '.join(map(str, ks))}" if shown else "No method is chosen"
        said = [f"{labels[name]} {', '.join(f'{mean:.3g}' for mean in rows['mean'])}" for name, rows in shown.items()]
        ax = Figure((FIGURE_WIDTH, 4.2)).subplots(subplot_kw={"title": title})
        if self.view == "paired" and shown:
            plot_intervals({name: [*rows.iloc[0, 2:]] for name, rows in shown.items()}, labels=labels, ax=ax)
        else:
            self._draw_means(ax, shown, labels)
        return ax.figure, ". ".join(filter(None, [title, "; ".join(said)]))

    def _draw_means(self, ax: Axes, shown: Mapping[str, pd.DataFrame], labels: Mapping[str, str]) -> None:
        x = {method["name"]: [method["parameters"]] for method in self.methods}
        axes = {"xscale": "symlog", "xlim": (-0.5, 1e8)}  # 0 parameters have a place
        if self.view == "curve":
            x = {name: rows.k for name, rows in shown.items()}
            axes = {"xscale": "log", "xticks": [int(k) for k in self.accuracies[self.task]], "apart": 5}
        half = {name: (rows.high - rows.low) / 2 for name, rows in shown.items()}
        axes |= {"spread": half, "hlines": {self.chance[self.task]: "guessing"}, "legend": "outside lower center"}
        plot_lines(x, {name: rows["mean"] for name, rows in shown.items()}, labels=labels, ax=ax, **axes)
