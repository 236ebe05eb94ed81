"""The few-shot curves: every run of a comparison, as curves over k, against parameters, or as paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, default, validate

from ia3_lab.config import unknown_name
from ia3_lab.intervals import interval
from ia3_lab.widgets._base import BookWidget
from ia3_lab.widgets._few_shot_data import collect
from ia3_lab.widgets._few_shot_picture import curve_picture, row_picture

VIEWS = ("curve", "parameters", "paired")


class FewShotCurves(BookWidget):
    """Accuracy of several ways to adapt one model, from the runs themselves.

    Means and 95% intervals are Student's over the draws, computed in the browser from the accuracies. A difference
    between two methods is taken draw by draw, on the same examples, before it is averaged.

    Parameters
    ----------
    runs : iterable of mapping
        One for each run: ``task``, ``k``, ``method``, ``draw`` (a whole number) and ``accuracy``. Within a task
        and k every method needs the same draws, at least two.
    methods : iterable of mapping
        ``name``, ``label`` and ``parameters``, the number that is trained besides the classification head, in the
        order of the controls. The names are those of ``ia3_lab.methods.METHODS``.
    tasks : iterable of mapping, optional
        ``name``, and if wanted ``label`` and ``chance``, the accuracy of guessing. The order of the drop-down list.
    task : str
        The task on show; the first one when not given.
    k : int
        The number of examples of the views that show one; 32, or else the least. A task that has not been run with it
        shows its nearest.
    view : {"curve", "parameters", "paired"}
        Accuracy against k, accuracy against parameters, or the reference minus each other method.
    reference : str
        The method from which the others are subtracted.
    shown_methods : list of str
        The methods on show, kept once each in their usual order; all when not given.
    numbers : bool
        Show the table of the numbers.

    Examples
    --------
    >>> accuracy = {"head": (0.6, 0.7, 0.7), "ia3": (0.8, 0.9, 0.8)}
    >>> runs = [
    ...     {"task": "sentiment", "k": 32, "method": method, "draw": draw, "accuracy": value}
    ...     for method, values in accuracy.items()
    ...     for draw, value in enumerate(values)
    ... ]
    >>> methods = [
    ...     {"name": "head", "label": "head only", "parameters": 0},
    ...     {"name": "ia3", "label": "IA3", "parameters": 13824},
    ... ]
    >>> widget = FewShotCurves(runs=runs, methods=methods, view="paired")
    >>> [(row["method"], round(row["mean"], 3)) for row in widget.rows()]
    [('head', 0.167)]
    """

    task = Unicode().tag(sync=True)
    k = Int().tag(sync=True)
    view = Enum(VIEWS, "curve").tag(sync=True)
    reference = Unicode().tag(sync=True)
    shown_methods = List(Unicode()).tag(sync=True)
    numbers = Bool(False).tag(sync=True)
    methods = List(read_only=True).tag(sync=True, shown=False)
    tasks = List(read_only=True).tag(sync=True, shown=False)
    accuracies = Dict(read_only=True).tag(sync=True, shown=False)

    def __init__(
        self,
        *,
        runs: Iterable[Mapping[str, Any]] = (),
        methods: Iterable[Mapping[str, Any]] = (),
        tasks: Iterable[Mapping[str, Any]] | None = None,
        **traits: Any,
    ) -> None:
        known = not set(traits) - set(self.trait_names())  # else the base class says which name is wrong
        self._data = collect(runs, methods, tasks) if known else {}
        super().__init__(**traits)

    @default("methods")
    def _methods(self) -> list[dict[str, Any]]:
        return self._data["methods"]

    @default("tasks")
    def _tasks(self) -> list[dict[str, Any]]:
        return self._data["tasks"]

    @default("accuracies")
    def _accuracies(self) -> dict[str, Any]:
        return self._data["accuracies"]

    @default("task")
    def _first_task(self) -> str:
        return self.tasks[0]["name"]

    @default("k")
    def _usual_k(self) -> int:
        return 32 if 32 in self._all_ks() else self._all_ks()[0]

    @default("reference")
    def _usual_reference(self) -> str:
        return "ia3" if "ia3" in self._names() else self._names()[0]

    @default("shown_methods")
    def _names(self) -> list[str]:
        return [method["name"] for method in self.methods]

    def _all_ks(self) -> list[int]:
        return sorted({int(k) for cells in self.accuracies.values() for k in cells})

    @validate("k")
    def _check_k(self, proposal: Any) -> int:
        if proposal.value not in self._all_ks() or isinstance(proposal.value, bool):
            choices = ", ".join(map(str, self._all_ks()))
            raise TraitError(f"k must be one of {choices}, got {proposal.value!r}; choose one of them.")
        return proposal.value

    @validate("task", "reference")
    def _check_name(self, proposal: Any) -> str:
        trait, name = proposal.trait.name, proposal.value
        what, names = ("task", [task["name"] for task in self.tasks]) if trait == "task" else ("method", self._names())
        if name not in names:
            raise TraitError(f"{trait}: {unknown_name(what, name, names)}")
        return name

    @validate("shown_methods")
    def _order_methods(self, proposal: Any) -> list[str]:
        if unknown := [name for name in proposal.value if name not in self._names()]:
            raise TraitError(f"shown_methods: {unknown_name('method', unknown[0], self._names())}")
        return [name for name in self._names() if name in proposal.value]

    def rows(self) -> list[dict[str, Any]]:
        """Return the numbers on show, one row for each mark.

        Returns
        -------
        list of dict
            ``method``, ``k``, ``mean``, ``low`` and ``high``; in the view ``"paired"`` of the differences.
        """
        cells = self.accuracies[self.task]
        ks = [int(k) for k in cells] if self.view == "curve" else [self._shown_k()]
        shown = [name for name in self._names() if name in self.shown_methods]  # which may have been appended to
        found = []
        for name in shown:
            for k in ks:
                values = cells[str(k)][name]
                if self.view == "paired":
                    if name == self.reference:
                        continue
                    ours = cells[str(k)][self.reference]
                    values = [one - other for one, other in zip(ours, values, strict=True)]
                mean = interval(values)
                found.append({"method": name, "k": k, "mean": mean.mean, "low": mean.low, "high": mean.high})
        return found

    def _shown_k(self) -> int:
        """Return k, or the nearest that the task has, counted in doublings."""
        return min((int(k) for k in self.accuracies[self.task]), key=lambda k: abs(math.log2(k / self.k)))

    def picture(self) -> str:
        """Return a static SVG of the view: curves with intervals, or one interval in each line."""
        rows, methods = self.rows(), {method["name"]: method for method in self.methods}
        task = next(task for task in self.tasks if task["name"] == self.task)
        what = f"{methods[self.reference]['label']} minus each" if self.view == "paired" else "mean accuracy"
        ks = sorted({row["k"] for row in rows}) or [self._shown_k()]
        title = f"{task['label']}: {what}, 95% intervals, k = {', '.join(map(str, ks))}"
        draw = curve_picture if len(ks) > 1 else row_picture
        return draw(title, rows, methods, 0.0 if self.view == "paired" else task["chance"])
