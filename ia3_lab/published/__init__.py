"""The IA3 vectors that the method's authors published for T0-3B: a compact summary, and the code that derives it.

The summary lies in the package, so that chapter 6 needs no network. The file it was derived from does not: it is
fetched by `download_t03b`, read by `read_t03b` and reduced by `summarize`.
"""

from ia3_lab.published.derive import BINS, LEVELS, NUM_HEADS, NUM_MOVED, disagreements, place_of, summarize
from ia3_lab.published.file import SOURCE, URL, download_t03b, read_t03b
from ia3_lab.published.summary import (
    FORMAT,
    PublishedSummary,
    Statistics,
    VectorSummary,
    combine,
    load_t03b,
    summary_file,
)

__all__ = [
    "BINS",
    "FORMAT",
    "LEVELS",
    "NUM_HEADS",
    "NUM_MOVED",
    "SOURCE",
    "URL",
    "PublishedSummary",
    "Statistics",
    "VectorSummary",
    "combine",
    "disagreements",
    "download_t03b",
    "load_t03b",
    "place_of",
    "read_t03b",
    "summarize",
    "summary_file",
]
