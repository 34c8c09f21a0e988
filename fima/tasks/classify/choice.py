"""How a supervised run chooses its epoch, and keeps its classifier where a kill cannot lose or mix it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl

from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoRecord
from fima.engine.folder import RunFolder
from fima.engine.module import Evaluation
from fima.tasks.classify.classifier import save_classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.module import SupervisedModule
from fima.tasks.classify.testing import classify_videos

__all__ = ["CHOSEN", "EpochChoice"]

CHOSEN = "chosen.ckpt"


class EpochChoice(Evaluation):
    """Tests after epochs and keeps the classifier of the best one, the earliest of equals, in `CHOSEN`.

    A better classifier waits under a name with its epoch, and takes the place of `CHOSEN` once ``last.ckpt`` knows of
    it (`settle`): so a run killed between the two goes on with the classifier that its history names.

    Args:
        folder: Where the run writes.
        videos: Videos that are tested on.
        protocol: Their clips and crops.
        config: Configuration of the run.
        tell: Called with a line after each.
    """

    def __init__(
        self,
        folder: RunFolder,
        videos: Sequence[VideoRecord],
        protocol: ClipProtocol,
        config: SupervisedConfig,
        tell: Callable[[str], None],
    ) -> None:
        self.folder, self.videos, self.protocol = folder, videos, protocol
        self.config, self.tell = config, tell
        self.history: list[dict[str, float]] = []
        self._seen = 0

    @property
    def best(self) -> dict[str, float] | None:
        """The row of the history that was chosen."""
        return max(self.history, key=lambda row: (row["top1"], -row["epoch"]), default=None)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run has done what was due at its step."""
        self._seen = trainer.global_step
        self.settle()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Test if an epoch has ended that is due."""
        epoch, inside = divmod(trainer.global_step, pl_module.steps_per_epoch)
        if trainer.global_step == self._seen or inside:
            return
        self._seen = trainer.global_step
        if epoch % self.config.validation.every_epochs == 0 or epoch == self.config.optimizer.epochs:
            self._evaluate(pl_module, epoch)

    def settle(self) -> None:
        """Give the best epoch's classifier its name, and remove others that waited for it."""
        folder = self.folder.path
        if self.best is not None and (best := folder / _waiting(self.best["epoch"])).is_file():
            best.replace(folder / CHOSEN)
        for file in folder.glob(_waiting("*")):
            self.folder.forget(file.name)

    def state_dict(self) -> dict[str, Any]:
        """All evaluations so far."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self.history = list(state_dict["history"])

    def _evaluate(self, module: SupervisedModule, epoch: int) -> None:
        found = classify_videos(
            module.classifier,
            self.videos,
            module.spec.replace(size=self.config.test.size or module.spec.size),
            self.protocol,
            batch_size=self.config.test.batch_size,
            device=module.device,
        )
        row: dict[str, float] = {"epoch": epoch, "top1": found.top1, "videos": len(found.labels)}
        self.history.append(row)
        what = "TEST split" if self.config.validation.choose == "test" else "validation"
        skipped = f", {len(found.skipped)} unreadable" if found.skipped else ""
        self.tell(f"epoch {epoch}: {what} top-1 {row['top1']:.4f} of {len(found.labels)} videos{skipped}")
        if self.best is row:
            self.folder.expect(_waiting(epoch))
            save_classifier(
                self.folder.path / _waiting(epoch),
                module.classifier,
                arch=module.arch,
                input=module.spec,
                class_names=module.class_names,
                extra={"epoch": epoch, "chosen": {"by": self.config.validation.choose, "top1": row["top1"]}},
            )


def _waiting(epoch: float | str) -> str:
    return f"chosen-epoch-{epoch}.ckpt"
