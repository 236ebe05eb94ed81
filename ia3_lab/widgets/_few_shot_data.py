"""What the few-shot curves rest on: the runs in a compact table, checked, and the look of each method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from traitlets import TraitError

from ia3_lab.config import unknown_name
from ia3_lab.style import METHOD_STYLES

#: line in `METHOD_STYLES` -> stroke-dasharray of SVG
_DASHES = {"solid": "", "dotted": "1 4", "dashed": "7 4", "dashdot": "8 3 1 3"}
_RUN = ("task", "k", "method", "draw", "accuracy")


def collect(
    runs: Iterable[Mapping[str, Any]],
    methods: Iterable[Mapping[str, Any]],
    tasks: Iterable[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Check the data of ``FewShotCurves`` and put it in the form that its script reads.

    Parameters
    ----------
    runs, methods, tasks
        As ``FewShotCurves`` takes them.

    Returns
    -------
    dict
        ``methods`` and ``tasks``, lists of dicts in the order of the controls; ``accuracies``, task -> k -> method ->
        one accuracy for each draw, in the order of the draws.

    Raises
    ------
    TraitError
        If a name is unknown or comes twice, a number makes no sense, or the methods have not the same draws.
    """
    known = _methods(_mappings("methods", methods))
    cells = _cells(_mappings("runs", runs), [method["name"] for method in known])
    labels = _tasks(None if tasks is None else _mappings("tasks", tasks), list(cells))
    accuracies: dict[str, Any] = {}
    for name in (task["name"] for task in labels):
        sizes = sorted(cells[name])
        accuracies[name] = {str(k): _aligned(name, k, cells[name][k], known) for k in sizes}
    return {"methods": known, "tasks": labels, "accuracies": accuracies}


def _mappings(name: str, given: Any) -> Iterable[Mapping[str, Any]]:
    """Pass the dicts on one by one; refuse at once what holds none."""
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise TraitError(f"{name} must be a list of dicts, got {given!r}; put a single one in [ ].")
    return (_mapping(name, one) for one in given)


def _mapping(name: str, one: Any) -> Mapping[str, Any]:
    if not isinstance(one, Mapping):
        raise TraitError(f"{name} must be a list of dicts, got {one!r} in it; write it as a dict of its fields.")
    return one


def _label(name: str, label: Any) -> str:
    if not isinstance(label, str) or not label:
        raise TraitError(f"label of {name!r} must be text, got {label!r}; write how to call it.")
    return str(label)


def _methods(methods: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        if missing := {"name", "label", "parameters"} - set(method):
            raise TraitError(f"a method needs name, label and parameters, got {dict(method)}; add {min(missing)}.")
        name, label, parameters = method["name"], method["label"], method["parameters"]
        if name not in [*METHOD_STYLES]:  # a list, because a name may be anything, unhashable too
            raise TraitError(f"methods: {unknown_name('method', name, METHOD_STYLES)}")
        if name in found:
            raise TraitError(f"method {name!r} is given twice; leave one out.")
        if isinstance(parameters, bool) or not isinstance(parameters, Integral) or parameters < 0:
            raise TraitError(f"parameters of {name!r} must be a whole number from 0, got {parameters!r}; count again.")
        found[name] = {"name": name, "label": _label(name, label), "parameters": int(parameters), **_look(name)}
    if not found:
        raise TraitError("methods must hold at least one method, got none; pass dicts of name, label and parameters.")
    return list(found.values())


def _look(name: str) -> dict[str, Any]:
    """Return the style of a method as the script draws it: role, shape, filled and dash."""
    style = METHOD_STYLES[name]
    return {"role": style.role, "shape": style.shape, "filled": style.filled, "dash": _DASHES[style.line]}


def _cells(runs: Iterable[Mapping[str, Any]], names: list[str]) -> dict[str, dict[int, dict[str, dict[Any, float]]]]:
    """Return task -> k -> method -> draw -> accuracy."""
    cells: dict[str, dict[int, dict[str, dict[Any, float]]]] = {}
    for run in runs:
        if missing := [key for key in _RUN if key not in run]:
            raise TraitError(f"a run needs {', '.join(_RUN)}, got {dict(run)}; add {missing[0]}.")
        task, k, method, draw, accuracy = (run[key] for key in _RUN)
        if method not in names:
            raise TraitError(f"runs: {unknown_name('method', method, names)}")
        if not isinstance(task, str) or not task:
            raise TraitError(f"task must be a name, got {task!r} in {dict(run)}; correct it.")
        if isinstance(draw, bool) or not isinstance(draw, Integral):
            raise TraitError(f"draw must be a whole number, got {draw!r} in {dict(run)}; number the draws.")
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
            raise TraitError(f"k must be a whole number from 1, got {k!r} in {dict(run)}; correct it.")
        number = isinstance(accuracy, Real) and not isinstance(accuracy, bool)
        if not (number and 0 <= accuracy <= 1):  # also refuses NaN
            raise TraitError(f"an accuracy must be a number from 0 to 1, got {accuracy!r} in {dict(run)}; correct it.")
        draws = cells.setdefault(task, {}).setdefault(int(k), {}).setdefault(method, {})
        if draw in draws:
            raise TraitError(f"{method} on {task} at k = {k} has draw {draw!r} twice; keep one of the two runs.")
        draws[int(draw)] = float(accuracy)
    if not cells:
        raise TraitError(f"runs must hold at least one run, got none; pass dicts of {', '.join(_RUN)}.")
    return cells


def _aligned(task: str, k: int, cell: dict[str, dict[Any, float]], methods: list[dict[str, Any]]) -> dict[str, Any]:
    """Return method -> accuracies in the order of the draws; paired differences need the same draws everywhere."""
    draws = sorted(set().union(*cell.values()))
    for name in (method["name"] for method in methods):
        if missing := [draw for draw in draws if draw not in cell.get(name, {})]:
            raise TraitError(f"{name} on {task} at k = {k} lacks draw {missing[0]!r}, which others have; run it too.")
    if len(draws) < 2:
        raise TraitError(f"{task} at k = {k} has {len(draws)} draw; an interval needs at least 2, so run another.")
    return {method["name"]: [round(cell[method["name"]][draw], 6) for draw in draws] for method in methods}


def _tasks(tasks: Iterable[Mapping[str, Any]] | None, names: list[str]) -> list[dict[str, Any]]:
    if tasks is None:
        return [{"name": name, "label": name, "chance": None} for name in names]
    found = [{"label": task.get("name"), "chance": None, **task} for task in tasks]
    given = [task.get("name") for task in found]
    if unknown := [name for name in given if name not in names]:
        raise TraitError(f"tasks: {unknown_name('task', unknown[0], names)}")
    if sorted(given) != sorted(names):
        came = ", ".join(given)
        raise TraitError(f"tasks must name each task of the runs once ({', '.join(names)}), got {came}; match them.")
    for task in found:
        _label(task["name"], task["label"])
        if task["chance"] is not None and not (isinstance(task["chance"], Real) and 0 < task["chance"] < 1):
            raise TraitError(
                f"chance of {task['name']!r} must lie between 0 and 1, got {task['chance']!r}; correct it."
            )
    return [{key: task[key] for key in ("name", "label", "chance")} for task in found]
