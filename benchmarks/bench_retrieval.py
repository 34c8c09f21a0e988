"""Retrieval and k-NN of UCF101's size against one product of that size: 9,537 training and 3,783 test videos.

python benchmarks/bench_retrieval.py

One run, the product and the search in turn; the ratio is that of the medians.
"""

from __future__ import annotations

import numpy as np
from limits import check, finish, medians

from fima.evaluation.neighbors import RANKS, hits, nearest, recall, vote

TRAIN, TEST, CHANNELS, CLASSES, ROUNDS, LIMIT = 9537, 3783, 1024, 101, 7, 1.5


def main() -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLASSES, CHANNELS))
    labels = np.sort(rng.integers(CLASSES, size=TRAIN))
    wanted = rng.integers(CLASSES, size=TEST)
    gallery = (0.3 * centers[labels] + rng.normal(size=(TRAIN, CHANNELS))).astype(np.float32)
    queries = (0.3 * centers[wanted] + rng.normal(size=(TEST, CHANNELS))).astype(np.float32)

    def retrieve() -> None:
        order, _ = nearest(queries, gallery, max(RANKS))
        recall(hits(order, wanted, labels))

    def knn() -> None:
        order, similarity = nearest(queries, gallery, 20)
        vote(order, similarity, labels, k=20).argmax(axis=1)

    product = medians(lambda: queries @ gallery.T, retrieve, knn, rounds=ROUNDS, warm_up=0)
    for name, seconds in zip(("retrieval", "k-NN"), product[1:], strict=True):
        check(f"{name}: {seconds:.2f} s over one product of {product[0]:.2f} s", seconds / product[0], most=LIMIT)


if __name__ == "__main__":
    main()
    finish()
