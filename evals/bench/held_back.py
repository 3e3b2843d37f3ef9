"""Write what a recipe holds back of its public sets as files that `assistant eval public` asks.

    python evals/bench/held_back.py RECIPE FOLDER

RECIPE is a name or a file, as for `assistant adapt run`; FOLDER gets one file a set in the
layout of SQuAD, with every held-back passage and its questions, answers spelt as in the set.
The product is then asked about documents that no training with this recipe has seen:

    assistant eval public FOLDER/cmrc.json --format squad --engine extractive
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.adapt.public_sets import read_public
from assistant.adapt.recipe import PublicSource, load_recipe
from assistant.adapt.samples import Sample, is_held_back


def main() -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for source in load_recipe(asked.recipe).sources:
        if isinstance(source, PublicSource):
            kept = [s for s in read_public(source) if is_held_back(s.group, source.held_back)]
            file = asked.folder / f"{source.name}.json"
            file.write_text(json.dumps(squad(kept), ensure_ascii=False), "utf-8")
            print(f"{file}: {len(kept)} questions")


def squad(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return samples in the layout of SQuAD, an article a passage."""
    passages: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        passages[sample.title, sample.passage].append(sample)
    return {
        "data": [
            {"title": title, "paragraphs": [{"context": text, "qas": list(map(_asked, asked))}]}
            for (title, text), asked in passages.items()
        ]
    }


def _asked(sample: Sample) -> dict[str, Any]:
    places = ((text, sample.passage.find(text)) for text in sample.answers)
    answers = [{"text": text, "answer_start": start} for text, start in places]
    return {"question": sample.question, "answers": answers}


if __name__ == "__main__":
    main()
