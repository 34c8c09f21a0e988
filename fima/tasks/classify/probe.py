"""A linear probe on features that are computed once, and the choice of its learning rate on validation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fima.engine.batches import BatchStream
from fima.engine.module import seed_from
from fima.engine.optimizer import make_optimizer, set_rates
from fima.engine.schedule import Plateau
from fima.errors import InputError, TrainingError
from fima.evaluation.features import ClipFeatures
from fima.evaluation.metrics import average_logits
from fima.seeding import SampleKeys
from fima.tasks.classify.classifier import ClassifierHead
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.module import classifier_groups
from fima.tasks.classify.options import OptimizerOptions

__all__ = ["Trial", "head_scores", "sweep_heads", "train_head"]


@dataclass(frozen=True, eq=False)
class Trial:
    """A trained head.

    Attributes:
        head: with the weights of the chosen epoch.
        lr, weight_decay: it was trained with.
        epoch: chosen.
        top1: on validation, in that epoch; None without validation.
        history: top-1 after each epoch that was validated.
    """

    head: ClassifierHead
    lr: float
    weight_decay: float
    epoch: int
    top1: float | None
    history: tuple[dict[str, float], ...]


def train_head(
    head: ClassifierHead,
    train: ClipFeatures,
    validation: ClipFeatures | None,
    config: SupervisedConfig,
    options: OptimizerOptions,
) -> Trial:
    """Train a head on features: the same order, draws and rates as `fima.tasks.classify.run` has.

    Args:
        head: as it starts; it is not changed.
        train: of every video some clips.
        validation: None: the last epoch is taken.
        config: seed, choice and test of the run.
        options: with a learning rate.

    Raises:
        TrainingError: if the loss is not finite.
    """
    head = copy.deepcopy(head).train()
    history: list[dict[str, float]] = []
    best: tuple[float, int, dict[str, Tensor]] | None = None
    for epoch in _epochs(head, train, config.seed, options):
        if validation is None or (epoch % config.validation.every_epochs and epoch != options.epochs):
            continue
        top1 = head_accuracy(head, validation, config.test.average)
        history.append({"epoch": epoch, "top1": top1, "videos": len(validation.labels)})
        if best is None or top1 > best[0] or config.validation.choose == "last":
            best = (top1, epoch, copy.deepcopy(head.state_dict()))
    if best is not None:
        head.load_state_dict(best[2])
    value, chosen = best[:2] if best else (None, options.epochs)
    return Trial(head.eval(), float(options.lr or 0.0), options.weight_decay, chosen, value, tuple(history))


def _epochs(head: ClassifierHead, train: ClipFeatures, seed: int, options: OptimizerOptions) -> Iterator[int]:
    """Train a head in place; yields the number of every epoch that has ended, from 1."""
    clips = torch.tensor([len(vectors) for vectors in train.vectors])
    table = torch.from_numpy(np.concatenate(train.vectors))
    labels = torch.from_numpy(train.labels).repeat_interleave(clips)
    stream = BatchStream(
        len(table), options.batch_size, epochs=options.epochs, seed=seed, accumulate=options.accumulate
    )
    optimizer, plateau = make_optimizer(classifier_groups(head, None, options), options), Plateau(options)
    losses: list[float] = []
    for number, batch in enumerate(stream):
        step, part = divmod(number, options.accumulate)
        places = np.array([index for _, index in batch])
        seed_from(SampleKeys(seed, batch[0][0], places))
        set_rates(optimizer, step, stream.steps_per_epoch, options, plateau)
        loss = F.cross_entropy(head(table[places]), labels[places]) / options.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()) * options.accumulate)
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"step {step + 1}: loss is not finite with lr {options.lr:g}; lower it")
        if part + 1 < options.accumulate:
            continue
        optimizer.step()
        optimizer.zero_grad()
        epoch, inside = divmod(step + 1, stream.steps_per_epoch)
        if not inside:
            plateau.see(float(np.mean(losses)))
            losses = []
            yield epoch


def sweep_heads(
    head: ClassifierHead,
    train: ClipFeatures,
    validation: ClipFeatures | None,
    config: SupervisedConfig,
    tell: Callable[[str], None],
) -> tuple[Trial, list[dict[str, Any]]]:
    """Train one head for each learning rate and weight decay; the best on validation, the first of equals.

    With ``optimizer.lr`` set only that rate is tried; with an empty ``sweep.weight_decay`` only the optimizer's. A rate
    at which the loss is not finite counts as tried in vain.

    Raises:
        InputError: if there is something to choose but no validation.
        TrainingError: if no rate works.
    """
    given = config.optimizer
    rates = config.sweep.lr if given.lr is None else [given.lr]
    decays = config.sweep.weight_decay or [given.weight_decay]
    pairs = [(rate, decay) for decay in decays for rate in rates]
    if not pairs:
        raise InputError("sweep.lr: is empty, and the preset gives no rate")
    if validation is None and len(pairs) > 1:
        raise InputError("a sweep is chosen on validation: --validation.choose val or last, or one --optimizer.lr")
    table: list[dict[str, Any]] = []
    best: Trial | None = None
    for rate, decay in pairs:
        row: dict[str, Any] = {"lr": rate, "weight_decay": decay, "epoch": None, "top1": None}
        try:
            trial = train_head(head, train, validation, config, replace(given, lr=rate, weight_decay=decay))
        except TrainingError as error:
            tell(f"lr {rate:g}, weight decay {decay:g}: {error}")
        else:
            row |= {"epoch": trial.epoch, "top1": trial.top1}
            shown = "" if trial.top1 is None else f": validation top-1 {trial.top1:.4f} (epoch {trial.epoch})"
            tell(f"lr {rate:g}, weight decay {decay:g}{shown}")
            if best is None or (trial.top1 or 0.0) > (best.top1 or 0.0):
                best = trial
        table.append(row)
    if best is None:
        raise TrainingError("no learning rate of the sweep gave a finite loss")
    return best, table


@torch.no_grad()
def head_scores(head: ClassifierHead, features: ClipFeatures, average: str) -> NDArray[np.float64]:
    """``(V, classes)``: the clips of each video, averaged by `average_logits`; the head's mode stays what it was."""
    training = head.training
    head.eval()
    scores = [average_logits(head(torch.from_numpy(clips)).numpy(), average) for clips in features.vectors]
    head.train(training)
    return np.stack(scores)


def head_accuracy(head: ClassifierHead, features: ClipFeatures, average: str) -> float:
    """Top-1 of videos."""
    return float((head_scores(head, features, average).argmax(axis=1) == features.labels).mean())
