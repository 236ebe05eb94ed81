"""The calculator's JavaScript counts what ia3_lab.counting counts, and its controls do what they say."""

from __future__ import annotations

import json
import math
import random
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from traitlets import TraitError

from ia3_lab.config import PRESETS, get_preset
from ia3_lab.counting import MATRICES, VECTORS, count_ia3, count_lora, count_matrices
from ia3_lab.style import format_bytes
from ia3_lab.widgets import ParameterCalculator
from ia3_lab.widgets.parameter_calculator import LIMITS

GOOD = {"d_model": 96, "d_ff": 250, "num_layers": 3, "num_heads": 8, "num_kv_heads": 2, "num_decoder_layers": 2}


def random_states(number: int, seed: int) -> list[ParameterCalculator]:
    """Return calculators with random models and choices; half of them with sizes of their own."""
    rng, widgets = random.Random(seed), []
    for i in range(number):
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
        widgets.append(
            ParameterCalculator(
                preset=rng.choice([*PRESETS]) if i % 2 else "custom",
                custom=sizes,
                rank=rng.randint(1, 64),
                targets=[role for role in MATRICES if rng.random() < 0.5],
                vectors=[role for role in VECTORS if rng.random() < 0.7],
                dtype=rng.choice(["float32", "float16"]),
            )
        )
    return widgets


def js_state(widget: ParameterCalculator) -> dict[str, Any]:
    """Return the state that the script's functions take."""
    sizes = widget.custom if widget.preset == "custom" else widget.presets[widget.preset]
    names = ("rank", "targets", "vectors", "dtype")
    return {"sizes": sizes, "name": widget.preset} | {name: getattr(widget, name) for name in names}


@pytest.mark.browser
@pytest.mark.parametrize("seed", range(4))
def test_the_script_counts_what_the_package_counts(js, seed: int) -> None:
    call = js(ParameterCalculator)
    for widget in random_states(40, seed):
        state, config = js_state(widget), widget.config()
        assert call("summarize", state) == widget.summary(), state
        assert call("countMatrices", state["sizes"]) == count_matrices(config)
        for role in ("W_q", "W_2"):
            assert call("countLora", state["sizes"], 3, [role]) == count_lora(config, 3, [role]).total


@pytest.mark.browser
def test_a_role_given_twice_or_out_of_order_counts_once_in_both_languages(js) -> None:
    call, sizes = js(ParameterCalculator), ParameterCalculator().presets["llama-7b"]
    assert call("countLora", sizes, 1, ["W_v", "W_q", "W_v"]) == call("countLora", sizes, 1, ["W_q", "W_v"]) == 524_288
    assert call("countIa3", sizes, ["l_k", "l_k"]) == call("countIa3", sizes, ["l_k"])
    widget = ParameterCalculator(targets=["W_v", "W_q", "W_v"], vectors=["l_v", "l_k", "l_v"])
    assert (widget.targets, widget.vectors) == (["W_q", "W_v"], ["l_k", "l_v"])


@pytest.mark.browser
def test_key_heads_matter_to_ia3_in_the_script(js) -> None:
    call, sizes = js(ParameterCalculator), {**GOOD, "gated_ffn": False}
    assert call("countIa3", sizes, ["l_k"]) * 4 == call("countIa3", {**sizes, "num_kv_heads": 8}, ["l_k"])
    assert call("countIa3", sizes, ["l_ff"]) == call("countIa3", {**sizes, "num_kv_heads": 8}, ["l_ff"])


BAD = [
    ({"d_model": None}, "d_model must be a whole number from 1 to 100,000, got nothing."),
    ({"d_model": 0}, "d_model must be a whole number from 1 to 100,000, got 0."),
    ({"d_ff": -4}, "d_ff must be a whole number from 1 to 100,000, got -4."),
    ({"num_layers": 2.5}, "num_layers must be a whole number from 1 to 1,000, got 2.5."),
    ({"num_decoder_layers": 1001}, "num_decoder_layers must be a whole number from 0 to 1,000, got 1001."),
    ({"num_heads": 7}, "d_model must be a multiple of num_heads, got 96 and 7."),
    ({"num_kv_heads": 3}, "num_heads must be a multiple of num_kv_heads, got 8 and 3."),
]


@pytest.mark.browser
@pytest.mark.parametrize(("wrong", "says"), BAD, ids=lambda value: str(value)[:24])
def test_wrong_sizes_get_the_same_sentence_in_both_languages(js, wrong: dict, says: str) -> None:
    widget = ParameterCalculator(preset="custom", custom={**GOOD, **wrong})
    assert widget.problem() == says
    limits = {name: list(ends) for name, ends in LIMITS.items()}
    assert js(ParameterCalculator)("problemWith", widget.custom, limits)["text"] == says
    assert js(ParameterCalculator)("problemWith", {**widget.custom, **GOOD}, limits) is None
    with pytest.raises(ValueError, match="must be"):
        widget.summary()


@pytest.mark.browser
@pytest.mark.parametrize("count", [0, 7, 999, 1000, 55_296, 2_457_600, 47_710_208, 123_456_789, 13_476_831_232, 2e12])
def test_bytes_are_written_as_in_the_rest_of_the_book(js, count: float) -> None:
    assert js(ParameterCalculator)("formatBytes", count) == format_bytes(count)


@pytest.mark.browser
def test_the_axis_holds_every_number_and_a_power_of_ten_is_always_as_wide(js) -> None:
    call = js(ParameterCalculator)
    assert call("axisRange", [614_400, 11_927_552, 6_738_415_616]) == [3, 11]
    low, high = call("axisRange", [12, None, 3e13])
    assert (low, high) == (1, 14)
    at = [call("axisPosition", 10**power, [3, 11]) for power in (3, 5, 7, 11)]
    assert at == pytest.approx([0, 0.25, 0.5, 1])
    assert call("axisPosition", 0, [3, 11]) == 0


@pytest.mark.browser
def test_the_sentence_says_which_adapter_is_smaller(js) -> None:
    call = js(ParameterCalculator)

    def sentence(**traits: Any) -> str:
        state = js_state(ParameterCalculator(**traits))
        return call("describe", state, call("summarize", state))

    assert sentence() == (
        "On llama-7b, IA³ learns 614,400 parameters, 0.0091% of the base model. "
        "LoRA of rank 8 on W_k, W_v, W_1, W_2 learns 11,927,552: 19.4 times as many."
    )
    small = sentence(rank=1, targets=["W_q", "W_v"])
    assert small.endswith("learns 524,288: fewer than IA³, 0.85 times its number.")
    assert sentence(vectors=[]) == "Choose at least one vector for IA³."
    assert sentence(targets=[]).endswith("Choose at least one matrix for LoRA.")
    assert sentence(preset="gpt2", targets=["W_gate"]).endswith("Choose at least one matrix for LoRA.")
    assert "of the blocks' matrices" in sentence(preset="custom", custom=GOOD)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"preset": "llama"}, "preset must be 'custom' or one of gpt2, .*got 'llama'"),
        ({"rank": 0}, "rank must be a whole number from 1 to 64, got 0"),
        ({"rank": 65}, "rank must be a whole number from 1 to 64, got 65"),
        ({"rank": True}, "rank must be a whole number from 1 to 64, got True"),
        ({"targets": ["q_proj"]}, "targets"),
        ({"vectors": ["l_q"]}, "vectors"),
        ({"custom": {"width": 3}}, "custom knows the sizes d_model, .*got 'width'"),
        ({"custom": {"d_ff": "wide"}}, r"custom\['d_ff'\] must be a number"),
        ({"custom": {"d_ff": math.nan}}, r"custom\['d_ff'\] must be a number.*got nan"),
        ({"custom": {"gated_ffn": 1}}, r"custom\['gated_ffn'\] must be True or False"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(changes: dict, says: str) -> None:
    with pytest.raises(TraitError, match=says):
        ParameterCalculator(**changes)


@pytest.mark.parametrize("widget", [*random_states(6, 9), ParameterCalculator(preset="custom", custom={"d_ff": None})])
def test_the_picture_is_an_svg_whose_title_says_the_numbers(widget: ParameterCalculator) -> None:
    root = ET.fromstring(widget.picture())
    title = root.find("{http://www.w3.org/2000/svg}title").text
    if problem := widget.problem():
        assert title == problem
    else:
        assert f"{widget.summary()['base']:,}" in title
    assert "nan" not in widget.picture().lower()


def test_the_repr_names_the_choices_and_leaves_out_the_data() -> None:
    assert repr(ParameterCalculator(rank=4)).startswith("ParameterCalculator(custom={'d_model': 512,")
    assert "presets" not in repr(ParameterCalculator())


# --- in the browser ------------------------------------------------------------------------------------------------


def trait(page: Any, name: str) -> Any:
    return page.evaluate(f"ia3Widgets.ParameterCalculator[0].get('{name}')")


def shown(page: Any) -> list[str]:
    return page.locator(".pc-number").all_text_contents()


def widths(page: Any) -> list[float]:
    """Return the lengths of the three bars as shares of their track."""
    return page.evaluate("[...document.querySelectorAll('.pc-fill')].map((bar) => parseFloat(bar.style.width) / 100)")


@pytest.mark.browser
def test_the_bars_stand_where_the_logarithm_says(widget_page) -> None:
    page = widget_page(ParameterCalculator())
    counts = (614_400, 11_927_552, 6_738_415_616)
    assert shown(page) == [f"{count:,}" for count in counts]
    assert widths(page) == pytest.approx([(math.log10(count) - 3) / 8 for count in counts], abs=1e-5)
    label = page.get_by_role("img").get_attribute("aria-label")
    assert all(f"{count:,}" in label for count in counts)


@pytest.mark.browser
def test_every_preset_can_be_chosen_and_shows_its_counts(widget_page) -> None:
    page = widget_page(ParameterCalculator())
    for name, config in PRESETS.items():
        page.get_by_role("combobox").select_option(name)
        totals = count_ia3(config).total, count_lora(config, 8).total, config.base_parameters
        assert shown(page) == [f"{total:,}" for total in totals]
        assert name in page.locator(".ia3-say").text_content()
        assert page.get_by_label("W_gate").is_disabled() == (not config.gated_ffn)


@pytest.mark.browser
def test_the_rank_slider_obeys_mouse_and_keyboard(widget_page) -> None:
    page = widget_page(ParameterCalculator(rank=8))
    slider = page.get_by_role("slider", name="Rank of LoRA")
    slider.focus()
    for key, rank in (("ArrowRight", 9), ("Shift+ArrowRight", 19), ("Home", 1), ("End", 64)):
        page.keyboard.press(key)
        assert trait(page, "rank") == rank
        assert shown(page)[1] == f"{count_lora(get_preset('llama-7b'), rank).total:,}"
    assert slider.get_attribute("aria-valuetext") == "r = 64"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 30 <= trait(page, "rank") <= 35


@pytest.mark.browser
def test_mouse_and_finger_drag_the_rank_slider(widget_page) -> None:
    page = widget_page(ParameterCalculator(rank=1), width=390, touch=True)
    slider = page.get_by_role("slider", name="Rank of LoRA")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y, at = box["y"] + box["height"] / 2, lambda share: box["x"] + share * box["width"]
    page.mouse.move(at(0.02), y)
    page.mouse.down()
    page.mouse.move(at(0.25), y, steps=4)
    page.mouse.up()
    by_mouse = trait(page, "rank")
    assert 10 <= by_mouse <= 24
    client = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.25), ("touchMove", 0.5), ("touchMove", 0.75), ("touchEnd", None)):
        points = [] if share is None else [{"x": at(share), "y": y}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    by_finger = trait(page, "rank")
    assert 40 <= by_finger <= 56
    assert shown(page)[1] == f"{count_lora(get_preset('llama-7b'), by_finger).total:,}"


@pytest.mark.browser
def test_checkboxes_choose_matrices_and_vectors_and_none_is_not_nan(widget_page) -> None:
    page = widget_page(ParameterCalculator(rank=1))
    for name in ("W_k", "W_1", "W_2"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_label("W_q", exact=True).check()
    assert trait(page, "targets") == ["W_q", "W_v"]
    assert shown(page)[1] == "524,288"
    assert "fewer than IA³" in page.locator(".ia3-say").text_content()
    for name in ("W_q", "W_v"):
        page.get_by_label(name, exact=True).uncheck()
    assert shown(page)[1] == "\u2013"
    for name in VECTORS:
        page.get_by_label(name, exact=True).uncheck()
    assert shown(page)[0] == "\u2013"
    assert "Choose at least one vector" in page.locator(".ia3-say").text_content()
    assert "NaN" not in page.locator("main").inner_text()


@pytest.mark.browser
def test_custom_sizes_begin_at_the_model_on_show_and_wrong_ones_are_explained(widget_page) -> None:
    page = widget_page(ParameterCalculator(preset="llama-3-8b"))
    assert page.get_by_label("d_model").is_hidden()
    page.get_by_role("combobox").select_option("custom")
    assert trait(page, "custom") == {
        "d_model": 4096,
        "d_ff": 14336,
        "num_layers": 32,
        "num_heads": 32,
        "num_kv_heads": 8,
        "num_decoder_layers": 0,
        "gated_ffn": True,
    }
    assert shown(page)[0] == "524,288"
    page.get_by_label("num_kv_heads").fill("32")
    assert shown(page)[0] == f"{32 * (4096 + 4096 + 14336):,}"
    alert, field = page.get_by_role("alert"), page.get_by_label("num_kv_heads")
    field.fill("5")
    assert alert.text_content() == "num_heads must be a multiple of num_kv_heads, got 32 and 5."
    assert field.get_attribute("aria-invalid") == "true"
    assert page.locator(".pc-chart").is_hidden()
    field.fill("")
    assert alert.text_content() == "num_kv_heads must be a whole number from 1 to 1,000, got nothing."
    assert "NaN" not in page.locator("main").inner_text()
    field.fill("8")
    assert alert.is_hidden()
    assert field.get_attribute("aria-invalid") is None
    assert shown(page)[0] == "524,288"
    page.get_by_role("button", name="Reset").click()
    assert (trait(page, "preset"), page.get_by_label("d_model").is_hidden()) == ("llama-3-8b", True)


@pytest.mark.browser
def test_two_byte_numbers_halve_the_size_and_reset_brings_four_back(widget_page) -> None:
    page = widget_page(ParameterCalculator())
    cells = page.locator(".pc-table tbody tr td:nth-of-type(1)")
    assert page.locator(".pc-table thead th").all_text_contents() == ["IA³", "LoRA"]
    assert cells.all_text_contents() == ["614,400", "0.0091%", "2.46 MB", "406"]
    page.get_by_label("2 bytes").check()
    assert cells.all_text_contents() == ["614,400", "0.0091%", "1.23 MB", "813"]
    page.get_by_role("button", name="Reset").click()
    assert cells.all_text_contents()[2] == "2.46 MB"


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 900])
def test_nothing_is_wider_than_the_page_and_targets_are_large_enough(widget_page, width: int) -> None:
    page = widget_page(ParameterCalculator(preset="custom", custom=GOOD), width=width, touch=width == 390)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    controls = page.locator(".ia3-check, .ia3-button, .ia3 select, .ia3 input[type=number]")
    heights = controls.evaluate_all("(controls) => controls.map((control) => control.getBoundingClientRect().height)")
    assert len(heights) > 15
    assert min(heights) >= 37


@pytest.mark.browser
def test_the_table_fits_a_narrow_phone_even_with_the_largest_numbers(widget_page) -> None:
    largest = {**{name: most for name, (_, most) in LIMITS.items()}, "gated_ffn": True}
    page = widget_page(ParameterCalculator(preset="llama-65b", rank=64, targets=list(MATRICES)), width=320)
    overflow = "(() => { const s = document.querySelector('.pc-scroll'); return s.scrollWidth - s.clientWidth; })()"
    assert page.evaluate(overflow) == 0
    page.get_by_role("combobox").select_option("custom")
    page.evaluate(f"ia3Widgets.ParameterCalculator[0].set('custom', {json.dumps(largest)})")
    config = ParameterCalculator(preset="custom", custom=largest).config()
    assert shown(page)[1] == f"{count_lora(config, 64, MATRICES).total:,}"
    assert page.evaluate(overflow) == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_chapters_buttons_set_the_calculator(page_of, width: int) -> None:
    page = page_of("book/03-counting.html", width=width)
    buttons, llama3 = page.locator("button.set-widget[data-widget=ParameterCalculator]"), get_preset("llama-3-8b")
    assert buttons.count() == 4
    buttons.nth(1).click()
    assert shown(page)[:2] == [f"{count_ia3(llama3).total:,}", f"{count_lora(llama3, 8).total:,}"]
    for i in range(4):
        wanted = json.loads(buttons.nth(i).get_attribute("data-set"))
        buttons.nth(i).click()
        assert {name: trait(page, name) for name in wanted} == wanted
        ParameterCalculator(**wanted)  # and Python would accept every value
        assert "NaN" not in page.locator(".ia3-calculator").inner_text()
