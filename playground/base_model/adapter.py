"""A stock transformers causal language model, run over token trees on a cache of our own.

The model's own modules do the computing; ours are the attention function, the cache and what runs around them.
Does not know tokenizers, beams, drafters or which nodes get accepted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from playground.base_model.attention import TreeAttention, TreeFrame, register, unregister
from playground.base_model.cache import KVCache, bytes_per_slot
from playground.base_model.description import decoder_layers, eos_ids, model_info
from playground.base_model.exact import require_exact
from playground.base_model.full_precision import can_widen, in_float32
from playground.base_model.fused import fuse
from playground.base_model.output_head import OutputHead, read_output_head, select_rows
from playground.base_model.packed import linears_called, pack
from playground.base_model.placement import device_of, put_aside, weights_at_hand
from playground.base_model.probe import probe, set_attention
from playground.base_model.refusals import refuse_by_flags
from playground.base_model.self_check import TEXT, branch_logits, check_again, check_tokens, self_check
from playground.base_model.stock import load_transformers_model
from playground.base_model.types import BaseOutput
from playground.config import DeviceMap, PlaygroundError
from playground.memory import explain_out_of_memory
from playground.progress import Report, silent
from playground.sources.catalogue import resolve_base
from playground.sources.tokenizer import Tokenizer
from playground.trace import ModelInfo

if TYPE_CHECKING:
    from kernels import KernelSet

_HEAD_ROWS_CHECKED = 1024
_WORKING_ROWS = 3  # copies of a node's logits alive at once: the model's, their fp32 form, its log-softmax
PREFILL_CHUNK = 512  # rows a forward of the prompt takes at once: bounds its N x S mask


class BaseModel:
    """A base model ready to verify trees. Made by `load` or `from_model`."""

    def __init__(self, model: Any, name: str, kernels: KernelSet, check_ids: list[int] | None = None) -> None:
        config = model.config.get_text_config()
        self.name = name
        self.kernels = kernels
        self.config = config
        self.hidden_size: int = config.hidden_size
        self.eos_ids = eos_ids(model)
        self.taps: tuple[int, ...] = ()
        self._model = model
        self._own_attention = str(model.config._attn_implementation or "sdpa")
        self._embedding = model.get_input_embeddings()
        head = model.get_output_embeddings()
        self.vocab_size: int = head.weight.shape[0]
        self.dtype: torch.dtype = head.weight.dtype
        self.device = device_of(self._embedding)
        self.put_aside = put_aside(model)
        self._info = model_info(model, name, self.vocab_size)
        self.window = self._info.window
        config.pad_token_id = None  # some families would look for padding in the ids, with a host synchronisation
        found = probe(model, config.num_hidden_layers, self.window)
        self.shapes = found.shapes
        self._attention = TreeAttention(kernels)
        self._attention.windows = found.windows
        register(self._attention.name, self._attention)
        self._unregister = weakref.finalize(self, unregister, self._attention.name)
        tokens, stock = (
            check_tokens(check_ids, self.vocab_size, self.device),
            _stock_logits(model, self._attention.name),
        )
        with linears_called(model) as linears:
            expected = branch_logits(stock, tokens)
        self._caught: dict[int, torch.Tensor] = {}  # hidden under 0, taps under their layer
        head.register_forward_pre_hook(_catch_input(self._caught))
        self._tap_hooks: list[torch.utils.hooks.RemovableHandle] = []
        error = self_check(self, tokens, expected, stock, self._widened() if can_widen(model) else None)
        self.fused = fuse(model, self._attention, kernels)
        shared = {self._embedding.weight.data_ptr(), head.weight.data_ptr()}
        # What is fused stays: exact mode has linear layers of its own, in the interpreter too.
        self.packed = 0 if kernels.fuses else pack(linears, shared, release=True)
        check_again(self, tokens, expected, error)
        if kernels.exact:
            require_exact(self, tokens)
        self._head_is_known = self._check_head(tokens)

    @classmethod
    def from_model(
        cls, model: Any, *, kernels: KernelSet, name: str = "in-memory model", check_ids: list[int] | None = None
    ) -> BaseModel:
        """Wrap a transformers model that is already in memory; its attention is replaced in place.

        Args:
            check_ids: ids of real text for the check at load, ten or more; None takes ids of no meaning.

        Raises:
            PlaygroundError: the family cannot run here, with the reason.
        """
        refuse_by_flags(model)
        return cls(model.eval().requires_grad_(False), name, kernels, check_ids)

    @classmethod
    def load(
        cls,
        source: str | Path | None,
        *,
        device: torch.device,
        dtype: torch.dtype,
        kernels: KernelSet,
        progress: Report = silent,
        device_map: DeviceMap | None = None,
    ) -> BaseModel:
        """Load from a local folder of safetensors or a hub id; None is the default base model.

        Args:
            progress: called with a share done, 0..1, and a message.
            device_map: as transformers and accelerate take it; then the embedding's device is the base model's.

        Raises:
            PlaygroundError: nothing usable is there, it does not fit into memory, or its family cannot run here.
        """
        found = resolve_base(source, progress)
        progress(0.0, f"Loading {found.name}")
        model = load_transformers_model(found, device=device, dtype=dtype, device_map=device_map)
        progress(0.9, f"Checking {found.name} against a tree")
        base = cls.from_model(model, kernels=kernels, name=found.name, check_ids=_ids_of_text(found.path))
        progress(1.0, f"{found.name} is loaded")
        return base

    def info(self) -> ModelInfo:
        """The model as traces and cards name it."""
        return self._info

    @contextmanager
    def stock(self) -> Iterator[Any]:
        """The transformers model with its own attention, for batches of whole rows; no tree can run meanwhile."""
        set_attention(self._model, self._own_attention)
        try:
            yield self._model
        finally:
            set_attention(self._model, self._attention.name)
            self._caught.clear()

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """All devices the model computes on, its own first."""
        return tuple(dict.fromkeys((self.device, *(shape.device for shape in self.shapes))))

    def slot_bytes(self, device: torch.device) -> int:
        """Bytes on `device` of one cached token, all layers there."""
        return bytes_per_slot([shape for shape in self.shapes if shape.device == device], self.dtype)

    def node_bytes(self, device: torch.device) -> int:
        """Bytes of one tree node in a forward, beyond its cache row: logits and hidden states, on our own device."""
        logits = self.vocab_size * (self.dtype.itemsize + 4 * (_WORKING_ROWS - 1))
        return logits + 16 * self.context_size * 4 if device == self.device else 0

    @property
    def context_size(self) -> int:
        """Width of `BaseOutput.hidden`, H * (1 + taps)."""
        return self.hidden_size * (1 + len(self.taps))

    @contextmanager
    def _widened(self) -> Iterator[None]:
        """Forwards inside compute in float32, caches included."""
        half = self.dtype
        self.dtype = torch.float32
        try:
            with in_float32(self._model):
                yield
        finally:
            self.dtype = half

    def set_taps(self, layers: tuple[int, ...]) -> None:
        """Append the residual stream after these decoder layers (1-based) to every hidden state."""
        modules = decoder_layers(self._model, len(self.shapes))
        for layer in layers:
            if not 1 <= layer <= len(modules):
                raise PlaygroundError(
                    f"The drafter wants the state after layer {layer}, but {self.name} has {len(modules)} layers. "
                    "Choose a drafter trained for this base model."
                )
        for hook in self._tap_hooks:
            hook.remove()
        self._tap_hooks = [
            modules[layer - 1].register_forward_hook(_catch_output(self._caught, layer)) for layer in layers
        ]
        self.taps = tuple(layers)

    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache for `capacity` tokens, tree nodes included."""
        return KVCache(self.shapes, capacity, self.dtype, self.kernels)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Output of the model's own input embedding, [..., H]."""
        embedded: torch.Tensor = self._embedding(tokens)
        return embedded

    def output_rows(self, ids: torch.Tensor | None = None) -> OutputHead:
        """The output head restricted to vocabulary entries `ids` [V'] (all of them if None), scale and cap included."""
        if not self._head_is_known:
            raise PlaygroundError(
                f"{self.name} (family {self._info.family!r}) scales its logits in a way that is not known here, so a "
                "drafter cannot share its output head. Choose a drafter with a head of its own."
            )
        return self._output_rows(ids)

    def token_logits(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Logits [B] of one token each, `ids` [B], of hidden states [B, H] as they enter the output head."""
        head = self._model.get_output_embeddings()
        with weights_at_hand(head):
            return read_output_head(self.config, head).of_tokens(hidden, ids)

    def _output_rows(self, ids: torch.Tensor | None = None) -> OutputHead:
        """Rows of the head on the base model's own device, wherever the head stands."""
        head = self._model.get_output_embeddings()
        with weights_at_hand(head):
            whole = read_output_head(self.config, head)
            return (whole if ids is None else select_rows(whole, ids)).to(self.device)

    def forward(self, tokens: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: KVCache) -> BaseOutput:
        """One forward over a tree of N nodes at positions committed + depth; commits nothing.

        Args:
            tokens: [N] int64. depth: [N] int64, 0 for the root. ancestors: [N, N] bool, row i what node i sees.
        """
        return self._run(tokens, TreeFrame.of(cache, depth, ancestors), 0)

    def prefill(self, tokens: torch.Tensor, cache: KVCache) -> BaseOutput:
        """Read a prompt [n] into the cache, in chunks, and commit it; logits and hidden of its last token, [1, ...]."""
        if tokens.shape[0] == 0:
            raise PlaygroundError("The prompt is empty. Type at least one character, or choose a preset.")
        output: BaseOutput | None = None
        for chunk in tokens.split(PREFILL_CHUNK):
            output = self._run(chunk, _chain(chunk.shape[0], cache, chunk.device), 1)
            cache.extend(chunk.shape[0])
        assert output is not None
        return output

    def _run(self, tokens: torch.Tensor, frame: TreeFrame, keep: int) -> BaseOutput:
        nodes = tokens.shape[0]
        frame.cache.require(nodes)
        self._require_window(frame)
        self._attention.frame = frame
        remedy = "Choose a smaller beam shape, fewer new tokens or a shorter prompt"
        try:
            with torch.inference_mode(), explain_out_of_memory(f"a forward over {nodes} tokens", None, remedy):
                logits = self._model(
                    input_ids=tokens[None],
                    position_ids=frame.positions[None],
                    past_key_values=None,
                    use_cache=False,
                    logits_to_keep=keep,
                ).logits[0]
                hidden = self._take_hidden(logits.shape[0])
                return BaseOutput(logits.to(self.device), hidden.to(self.device))
        finally:
            self._attention.frame = None
            self._caught.clear()

    def _check_head(self, tokens: torch.Tensor) -> bool:
        """Whether our reading of the output head gives the stock logits from the hidden states that enter it."""
        output = self.prefill(tokens, self.new_cache(len(tokens)))
        some = torch.arange(0, self.vocab_size, max(1, self.vocab_size // _HEAD_ROWS_CHECKED), device=self.device)
        expected = output.logits[:, some]
        with torch.inference_mode():
            got = self._output_rows(some)(output.hidden).to(expected)
        error = float((got.double() - expected.double()).abs().max() / output.logits.double().std())
        return error <= (1e-3 if self.dtype.itemsize >= 4 else 0.1)

    def _require_window(self, frame: TreeFrame) -> None:
        """Refuse positions beyond the model's window; on CUDA only the root's is known without asking the device."""
        last = frame.cache.committed + (0 if frame.depth.is_cuda else int(frame.depth.max()))
        if last >= self.window:
            raise PlaygroundError(
                f"The text would reach position {last + 1}, but {self.name} has a window of {self.window} tokens. "
                "Choose a shorter prompt or fewer new tokens."
            )

    def _take_hidden(self, rows: int) -> torch.Tensor:
        """Hidden and taps of the last `rows` nodes, [rows, H * (1 + taps)]."""
        hidden = self._caught[0][0, -rows:]
        if not self.taps:
            return hidden
        parts = [hidden] + [self._caught[layer][0, -rows:].to(hidden.device) for layer in self.taps]
        return torch.cat(parts, dim=-1)


def _stock_logits(model: Any, ours: str) -> Callable[[torch.Tensor, str], torch.Tensor]:
    """The untouched modules over a whole text [n], with an attention implementation of transformers: logits [n, V].

    Args:
        ours: the attention that the model is left with.
    """

    def logits(tokens: torch.Tensor, attention: str) -> torch.Tensor:
        set_attention(model, attention)
        try:
            with torch.inference_mode():
                found: torch.Tensor = model(input_ids=tokens[None], use_cache=False).logits[0]
        finally:
            set_attention(model, ours)
        return found

    return logits


def _ids_of_text(folder: Path) -> list[int] | None:
    """A sentence in the model's own tokens, begun as its tokenizer begins every text; None without a tokenizer."""
    try:
        return Tokenizer.load(folder).encode_text(TEXT)
    except PlaygroundError:
        return None


def _chain(nodes: int, cache: KVCache, device: torch.device) -> TreeFrame:
    """A tree that is a chain: every node sees those before it."""
    ancestors = torch.ones(nodes, nodes, dtype=torch.bool, device=device).tril_()
    return TreeFrame.of(cache, torch.arange(nodes, device=device), ancestors)


def _catch_input(caught: dict[int, torch.Tensor]) -> Callable[..., None]:
    def hook(_module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        caught[0] = arguments[0]

    return hook


def _catch_output(caught: dict[int, torch.Tensor], layer: int) -> Callable[..., None]:
    def hook(_module: torch.nn.Module, _arguments: Any, output: Any) -> None:
        caught[layer] = output[0] if isinstance(output, tuple) else output

    return hook
