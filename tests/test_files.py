"""Files and folders that appear whole or not at all, and what a killed writer leaves."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from playground.files import folder_written_whole, sweep_leavings, write_json, write_text, written_whole

ROOT = Path(__file__).resolve().parents[1]


def test_a_file_is_replaced_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "plan.json"
    write_text(file, "first")
    with written_whole(file) as partial:
        partial.write_text("sec")
        assert file.read_text() == "first"
        partial.write_text("second")
    assert file.read_text() == "second" and list(file.parent.iterdir()) == [file]
    write_json(file, {"a": [1, "é"]}, indent=None)
    assert file.read_bytes() == b'{"a": [1, "\\u00e9"]}\n'


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    write_text(file, "old")
    with pytest.raises(KeyboardInterrupt), written_whole(file) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    for writer in (lambda path: save_file({"a": torch.zeros(2)}, path), lambda path: torch.save({"a": 1}, path)):
        with written_whole(tmp_path / "written") as partial:
            writer(partial)
        assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_what_a_killed_writer_left_goes_once_it_is_old(tmp_path: Path) -> None:
    file = tmp_path / "state[1].pt"
    old, young, others = (tmp_path / name for name in (f".{file.name}.1-a.partial", f".{file.name}.2-b.partial", "x"))
    for leftover in (old, young, others):
        leftover.write_text("half")
    for path in (old, others):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    write_text(file, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([file, young, others])


def test_what_a_killed_process_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    """A real process, killed while it writes: gone at once. One at work, and one of another machine, are let be."""
    place = tmp_path / "a" / "model"
    code = (
        "import sys, time; from pathlib import Path; from playground.files import folder_written_whole\n"
        f"with folder_written_whole(Path({str(place)!r}), lambda _: True) as partial:\n"
        "    (partial / 'weights').write_text('half'); print('ready', flush=True); time.sleep(600)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    sweep_leavings(tmp_path)
    (leftover,) = place.parent.iterdir()
    assert (leftover / "weights").exists()
    writer.kill()
    writer.wait()
    writer.stdout.close()
    others = leftover.with_name(leftover.name.replace(leftover.name.split(".")[-2].split("-")[0], "0" * 8))
    others.mkdir()
    sweep_leavings(tmp_path)
    assert list(place.parent.iterdir()) == [others]
    sweep_leavings(tmp_path / "none")


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    file, texts = tmp_path / "corpus.json", [str(number) * 200_000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(file, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() in texts and list(tmp_path.iterdir()) == [file]


def is_whole(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "base"
    (folder / "half").mkdir(parents=True)  # something died there before folders were written this way
    with pytest.raises(ZeroDivisionError), folder_written_whole(folder, is_whole) as partial:
        (partial / "config.json").write_text("{}")
        raise ZeroDivisionError
    assert list(folder.parent.iterdir()) == [folder]
    with folder_written_whole(folder, is_whole) as partial:
        (partial / "config.json").write_text("{}")
    assert [path.name for path in folder.iterdir()] == ["config.json"] and list(folder.parent.iterdir()) == [folder]


def test_the_faster_of_two_folders_stays(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    with folder_written_whole(folder, is_whole) as slow:
        (slow / "config.json").write_text("slow")
        with folder_written_whole(folder, is_whole) as fast:
            (fast / "config.json").write_text("fast")
    assert (folder / "config.json").read_text() == "fast" and list(tmp_path.iterdir()) == [folder]
