"""The book's figures: arrays in, Axes out; no computation, no torch."""

from ia3_lab.plots.attention import (
    plot_attention_weights,
    plot_rescaled_vector,
    plot_rescaling_places,
    plot_weights_by_scale,
)
from ia3_lab.plots.counting import plot_model_sizes, plot_rank_growth, plot_storage
from ia3_lab.plots.geometry import (
    plot_energy_by_rank,
    plot_equal_scores,
    plot_image_of_circle,
    plot_reach,
    plot_turn_by_direction,
    plot_turned_vectors,
)
from ia3_lab.plots.modules import (
    plot_entry_paths,
    plot_recovered_vectors,
    plot_training_error,
    plot_unit_gradients,
)
from ia3_lab.plots.peft import (
    plot_feed_forward_places,
    plot_hidden_unit,
    plot_loss_curves,
    plot_parameter_parts,
)

__all__ = [
    "plot_attention_weights",
    "plot_energy_by_rank",
    "plot_entry_paths",
    "plot_equal_scores",
    "plot_feed_forward_places",
    "plot_hidden_unit",
    "plot_image_of_circle",
    "plot_loss_curves",
    "plot_model_sizes",
    "plot_parameter_parts",
    "plot_rank_growth",
    "plot_reach",
    "plot_recovered_vectors",
    "plot_rescaled_vector",
    "plot_rescaling_places",
    "plot_storage",
    "plot_training_error",
    "plot_turn_by_direction",
    "plot_turned_vectors",
    "plot_unit_gradients",
    "plot_weights_by_scale",
]
