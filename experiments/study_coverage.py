"""How often the intervals and tests of `cammimic.study.study` are right: python experiments/study_coverage.py
nbs/results/study/coverage.json [--studies 1000]

Each row is a kind of dependence; studies are simulated with a known answer, by two processes.
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))
from cammimic.study.preference import (
    CLUSTERS,
    cluster_interval,
    exact_interval,
    kappa_interval,
    mixed_model,
    permutation_test,
)
from cammimic.study.study import mean_utilities, simulate_study

OTHERS = np.array([0.6, 0.4])


def chances(share, participant_sd, example_sd, examples):
    "Chance of each method for each example among all people, given the examples' tastes (1, E, 3)."
    means = mean_utilities((share, *(OTHERS * (1 - share)).tolist()), float(np.hypot(participant_sd, example_sd)))
    raised = np.exp(
        np.array(means) + np.random.default_rng(0).normal(size=(20_000, 1, 3)) * participant_sd + examples * example_sd
    )
    return (raised / raised.sum(-1, keepdims=True)).mean(0)


def truths(share, participant_sd, example_sd, seed):
    """Share and kappa that the examples of `simulate_study` have among all people; the study draws people's tastes
    first."""
    drawn = np.random.default_rng(seed)
    drawn.normal(size=(72, 1, 3))
    votes = chances(share, participant_sd, example_sd, drawn.normal(size=(1, 8, 3)))
    chance = (votes.mean(0) ** 2).sum()
    return float(votes[:, 0].mean()), float(((votes**2).sum(1).mean() - chance) / (1 - chance))


def one(task):
    *kind, seed = task
    share, participant_sd, example_sd = kind
    counts = simulate_study(
        dict(q=dict(zip("abc", [share, *OTHERS * (1 - share)], strict=False))),
        participant_sd=participant_sd,
        example_sd=example_sd,
        seed=seed,
    ).counts[:, :, 0]
    chosen, asked = counts[..., 0], np.ones(counts.shape[:2])
    here, kappa = truths(*kind, seed)
    ends = dict(
        independent=(exact_interval(int(chosen.sum()), chosen.size), here),
        participants=(cluster_interval(chosen, asked, over=CLUSTERS[:1], seed=seed), here),
        both=(cluster_interval(chosen, asked, seed=seed), share),
        kappa=(kappa_interval(counts)[1:], kappa),
    )
    if not seed % 5:  # slow, so for every fifth study; of two methods, whose log-odds are normal
        pair = simulate_study(
            dict(q=dict(ours=share, theirs=1 - share)), participant_sd=participant_sd, example_sd=example_sd, seed=seed
        )
        means = mean_utilities((share, 1 - share), float(np.hypot(participant_sd, example_sd)))
        ends["mixed"] = mixed_model(pair, "q", "ours")["interval"], float(1 / (1 + np.exp(means[1] - means[0])))
    return {name: bool(low <= truth <= high) for name, ((low, high), truth) in ends.items()}


def false(seed):
    "Whether each test finds a preference where there is none: within these examples, and with examples that differ."
    third = dict(q=dict(zip("abc", (1 / 3, 1 / 3, 1 / 3), strict=False)))
    found = {}
    for over, deviations in dict(
        participants=dict(participant_sd=1.0), examples=dict(participant_sd=1.0, example_sd=0.7)
    ).items():
        counts = simulate_study(third, **deviations, seed=seed).counts
        found[over] = bool(permutation_test(counts, over=over, num_samples=499, seed=seed)[0][0, 0] <= 0.05)
    return found


def main(output, studies):
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for share, (participant_sd, example_sd) in product(
            (0.7, 0.9), ((0.0, 0.0), (1.0, 0.0), (0.0, 0.7), (1.0, 0.7))
        ):
            results = list(
                pool.map(one, [(share, participant_sd, example_sd, seed) for seed in range(studies)], chunksize=20)
            )
            rows.append(
                dict(
                    share=share,
                    participant_sd=participant_sd,
                    example_sd=example_sd,
                    covers={
                        name: round(float(np.mean([r[name] for r in results if name in r])), 4) for name in results[0]
                    },
                )
            )
            print(rows[-1], flush=True)
        wrong = list(pool.map(false, range(studies), chunksize=20))
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(
        json.dumps(
            dict(
                studies=studies,
                participants=72,
                examples=8,
                rows=rows,
                false={name: round(float(np.mean([w[name] for w in wrong])), 4) for name in wrong[0]},
            ),
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--studies", type=int, default=1000)
    arguments = parser.parse_args()
    main(arguments.output, arguments.studies)
