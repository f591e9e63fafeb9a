"""Two processes train one drafter, and go on as the main one of them decides."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from playground.config import BeamShape
from playground.distill.training.loop import Recent, read_log, train
from playground.distill.training.options import TrainOptions
from playground.drafter.file import load_drafter, save_drafter
from tests.distill.small import training
from tests.ports import free_port

PLANNED, DECIDED_AT, DECIDED = 12, 4, 7
OPTIONS = TrainOptions(
    steps=PLANNED, learning_rate=3e-3, warmup_steps=2, checkpoint_every=100, shapes=(BeamShape(2, 2),)
)


def one_of_two(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}

    def decide(step: int, options: TrainOptions, _recent: Recent) -> TrainOptions:
        assert rank == 0, "the other one was asked"
        return options.of_length(DECIDED, step) if step == DECIDED_AT else options

    own, steps = training(folder / f"given {rank}"), list[int]()
    drafter, source, objective = own.assemble()
    train(
        drafter, source, own.corpus, objective, OPTIONS, folder / f"run {rank}",
        lambda now: steps.append(now.step), revise=decide,
    )  # fmt: skip
    assert steps == list(range(1, DECIDED + 1)), steps
    save_drafter(drafter, folder / f"drafter {rank}")


def test_the_main_process_decides_on_the_length(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(one_of_two, (tmp_path, free_port()), nprocs=2, start_method="spawn")
    one, other = (load_drafter(tmp_path / f"drafter {rank}").state_dict() for rank in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [entry["step"] for entry in read_log(tmp_path / "run 0")] == [DECIDED]
    assert not read_log(tmp_path / "run 1"), "one of them writes"

    shorter = OPTIONS.of_length(DECIDED, DECIDED_AT)
    assert shorter.steps == DECIDED and shorter.rate(DECIDED - 1) < OPTIONS.rate(DECIDED - 1)
