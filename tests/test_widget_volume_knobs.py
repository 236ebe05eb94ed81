"""The volume knobs: JavaScript draws, computes and trains what torch does, hands mix, and the sentence is right."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from widget_helpers import press, trait

from ia3_lab.pictures import LEARNED, TASKS, WEIGHTS, draw_dots, make_grid, paint, pretrain, read_network
from ia3_lab.study.results import read_volume_knobs
from ia3_lab.widgets import VolumeKnobs

NETWORK = VolumeKnobs().network
IN_REACH = LEARNED[:7]
METHODS = {"ia3": 12, "both": 28, "lora": 59, "full": 265}
RUN = {"task": "spiral", "dots": 50, "seed": 7}
pytestmark = pytest.mark.browser


@pytest.fixture
def call(js):
    return js(VolumeKnobs)


def volumes_of(hand: dict[str, float]) -> list[float]:
    return [hand.get(str(i + 1), 0.0) for i in range(12)]


# --- mathematics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", LEARNED)
def test_the_browser_draws_the_dots_and_colors_of_python(call, task):
    for n, seed in ((20, 1), (50, 104), (200, 10_000), (20, 23)):
        drawn, (x, y) = call("drawDots", task, n, seed), draw_dots(task, n, seed)
        assert_allclose(drawn["x"], x.ravel(), rtol=0, atol=1e-15)
        assert drawn["y"] == y.tolist()


def output(net: dict, p: dict, x: torch.Tensor) -> torch.Tensor:
    """Return what torch makes of the network with what a method trains."""
    weight = {name: p.get(name, net[name]) for name in net}
    for name in ("U", "V", "w"):
        if f"A_{name}" in p:
            weight[name] = net[name] + torch.outer(p[f"A_{name}"], p[f"B_{name}"]).reshape(net[name].shape)
    h_1 = torch.tanh(x @ weight["U"] + weight["b_U"]) * p.get("l_1", 1.0)
    h_2 = torch.tanh(h_1 @ weight["V"] + weight["b_V"]) * p.get("l_2", 1.0)
    return h_2 @ weight["w"] + weight["b_w"]


@pytest.mark.parametrize("method", METHODS)
def test_outputs_gradients_and_steps_of_adam_equal_torch(call, method):
    exact = partial(torch.tensor, dtype=torch.float64)
    net = {name: exact(NETWORK[name]) for name in WEIGHTS} | {"b_w": exact([0.0])}
    x, y = map(torch.tensor, draw_dots(*RUN.values()))
    begun = call("train", NETWORK, method, RUN | {"steps": 0})
    sizes = {name: value.shape for name, value in net.items()}
    p = {name: exact(v).reshape(sizes.get(name, (-1,))).requires_grad_() for name, v in begun["p"].items()}
    adam, losses = torch.optim.Adam(p.values(), lr=NETWORK["rates"][method]), []
    for _ in range(60):
        adam.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output(net, p, x), y)
        loss.backward()
        losses.append(loss.item())
        adam.step()
    found = call("train", NETWORK, method, RUN | {"steps": 60})
    assert_allclose(found["losses"], losses, atol=1e-9)
    assert losses[-1] < losses[0] and found["count"] == METHODS[method] == sum(value.numel() for value in p.values())
    for name, value in p.items():
        assert_allclose(found["slope"][name], value.grad.flatten(), atol=1e-9, err_msg=name)
        assert_allclose(found["p"][name], value.detach().flatten(), atol=1e-8, err_msg=name)
    grid = make_grid(64)
    right = (output(net, p, torch.tensor(grid)) > 0).numpy() == TASKS["spiral"](*grid.T)
    assert found["right"] == pytest.approx(right.mean(), abs=1e-3)
    assert call("train", NETWORK, method, RUN | {"steps": 60}) == found
    assert call("train", NETWORK, method, RUN | {"steps": 60, "seed": 8})["p"] != found["p"]


def test_what_is_in_reach_is_mixed_by_hand_or_by_training_on_the_whole_square_and_the_rest_is_not(call):
    best = {task: call("ceiling", NETWORK, task) for task in LEARNED}
    assert min(best[task] for task in IN_REACH) > 0.95
    assert max(best[task] for task in LEARNED if task not in IN_REACH) < 0.85
    network, grid = read_network(), make_grid()
    for task, hand in network["hands"].items():
        assert len(hand) <= 3 and max(map(abs, hand.values())) <= 2
        assert np.mean((paint(network, grid, volumes_of(hand))[1] > 0) == TASKS[task](*grid.T)) > 0.98


def test_the_pictures_of_pre_training_are_even_and_the_same_again():
    few = [pretrain(5, ["top half", "band"], steps=20) for _ in range(2)]
    assert all((few[0][name] == few[1][name]).all() for name in few[0])
    for network in (few[0], read_network()):
        assert abs(paint(network, make_grid())[0].mean(axis=0).sum()) < 0.5


# --- words ------------------------------------------------------------------------------------------------------

MIXED = "In reach: the twelve pictures can be mixed into the ring."
NO_MIX = "Out of reach: no mix of these pictures makes the ring; the best has 70%."
VERDICTS = [
    (0.99, 0.93, 0.76, "in reach", f"{MIXED} From 20 dots, 12 volumes get 93% of the square and all 265 weights 76%."),
    (0.99, 0.80, 0.90, "too few to tell", MIXED),
    (0.70, 0.66, 0.90, "out of reach", NO_MIX),
    (0.70, 0.66, 0.67, "too few to tell", NO_MIX),
    (0.99, 0.93, None, "in reach", MIXED),  # where none but volumes are trained
]


@pytest.mark.parametrize(("best", "ia3", "full", "says", "text"), VERDICTS)
def test_the_verdict_says_which_group_a_task_is_of_and_whether_these_dots_show_it(call, best, ia3, full, says, text):
    right = {"ia3": ia3} | ({"full": full} if full else {})
    found = call("verdict", {"task": "ring", "dots": 20, "best": best, "right": right})
    assert found["says"] == says and found["text"].startswith(text) and f"{100 * ia3:.0f}%" in found["text"]
    assert ("too few" in found["text"]) == (says == "too few to tell")
    assert ("all 265 weights" in found["text"]) == bool(full)


def test_over_fresh_draws_the_verdict_is_right_or_says_that_it_cannot_tell(call):
    runs = read_volume_knobs().query("network == 'shipped'")
    best = runs[runs.dots == 0].set_index("task").right
    said = []
    for (task, _, dots), draw in runs[runs.dots > 0].groupby(["task", "draw", "dots"]):
        right = draw.set_index("method").right.to_dict()
        state = {"task": task, "dots": dots, "best": best[task], "right": right}
        said.append((dots, call("verdict", state)["says"], "in reach" if task in IN_REACH else "out of reach"))
    table = pd.DataFrame(said, columns=["dots", "says", "is"])
    assert (table.says == table["is"])[table.says != "too few to tell"].all()
    assert (table.says == table["is"]).groupby(table.dots).mean().min() > 0.75


# --- hands ------------------------------------------------------------------------------------------------------


def sentence(page) -> str:
    return page.locator(".ia3-say").inner_text()


def test_one_move_by_key_and_three_by_pointer_solve_tasks_and_a_picture_mutes(widget_page):
    page = widget_page(VolumeKnobs(), reduced_motion="reduce")
    assert sentence(page).startswith("All pictures at once") and "turn picture 8 to 1" in sentence(page)
    page.get_by_role("button", name="Silence all").click()
    assert trait(page, "volumes") == [0] * 12 and sentence(page).startswith("Silence")
    faders = page.get_by_role("slider")
    press(faders.nth(7), "1")
    assert re.search("Picture 8, the corner top right, is at 1. Your mix has 100%.*silent, 75%.*IA³", sentence(page))
    press(faders.nth(7), "0", "PageUp", "PageDown", "PageDown", "Shift+ArrowUp", "Alt+ArrowUp", "Control+1")
    assert trait(page, "volumes")[7] == -0.95 and "colors swapped" in faders.nth(7).get_attribute("aria-valuetext")
    page.get_by_role("radio", name="check").check()
    page.get_by_role("button", name="Silence all").click()
    for i in (0, 7, 10):
        box = faders.nth(i).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.37  # a tap: near 1, which holds it
        page.mouse.click(x, y)
        assert trait(page, "volumes")[i] == 1
    assert "That is IA³" in sentence(page)
    mute = page.get_by_role("button", name=re.compile("^Mute picture 8"))
    for volume in (0, 1):
        mute.click()
        assert trait(page, "volumes")[7] == volume


def test_training_starts_from_one_ends_as_the_engine_does_and_a_turned_volume_makes_the_mix_the_readers(
    widget_page, call
):
    state = {"task": "ring", "dots": 20, "seed": 3}
    page = widget_page(VolumeKnobs(**state, volumes=[0.5] * 12), reduced_motion="reduce")
    assert page.get_by_role("radio", name="not trained yet").count() == len(METHODS)
    page.get_by_role("button", name="Train").click()
    found = {method: call("train", NETWORK, method, state | {"steps": 600}) for method in METHODS}
    cards = page.locator(".vk-card b").all_inner_texts()[1:]
    assert page.get_by_role("radio", name="not trained yet").count() == 0
    assert cards == [f"{round(100 * one['right'])}%" for one in found.values()]
    shown = [text.strip("↑↓").replace("\u2212", "-") for text in page.locator("output").all_inner_texts()]
    assert_allclose([*map(float, shown)], found["ia3"]["p"]["l_2"], atol=0.051)
    said = sentence(page)
    press(page.get_by_role("slider").nth(0), "0")
    assert trait(page, "shown") == "hand" and trait(page, "volumes")[0] == 0
    assert_allclose(trait(page, "volumes")[1:], found["ia3"]["p"]["l_2"][1:], atol=0.0051)
    page.get_by_role("radio", name="Everything").check()
    assert page.get_by_role("slider").nth(0).get_attribute("aria-disabled") == "true"
    again = widget_page(VolumeKnobs(**state, shown="ia3", steps=600))  # a stored state: the same picture
    assert again.locator(".vk-card b").all_inner_texts()[1:] == cards and sentence(again) == said


def test_training_can_be_watched_and_paused(widget_page):
    page = widget_page(VolumeKnobs(dots=20))
    page.clock.install()
    page.get_by_role("button", name="Train").click()
    page.clock.run_for(200)
    page.get_by_role("button", name="Pause").click()
    assert 0 < trait(page, "steps") < 600 and "from volumes of 1" in sentence(page)
    page.get_by_role("button", name="Train").click()
    page.clock.run_for(50)
    page.clock.fast_forward(4000)
    assert trait(page, "steps") == 600
    assert "In reach" in sentence(page) and page.get_by_role("button", name="Train again").count() == 1


def test_another_network_has_pictures_without_names_and_compact_shows_one_task(widget_page):
    page = widget_page(VolumeKnobs(pretrain(5, ["band"], steps=5), task="disc"))
    assert page.get_by_role("slider", name="picture 12, number 12").count() == 1
    page = widget_page(VolumeKnobs(compact=True, shown="ia3", steps=600))
    assert "265" not in page.locator(".ia3").inner_text() and "card" not in page.locator(".ia3").inner_text()
    assert page.get_by_role("radio").count() == 0 and page.get_by_role("slider").count() == 12
