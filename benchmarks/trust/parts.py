"""The parts of `make trust`: what each tries and with which tests or command. Knows nothing of how they are run."""

from __future__ import annotations

from dataclasses import dataclass

SECOND_BASE = "REDRAFTER_SECOND_BASE"
MT_BENCH = "REDRAFTER_MT_BENCH"


@dataclass(frozen=True)
class Part:
    """Tests that belong together; or, with `dtype`, the lanes of the default pair compared over MT-Bench."""

    name: str
    tries: str  # in words, for the report
    tests: tuple[str, ...] = ()
    dtype: str = ""
    needs: str = ""  # an environment variable; the part is skipped where it is not set

    @property
    def missing(self) -> str:
        """What to do where `needs` is not met."""
        return {
            "": "",
            SECOND_BASE: f"{SECOND_BASE} names no folder of a second base model (docs/your-own-model.md)",
            MT_BENCH: f"{MT_BENCH} names no file with MT-Bench's questions (question.jsonl)",
        }[self.needs]


PARTS = (
    Part("promises", "every promise of docs/security.md names tests that are there", ("tests/trust/test_promises.py",)),
    Part(
        "noise",
        "the noise of sampled picks: its bits are the documented hash, uniform, independent of their neighbours, and "
        "the same in PyTorch, Triton and C",
        ("tests/trust/test_noise.py", "tests/test_sampling.py"),
    ),
    Part(
        "distribution",
        "chi-square over triples of a vocabulary of 16, drafting lane, beams of 4 x 3, against transformers' own "
        "warpers in float64, at four sampling settings",
        ("tests/trust/test_distribution.py",),
    ),
    Part(
        "traces",
        "traces with records and bytes changed by chance, and by hand: each is refused with a sentence, or drawn and "
        "written again",
        ("tests/trust/test_fuzz_traces.py", "tests/export"),
    ),
    Part(
        "settings",
        "command lines, widget values and HTTP calls by chance: a sentence or a run, no traceback, no HTTP 500, "
        "nothing over 10 s",
        ("tests/trust/test_fuzz_settings.py", "tests/cli/test_hostile_arguments.py"),
    ),
    Part(
        "models",
        "configs, tokenizers and headers of weights changed by chance, and by hand: each loads or ends in a sentence, "
        "within 10 s of computing and 1 GiB",
        ("tests/trust/test_fuzz_models.py", "tests/sources", "tests/drafter"),
    ),
    Part(
        "page",
        "who may ask what of the page: hosts, origins, routes, bodies, frames, passwords; tabs and what they leave",
        ("tests/ui", "tests/e2e/test_foreign_page.py"),
    ),
    Part(
        "files",
        "what stands is not lost: full disks, kills, traces, conversion of the default model",
        ("tests/cli/test_lost_nothing.py", "tests/cli/test_interrupts.py", "tests/cli/test_traces.py",
         "tests/test_files.py"),
    ),
    Part(
        "faults",
        "a disk without room, and a kill, at every file that a training run puts in its place; afterwards the same "
        "command ends with the weights of an undisturbed run",
        ("tests/trust/test_faults.py",),
    ),
    Part(
        "interrupts",
        "Ctrl-C at six moments of a small training run: quick, nothing told as done is lost, the drafter is that of "
        "an unbroken run",
        ("tests/distill/test_interrupts.py",),
    ),
    Part(
        "decoding",
        "both lanes write the same text, and that of transformers' stock model run sequentially; Stop, threads, "
        "windows",
        ("tests/decode", "tests/test_threads.py", "tests/test_calibration.py"),
    ),
    Part(
        "trees",
        "a forward over a tree is the stock model's over each of its paths; what cannot run is refused",
        ("tests/base_model",),
    ),
    Part(
        "families",
        "tiny random models of every tested family: trees up to the last position of short windows, and drafting "
        "against transformers' generate, with a drafter right often enough for whole paths to be accepted",
        ("tests/trust/test_families.py",),
    ),
    Part(
        "family-training",
        "every family in every dtype of its engines: trained for, loaded, raced; training from the command line",
        ("tests/distill/test_families.py", "tests/cli/test_training.py"),
    ),
    Part(
        "stop",
        "Ctrl-C and the page's Stop with a prompt of 8,100 tokens of the default pair, both engines, in seconds "
        "of computing",
        ("tests/trust/test_stop.py",),
    ),
    Part(
        "busy",
        "two threads of the native engine beside three busy processes a core, against one thread",
        ("tests/trust/test_busy.py",),
    ),
    Part(
        "soak",
        "20 tabs of a real Chromium, ten runs in each, then closed: memory, threads, files and kept traces stay flat",
        ("tests/e2e/test_soak.py",),
    ),
    Part(
        "second-base",
        "a real base model that nobody prepared: no drafter, a training run stopped at ten moments and taken up again, "
        "evaluated, raced",
        ("tests/distill/test_second_base.py",),
        needs=SECOND_BASE,
    ),
    Part(
        "exactness-int8",
        "the default pair over MT-Bench's 80 first turns, up to 512 new tokens, greedy and at temperature 0.7: both "
        "lanes, token by token",
        dtype="int8",
        needs=MT_BENCH,
    ),
    Part(
        "exactness-float32",
        "the same in float32",
        dtype="float32",
        needs=MT_BENCH,
    ),
)  # fmt: skip
