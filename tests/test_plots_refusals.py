"""What a figure cannot draw is refused in words that say what was expected and what came, and no figure stays open."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab import plots

MEANS = [[0.5, 0.6], [0.4, 0.5], [0.6, 0.7]]
#: function -> arguments that it draws
VALID = {
    "plot_accuracy_against_parameters": {"parameters": {"ia3": 5}, "accuracy": {"ia3": [0.5, 0.4, 0.6]}},
    "plot_against_t": {"t": [0, 1], "curves": {"a": [0.1, 0.2]}, "ylabel": "y"},
    "plot_attention_map": {"weights": [[0.7, 0.3], [0.2, 0.8]], "tokens": ["a", "b"]},
    "plot_attention_weights": {"weights": [[0.7, 0.3]], "queries": ["a"], "keys": ["a", "b"]},
    "plot_correlation_matrix": {"matrix": [[1, 0.5], [0.5, 1]], "labels": ["a", "b"]},
    "plot_deviation_by_depth": {"deviations": {"k": [0.1, 0.2]}},
    "plot_energy_by_rank": {"shares": {"a": [0.5, 1]}},
    "plot_entries": {"values": [1, 1.2], "kind": "k"},
    "plot_entry_paths": {"paths": {"a": [1, 1.1]}},
    "plot_entry_spread": {"counts": {"k": [1, 2]}, "edges": [0, 1, 2]},
    "plot_equal_scores": {
        "coordinates": [0, 1], "scores": [[0, 1], [1, 2]], "query": [1, 1], "keys": [[1, 0]], "labels": ["A"]
    },
    "plot_error_by_decay": {"decays": [0, 0.1], "errors": {"a": [0.2, 0.1]}, "spread": {"a": [0.1, 0.1]}},
    "plot_feed_forward_places": {"places": [("a", 2, (1, 8))]},
    "plot_few_shot_curves": {"ks": [8, 16], "curves": {"ia3": MEANS}},
    "plot_gain_groups": {"groups": {"a": [[1, 1], [0.4, 0.6]]}},
    "plot_head_changes": {"changes": [[0.1, 0.2]]},
    "plot_hidden_unit": {"before": [0, 1], "after": {"a": [0, 2]}},
    "plot_image_of_circle": {"circle": [[1, 0]], "image": [[2, 0]]},
    "plot_kept_share": {"shares": [0.1, 0.4], "accuracies": {"a": [0.7, 0.8]}},
    "plot_learning_rate_sensitivity": {
        "rates": {"ia3": [0.01, 0.02]}, "accuracy": {"ia3": MEANS}, "best": {"ia3": 0.02}
    },
    "plot_loss_curves": {"curves": {"a": [[1, 0.5]]}},
    "plot_losses_by_step": {"losses": {"a": [1, 0.1]}},
    "plot_missed_by_width": {"widths": [16, 32], "missed": {"a": [0.9, 1]}, "spread": {"a": [0.1, 0.1]}},
    "plot_model_sizes": {"models": ["a", "b"], "counts": {"ia3": [5, 6]}},
    "plot_moves_by_gradient": {"gradients": [0.1, 1], "moves": {"a": [0.3, 0.2]}},
    "plot_paired_differences": {"differences": {"full": [0.02, -0.01, 0.05]}, "reference": "IA3"},
    "plot_parameter_parts": {"parts": {"a": {"x": 10}}},
    "plot_rank_growth": {"ranks": [1, 2], "lora": {"a": [5, 10]}, "ia3": 7},
    "plot_reach": {"missed": [[0, 0.9]], "spread": [[0, 0.1]], "targets": ["t"], "methods": ["a", "b"]},
    "plot_recovered_vectors": {"wanted": {"l_k": [0.5]}, "learned": {"l_k": [0.4]}},
    "plot_rescaled_vector": {"before": [1, 2], "after": [0.5, 1], "labels": ["a", "b"]},
    "plot_rescaling_places": {},
    "plot_size_by_layer": {"sizes": {"k": [0.1, 0.2]}},
    "plot_storage": {"names": ["a", "b"], "sizes": [100, 2e6], "roles": ["ia3", "base"]},
    "plot_training_error": {"losses": [1, 0.1]},
    "plot_turn_by_direction": {"directions": [0, 90], "turns": {"a": [1, 2]}},
    "plot_turned_vectors": {"before": [[1, 1]], "after": [[2, 1]]},
    "plot_unit_gradients": {"gains": [0, 1], "gradient_of_gain": [0.3, 0.3], "gradient_upstream": [0, 0.2]},
    "plot_value_histogram": {"values": [1, 1.1], "kind": "v"},
    "plot_weights_by_scale": {"scales": [0, 1], "weights": [[1.0], [1.0]], "keys": ["a"]},
}  # fmt: skip
WORDS = {"ylabel", "reference"}
LABELS = {"tokens", "labels", "queries", "keys", "models", "targets", "methods", "names"}
ARGUMENTS = [(name, key) for name, arguments in VALID.items() for key in arguments if key not in WORDS]
NESTED, TEXTS = [[[1.0, 2.0]]], ["x", "y"]
BAD = [None, "abc", [], {}, float("nan"), 1e308, NESTED, [[1, 2], [3]], np.zeros((0, 3)), TEXTS, object()]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def refused(name, arguments) -> str:
    """Return the words in which a figure is refused."""
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(plots, name)(**arguments)
    assert plt.get_fignums() == []
    return str(caught.value)


def test_every_figure_is_attacked():
    assert set(VALID) == set(plots.__all__)


@pytest.mark.parametrize("name", VALID)
def test_what_is_attacked_can_be_drawn(name):
    getattr(plots, name)(**VALID[name]).figure.draw_without_rendering()


@pytest.mark.parametrize("name", VALID)
def test_axes_that_are_none_are_refused_by_name(name):
    plots_of_axes = np.array([1, 2])
    assert "ax must be one Axes or None, got ndarray" in refused(name, {**VALID[name], "ax": plots_of_axes})


@pytest.mark.parametrize(("name", "key"), ARGUMENTS)
def test_what_is_no_data_at_all_is_refused_before_a_figure_is_made(name, key):
    for bad in BAD:
        labels = key in LABELS and (name, key) != ("plot_equal_scores", "keys")
        if (labels and bad is TEXTS) or (name == "plot_value_histogram" and bad is NESTED):
            continue  # what is asked for: labels, and in a histogram numbers in any shape
        words = refused(name, {**VALID[name], key: bad})
        assert "got" in words or "shape" in words or "expected" in words


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("plot_few_shot_curves", {"curves": {"ia3": 50 * np.array(MEANS)}}, "means of ia3 must lie between 0 and 1"),
        ("plot_few_shot_curves", {"chance": 50}, "chance must lie between 0 and 1, got 50"),
        ("plot_kept_share", {"accuracies": {"a": [70, 80]}}, "must lie between 0 and 1, got 70 to 80"),
        ("plot_deviation_by_depth", {"deviations": {"k": [-0.1]}}, "must be at least 0, got -0.1"),
        ("plot_head_changes", {"marked": [(0, 2)]}, "marked must"),
        ("plot_value_histogram", {"bins": 0}, "bins must be a whole number from 1 to 10000, got 0"),
        ("plot_value_histogram", {"limits": (1, 0)}, "limits must be a low end and a high end, got 1 and 0"),
        ("plot_losses_by_step", {"limits": (0, 1)}, "limits must be positive on a logarithmic axis"),
        ("plot_loss_curves", {"every": -1}, "every must be a whole number from 1"),
        ("plot_energy_by_rank", {"marked": 0}, "marked must be a whole number from 1"),
        ("plot_feed_forward_places", {"highlight": 1}, "highlight must be the index of one of 1 places, got 1"),
        ("plot_parameter_parts", {"parts": {"a": {"x": -1}}}, "must lie between 0 and 1e.15, got -1"),
        ("plot_entry_spread", {"edges": [0, 2, 1]}, "edges must be two or more growing numbers"),
        ("plot_image_of_circle", {"role": "blue"}, "unknown color role 'blue'"),
        ("plot_image_of_circle", {"reach": 0}, "reach must be above 0, got 0"),
        ("plot_rank_growth", {"ia3": 7.5}, "ia3 must be whole numbers, got 7.5"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(name, change, says):
    with pytest.raises(ValueError, match=says):
        getattr(plots, name)(**{**VALID[name], **change})
    assert plt.get_fignums() == []


@pytest.mark.filterwarnings("error")
def test_a_single_point_and_equal_numbers_are_drawn():
    for ax in (
        plots.plot_weights_by_scale([1.0], [[1.0]], ["a"]),
        plots.plot_turn_by_direction([45], {"a": [3]}),
        plots.plot_size_by_layer({"k": [0.0, 0.0]}),
        plots.plot_equal_scores([0, 1], np.ones((2, 2)), query=[1, 1], keys=[[1, 0]], labels=["A"]),
    ):
        ax.figure.draw_without_rendering()


def test_a_word_is_a_label_for_each_of_its_letters():
    ax = plots.plot_rescaled_vector([1, 2], [2, 1], "AB")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["A", "B"]
