"""Blocks are used again when, and only when, nothing that was made of them is left."""

from __future__ import annotations

import multiprocessing
import pickle

import torch

from fima.data.lending import Lender, receive


def frames(value, *shape):
    return torch.full(shape, value, dtype=torch.uint8)


def test_a_block_is_used_again_once_it_is_dropped():
    lender = Lender()
    for value in range(5):
        got = receive(*lender.lend(frames(value, 2, 3, 4)))
        assert torch.equal(got, frames(value, 2, 3, 4))
        del got
    assert len(lender) == 1


def test_a_block_is_left_alone_while_a_view_of_it_lives():
    lender = Lender()
    first = receive(*lender.lend(frames(1, 4, 5)))
    corner = first[2:, 1:]
    del first
    others = [receive(*lender.lend(frames(value, 4, 5))) for value in (2, 3)]
    assert len(lender) == 3
    assert torch.equal(corner, frames(1, 2, 4))
    assert [other.unique().tolist() for other in others] == [[2], [3]]
    del corner, others
    assert torch.equal(receive(*lender.lend(frames(4, 4, 5))), frames(4, 4, 5))
    assert len(lender) == 3


def test_a_larger_block_replaces_one_that_is_too_small():
    lender = Lender()
    for size in (3, 30, 20, 300):
        assert torch.equal(receive(*lender.lend(frames(7, size))), frames(7, size))
    assert len(lender) == 1


def test_a_copy_in_another_process_starts_empty():
    lender = Lender()
    held = receive(*lender.lend(frames(1, 3)))
    assert len(pickle.loads(pickle.dumps(lender))) == 0
    assert held.tolist() == [1, 1, 1]


def lend_all(queue, done):
    lender = Lender()
    for value in range(6):
        queue.put(lender.lend(frames(value, 100)))
        done.acquire()
    queue.put(len(lender))
    done.acquire()


def test_the_receiver_frees_blocks_in_another_process():
    context = torch.multiprocessing.get_context("fork")
    queue, done = context.SimpleQueue(), multiprocessing.get_context("fork").Semaphore(0)
    worker = context.Process(target=lend_all, args=(queue, done))
    worker.start()
    for value in range(6):
        got = receive(*queue.get())
        assert torch.equal(got, frames(value, 100))
        del got
        done.release()
    assert queue.get() == 1
    done.release()
    worker.join(20)
    assert worker.exitcode == 0


def test_what_is_made_in_allocated_memory_is_lent_as_it_is():
    lender = Lender()
    array = lender.allocate((2, 3, 4))
    array[...] = 7
    made = torch.from_numpy(array).view(6, 4)
    block, shape = lender.lend(made)
    assert (shape, len(lender)) == ((6, 4), 1)
    del array, made  # the sender's own end must not free what the receiver has
    got = receive(block, shape)
    assert receive(*lender.lend(frames(1, 24))).tolist() == [1] * 24
    assert (len(lender), got.unique().tolist()) == (2, [7])
    del got
    assert [lender.allocate((24,)).shape for _ in range(5)] == [(24,)] * 5
    assert len(lender) == 2


def test_a_part_of_allocated_memory_and_a_second_loan_are_copied():
    lender = Lender()
    array = lender.allocate((2, 8))
    array[...] = 5
    part = receive(*lender.lend(torch.from_numpy(array)[:1]))
    whole = receive(*lender.lend(torch.from_numpy(array)))
    again = receive(*lender.lend(torch.from_numpy(array)))
    assert len(lender) == 3
    whole[...] = 6
    assert (part.unique().tolist(), again.unique().tolist()) == ([5], [5])
