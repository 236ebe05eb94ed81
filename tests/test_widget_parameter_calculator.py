"""The calculator's JavaScript counts what ia3_lab.counting counts, and its controls do what they say."""

import math
import random
import re
from typing import Any

import pytest
from widget_helpers import assert_fits, open_tables, read_picture, set_traits, trait

from ia3_lab.config import PRESETS, get_preset
from ia3_lab.counting import MATRICES, VECTORS, count_ia3, count_lora, count_matrices
from ia3_lab.style import format_bytes
from ia3_lab.widgets import ParameterCalculator

pytestmark = pytest.mark.browser
GOOD = {"d_model": 96, "d_ff": 250, "num_layers": 3, "num_heads": 8, "num_kv_heads": 2, "num_decoder_layers": 2}
LARGEST = {"d_model": 100_000, "d_ff": 100_000, **dict.fromkeys([*GOOD][2:], 1000), "gated_ffn": True}


def random_state(rng: random.Random, preset: str) -> ParameterCalculator:
    """Return a calculator with random choices, and with random sizes for the preset "custom"."""
    kv_heads, group = rng.randint(1, 8), rng.randint(1, 8)
    sizes = {
        "d_model": kv_heads * group * rng.randint(1, 150),
        "d_ff": rng.randint(1, 60_000),
        "num_layers": rng.randint(1, 120),
        "num_heads": kv_heads * group,
        "num_kv_heads": kv_heads,
        "num_decoder_layers": rng.choice([0, rng.randint(1, 60)]),
        "gated_ffn": rng.random() < 0.5,
    }
    # Some are named twice, and none in its order: each counts once.
    targets, vectors = (rng.choices([*roles], k=rng.randint(0, len(roles))) for roles in (MATRICES, VECTORS))
    chosen = {"targets": targets, "vectors": vectors, "rank": rng.randint(1, 64)}
    return ParameterCalculator(preset=preset, custom=sizes, dtype=rng.choice(["float32", "float16"]), **chosen)


def js_state(widget: ParameterCalculator) -> dict[str, Any]:
    """Return the state that the script's functions take."""
    sizes = widget.custom if widget.preset == "custom" else widget.presets[widget.preset]
    names = ("rank", "targets", "vectors", "dtype")
    return {"sizes": sizes, "name": widget.preset} | {name: getattr(widget, name) for name in names}


def test_the_script_counts_what_the_package_counts_and_the_picture_says_it(js) -> None:
    call, rng = js(ParameterCalculator), random.Random(0)
    for preset in [*PRESETS, *["custom"] * 60]:
        widget = random_state(rng, preset)
        state, config = js_state(widget), widget.config()
        assert call("summarize", state) == widget.summary(), state
        assert call("countMatrices", state["sizes"]) == count_matrices(config)
        for role in ("W_q", "W_2"):
            assert call("countLora", state["sizes"], 3, [role]) == count_lora(config, 3, [role]).total
    assert f"{widget.summary()['base']:,}" in read_picture(widget)[0]
    for count in (0, 7, 999, 7512, 55_296, 999_600, 9_996_000, 47_710_208, 123_456_789, 13_476_831_232, 2e12):
        assert call("formatBytes", count) == format_bytes(count)  # as in the rest of the book


BAD = [
    ({"d_model": None}, "d_model must be a whole number from 1 to 100,000, got nothing."),
    ({"num_layers": 2.5}, "num_layers must be a whole number from 1 to 1,000, got 2.5."),
    ({"num_heads": 7}, "d_model must be a multiple of num_heads, got 96 and 7."),
    ({"num_decoder_layers": -4}, "num_decoder_layers must be a whole number from 0 to 1,000, got -4."),
]


def test_wrong_sizes_get_a_sentence_and_make_no_model_in_the_picture_or_on_the_page(js, widget_page) -> None:
    for wrong, says in BAD:
        widget = ParameterCalculator(preset="custom", custom=GOOD | wrong)
        assert js(ParameterCalculator)("problemWith", widget.custom)["text"] == says
        assert read_picture(widget)[0] == "These sizes make no model."
    assert js(ParameterCalculator)("problemWith", GOOD) is None
    page = widget_page(widget)
    assert page.locator(".pc-chart").is_hidden() and "make no model" in page.locator(".ia3-say").text_content()


def test_models_stand_in_families_from_small_to_large_and_the_tables_add_up(widget_page) -> None:
    page = widget_page(ParameterCalculator(preset="t0-3b", rank=3, targets=["W_o", "W_gate"]))
    listed = page.locator("optgroup").evaluate_all("all => all.map((one) => `${one.label}: ${one.innerText}`).join()")
    order = "encoders: distilbertbert-base,decoders: gpt2gpt2-medium.*xlllama-7bllama-3-8b.*,encoder and.*: t0-3bt0-11b"
    assert re.fullmatch(order, listed)
    assert page.locator("option").count() == len(PRESETS) + 1
    totals = [sum(int(line[-1].replace(",", "")) for line in lines) for _, lines in open_tables(page)]
    lora = count_lora(PRESETS["t0-3b"], 3, ["W_o", "W_gate"])
    assert totals == [count_ia3(PRESETS["t0-3b"]).total, lora.total, count_matrices(PRESETS["t0-3b"])]


# --- in the browser ------------------------------------------------------------------------------------------------


WIDTHS = "bars => bars.map((bar) => parseFloat(bar.style.width) / 100)"


def shown(page: Any) -> list[str]:
    return page.locator(".pc-number").all_text_contents()


def test_presets_can_be_chosen_bars_stand_where_the_logarithm_says_and_the_largest_fit_a_phone(widget_page) -> None:
    page = widget_page(ParameterCalculator(), width=320)
    for name in ("gpt2", "t0-3b"):
        config = PRESETS[name]
        page.get_by_role("combobox").select_option(name)
        totals = count_ia3(config).total, count_lora(config, 8).total, config.base_parameters
        assert shown(page) == [f"{total:,}" for total in totals]
        label = page.get_by_role("img").get_attribute("aria-label")
        assert all(f"{total:,}" in label for total in totals)
        assert f"On {name}, IA³ learns {totals[0]:,} parameters" in page.locator(".ia3-say").text_content()
        assert page.get_by_label("W_gate").is_disabled() == (not config.gated_ffn)
        widths = page.locator(".pc-fill").evaluate_all(WIDTHS)
        assert widths == pytest.approx([(math.log10(total) - 3) / 8 for total in totals], abs=1e-5)
    set_traits(page, preset="custom", custom=LARGEST, rank=64, targets=[*MATRICES])
    config = ParameterCalculator(preset="custom", custom=LARGEST).config()
    assert shown(page)[1] == f"{count_lora(config, 64, MATRICES).total:,}"
    assert page.locator(".pc-scroll").evaluate("node => node.scrollWidth - node.clientWidth") == 0
    assert_fits(page)
    set_traits(page, preset="llama-7b", scale="linear")  # to scale IA3 is a hair, and the words say how thin
    config = PRESETS["llama-7b"]
    ratio = count_ia3(config).total / config.base_parameters
    widths = page.locator(".pc-fill").evaluate_all(WIDTHS)
    assert widths[0] == pytest.approx(ratio, rel=1e-4) and widths[2] == 1
    assert f"would be {1 / ratio / 1000:.0f} meters" in page.locator(".pc-unit").text_content()


def test_matrices_vectors_and_bytes_are_chosen_and_none_is_not_nan(widget_page) -> None:
    page = widget_page(ParameterCalculator(rank=1, targets=["W_v"]))
    page.get_by_label("W_q", exact=True).check()
    assert (trait(page, "targets"), shown(page)[1]) == (["W_q", "W_v"], "524,288")
    assert "fewer than IA³" in page.locator(".ia3-say").text_content()
    cells = page.locator(".pc-table tbody tr td:nth-of-type(1)")
    assert cells.all_text_contents() == ["614,400", "0.0091%", "2.46 MB", "406"]
    page.get_by_label("2 bytes").check()
    assert cells.all_text_contents() == ["614,400", "0.0091%", "1.23 MB", "813"]
    for name in ("W_q", "W_v", *VECTORS):
        page.get_by_label(name, exact=True).uncheck()
    assert shown(page)[:2] == ["\u2013", "\u2013"]
    assert "Choose at least one vector" in page.locator(".ia3-say").text_content()
    assert "NaN" not in page.locator("main").inner_text()


def test_custom_sizes_begin_at_the_model_on_show_and_wrong_ones_are_explained(widget_page) -> None:
    page = widget_page(ParameterCalculator(preset="llama-3-8b"))
    assert page.get_by_label("d_model").is_hidden()
    page.get_by_role("combobox").select_option("custom")
    llama = get_preset("llama-3-8b")
    assert trait(page, "custom") == {name: getattr(llama, name) for name in ParameterCalculator().custom}
    assert shown(page)[0] == "524,288"
    alert, field = page.get_by_role("alert"), page.get_by_label("num_kv_heads")
    field.fill("5")
    assert alert.text_content() == "num_heads must be a multiple of num_kv_heads, got 32 and 5."
    assert field.get_attribute("aria-invalid") == "true"
    assert shown(page)[0] == "524,288" and page.locator("[data-stale]").count() == 1, "the last counts stay, dimmed"
    field.fill("8")
    assert alert.is_hidden() and page.locator("[aria-invalid], [data-stale]").count() == 0
    page.get_by_label("num_heads", exact=True).fill("12")  # the field that the hand is on is the one marked
    marked = page.locator("[aria-invalid]").evaluate_all("all => all.map(one => one.labels[0].textContent)")
    assert marked == ["num_heads"]
