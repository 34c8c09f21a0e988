"""What contrastive training remembers: queues of keys, key networks that follow, and shuffled batches.

Everything here works in one process as in many; with many, keys are gathered in the order of the ranks. Every process
must bring a batch of the same size.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError

__all__ = ["FeatureQueue", "gather_rows", "shuffle_batch", "unshuffle_batch", "update_momentum"]


class FeatureQueue(nn.Module):
    """A ring of keys, the oldest overwritten first, for batches of any size.

    Its rows start as random unit vectors, drawn alike in every process if their generators agree.

    Args:
        dim: length of a row, at least 1.
        size: number of rows K, at least 1.
        seed: of the first rows; None draws them from torch's default generator.

    Attributes:
        rows: ``(K, dim)`` buffer, the keys in no order that matters to a loss.
        cursor: ``(1,)`` buffer, the row that the next key goes to.

    Raises:
        InputError: if ``dim`` or ``size`` is below 1.

    Source: MoCo (He et al., CVPR 2020); unlike its code and FIMA's (ZMHH-H/FIMA ``moco/builder.py``, commit fd63cbd),
    which keep ``(dim, K)`` and ask that the batch divides K.
    """

    rows: Tensor
    cursor: Tensor

    def __init__(self, dim: int, size: int, *, seed: int | None = None) -> None:
        super().__init__()
        if dim < 1 or size < 1:
            raise InputError(f"a queue needs at least 1 row of at least 1 number, got size {size} and dim {dim}")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        self.register_buffer("rows", F.normalize(torch.randn(size, dim, generator=generator), dim=1))
        self.register_buffer("cursor", torch.zeros(1, dtype=torch.int64))

    def __len__(self) -> int:
        return self.rows.shape[0]

    def snapshot(self) -> Tensor:
        """A copy of the rows ``(K, dim)``, which later keys do not change, as a backward pass needs them."""
        return self.rows.clone()

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put the keys of all processes in, those of rank 0 first; of more than K the last K stay.

        Args:
            keys: ``(N, dim)``, this process's; N is the same in all of them.

        Raises:
            InputError: if they are not of that shape.
        """
        if keys.ndim != 2 or keys.shape[1] != self.rows.shape[1]:
            raise InputError(f"keys must be (N, {self.rows.shape[1]}), got {tuple(keys.shape)}")
        keys = gather_rows(keys.detach().to(self.rows.dtype))
        dropped = max(0, len(keys) - len(self))
        # Indices stay on the device: reading the cursor would make the host wait for it.
        places = (self.cursor + torch.arange(dropped, len(keys), device=self.rows.device)) % len(self)
        self.rows.index_copy_(0, places, keys[dropped:])
        self.cursor.add_(len(keys)).remainder_(len(self))


@torch.no_grad()
def update_momentum(query_module: nn.Module, key_module: nn.Module, momentum: float) -> None:
    """Move every parameter of the key module towards the query's: ``key · momentum + query · (1 − momentum)``.

    Buffers, such as running statistics, stay each module's own.

    Args:
        query_module: the module that is trained.
        key_module: of the same parameters, in the same order.
        momentum: in [0, 1].

    Raises:
        InputError: if the numbers of parameters differ or the momentum is outside [0, 1].

    Source: MoCo (He et al., CVPR 2020), equation 2.
    """
    if not 0 <= momentum <= 1:
        raise InputError(f"momentum must be in [0, 1], got {momentum}")
    queries: list[Tensor] = list(query_module.parameters())
    keys: list[Tensor] = list(key_module.parameters())
    if len(queries) != len(keys):
        raise InputError(f"the key module has {len(keys)} parameters, the query module {len(queries)}")
    # Two rounded products, then their sum: a fused form differs in the last bit, which a deep network in float32
    # amplifies to 1e-3 of a loss, so a step would not be the reference's.
    if keys and keys[0].is_cuda:  # few launches, at the price of a copy of the parameters
        torch._foreach_mul_(keys, momentum)
        torch._foreach_add_(keys, torch._foreach_mul(queries, 1 - momentum))
        return
    for query, key in zip(queries, keys, strict=True):
        key.mul_(momentum).add_(query * (1 - momentum))


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, rank after rank, without gradient; of one process, the rows themselves."""
    world = _world_size()
    if world == 1:
        return rows
    gathered = rows.new_empty((world * rows.shape[0], *rows.shape[1:]))
    dist.all_gather(list(gathered.chunk(world)), rows.contiguous())
    return gathered


def shuffle_batch(batch: Tensor) -> tuple[Tensor, Tensor | None]:
    """Deal the samples of all processes out anew, so that batch statistics do not tell whose key is whose.

    Args:
        batch: ``(N, …)``, this process's; N is the same in all of them.

    Returns:
        ``(N, …)`` samples of any process, and the order for `unshuffle_batch`, drawn by rank 0 from torch's default
        generator; the batch itself and None in one process.

    Source: MoCo (He et al., CVPR 2020), section 3.3, "Shuffling BN".
    """
    world = _world_size()
    if world == 1:
        return batch, None
    total = world * batch.shape[0]
    order = torch.randperm(total).to(batch.device) if dist.get_rank() == 0 else batch.new_empty(total).long()
    dist.broadcast(order, src=0)
    return _exchange(batch, order), order


def unshuffle_batch(batch: Tensor, order: Tensor | None) -> Tensor:
    """Bring what was computed from a shuffled batch back to the process and place of its sample.

    Args:
        batch: ``(N, …)``, one row for each of the shuffled samples.
        order: from `shuffle_batch`.

    Returns:
        ``(N, …)`` in the order of the batch before it was shuffled.
    """
    return batch if order is None else _exchange(batch, order.argsort())


def _exchange(batch: Tensor, order: Tensor) -> Tensor:
    """Rows ``order[rank · N : (rank + 1) · N]`` of all processes' batches, moving only the rows that are wanted."""
    size, world, rank = batch.shape[0], _world_size(), dist.get_rank()
    wanted = order.view(world, size).cpu()
    mine = wanted[rank]
    # To each rank: those of my rows that it wants, in the order it wants them.
    sent = [row[row // size == rank] - rank * size for row in wanted]
    received = [int((mine // size == source).sum()) for source in range(world)]
    outgoing = batch[torch.cat(sent).to(batch.device)].contiguous()
    incoming = torch.empty_like(outgoing)
    dist.all_to_all_single(incoming, outgoing, received, [len(rows) for rows in sent])
    # They arrive rank by rank: put each in the place that asked for it.
    places = (mine // size).argsort(stable=True).argsort()
    return incoming[places.to(batch.device)]


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
