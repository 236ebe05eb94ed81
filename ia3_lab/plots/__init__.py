"""The book's figures: arrays in, Axes out; no computation, no torch. Chapters set their own labels."""

from ia3_lab.plots.charts import (
    plot_bars,
    plot_cells,
    plot_entries,
    plot_histogram,
    plot_intervals,
    plot_lines,
    plot_points,
)
from ia3_lab.plots.diagrams import plot_feed_forward_places, plot_rescaling_places
from ia3_lab.plots.plane import plot_equal_scores, plot_image_of_circle, plot_turned_vectors

__all__ = [
    "plot_bars",
    "plot_cells",
    "plot_entries",
    "plot_equal_scores",
    "plot_feed_forward_places",
    "plot_histogram",
    "plot_image_of_circle",
    "plot_intervals",
    "plot_lines",
    "plot_points",
    "plot_rescaling_places",
    "plot_turned_vectors",
]
