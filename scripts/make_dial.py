"""Make the numbers of the sentence dial, `ia3_lab/data/dial.json`: `python scripts/make_dial.py`, some seconds.

The run is the one that *Where the model looks* shows, chosen by its rule: of the eight final runs of IA³ on 64
sentences of `sentiment`, the lower median by test accuracy. It is trained again, and three sentences are read at 21
points of the way from the frozen vectors to the learned ones, `l(t) = 1 + t (l - 1)`, with the classifier that was
trained along. The head is the one that the page picks for its change; the page compares its numbers with this file.
"""

from __future__ import annotations

import json

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ia3_lab import pretrained
from ia3_lab.study import results, runs, tasks, training
from ia3_lab.widgets import sentence_dial

LAYER, HEAD = 1, 6
#: sentence, right label, and the word whose attention is shown
SENTENCES = [
    ("the film was not terrible", "positive", "terrible"),
    ("the film was very terrible", "negative", "terrible"),
    ("nobody called the party dreadful", "positive", "dreadful"),
]


def main() -> None:
    final = results.read_runs().query("stage == 'final' and task == 'sentiment' and k == 64 and method == 'ia3'")
    chosen = final.sort_values("accuracy", kind="stable").iloc[(len(final) - 1) // 2]
    how = training.Settings(lr=chosen.lr, head_lr=chosen.head_lr, steps=int(chosen.steps))
    base, draw = pretrained.load("cpu"), int(chosen.draw)
    model, vectors = runs.adapt(base, "ia3", 2)
    training.train(model, tasks.few_shot("sentiment", 64, draw), how, adapter=vectors.values(), seed=draw)
    learned = parameters_to_vector(vectors.values()).detach()
    stories = []
    for text, truth, word in SENTENCES:
        tokens = base.tokenizer(text).tokens()
        story = {"tokens": tokens, "word": tokens.index(word), "truth": truth, "probability": [], "attention": []}
        for t in sentence_dial.STOPS:
            with torch.no_grad():
                vector_to_parameters(1 + t * (learned - 1), list(vectors.values()))
                maps = model.encoder(**model.tokens([text]), output_attentions=True).attentions
                story["probability"].append(round(model([text]).softmax(-1)[0, 1].item(), 3))
            row = maps[LAYER][0, HEAD, story["word"]].numpy()
            story["attention"].append(row.astype(float).round(3).tolist())
        stories.append(story)
    about = {"draw": draw, "layer": LAYER, "head": HEAD, "numbers": len(learned)}
    text = json.dumps(about | {"stories": stories}, separators=(",", ":"))
    sentence_dial.DATA.write_text(text + "\n", "utf8")
    for story in stories:
        print(*story["tokens"], story["probability"][0], story["probability"][-1])


if __name__ == "__main__":
    main()
