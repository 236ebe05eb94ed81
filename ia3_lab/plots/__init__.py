"""The book's figures: arrays in, Axes out; no computation, no torch."""

from ia3_lab.plots.attention import (
    plot_attention_weights,
    plot_rescaled_vector,
    plot_rescaling_places,
    plot_weights_by_scale,
)
from ia3_lab.plots.comparison import (
    plot_accuracy_against_parameters,
    plot_few_shot_curves,
    plot_learning_rate_sensitivity,
    plot_paired_differences,
)
from ia3_lab.plots.counting import plot_model_sizes, plot_rank_growth, plot_storage
from ia3_lab.plots.dynamics import (
    plot_error_by_decay,
    plot_gain_groups,
    plot_losses_by_step,
    plot_missed_by_width,
    plot_moves_by_gradient,
)
from ia3_lab.plots.geometry import (
    plot_energy_by_rank,
    plot_equal_scores,
    plot_image_of_circle,
    plot_reach,
    plot_turn_by_direction,
    plot_turned_vectors,
)
from ia3_lab.plots.learned import (
    plot_against_t,
    plot_attention_map,
    plot_correlation_matrix,
    plot_entries,
    plot_head_changes,
    plot_kept_share,
    plot_size_by_layer,
    plot_value_histogram,
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
from ia3_lab.plots.vectors import plot_deviation_by_depth, plot_entry_spread

__all__ = [
    "plot_accuracy_against_parameters",
    "plot_against_t",
    "plot_attention_map",
    "plot_attention_weights",
    "plot_correlation_matrix",
    "plot_deviation_by_depth",
    "plot_energy_by_rank",
    "plot_entries",
    "plot_entry_paths",
    "plot_entry_spread",
    "plot_equal_scores",
    "plot_error_by_decay",
    "plot_feed_forward_places",
    "plot_few_shot_curves",
    "plot_gain_groups",
    "plot_head_changes",
    "plot_hidden_unit",
    "plot_image_of_circle",
    "plot_kept_share",
    "plot_learning_rate_sensitivity",
    "plot_loss_curves",
    "plot_losses_by_step",
    "plot_missed_by_width",
    "plot_model_sizes",
    "plot_moves_by_gradient",
    "plot_paired_differences",
    "plot_parameter_parts",
    "plot_rank_growth",
    "plot_reach",
    "plot_recovered_vectors",
    "plot_rescaled_vector",
    "plot_rescaling_places",
    "plot_size_by_layer",
    "plot_storage",
    "plot_training_error",
    "plot_turn_by_direction",
    "plot_turned_vectors",
    "plot_unit_gradients",
    "plot_value_histogram",
    "plot_weights_by_scale",
]
