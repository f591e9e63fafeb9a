"""The left rail: prompt, presets, beam shape, sampling, Run and Stop, the pair. Widgets only, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from playground.config import MAX_BEAM_LENGTH, MAX_BEAM_WIDTH, MAX_SEED, BeamShape, nodes_name
from playground.ui.presets import PRESETS

BUDGETS = [
    ("auto: as many as pay", "auto"),
    *[(str(count), str(count)) for count in (4, 8, 12, 16, 24, 32, 48, 64)],
    ("beams: all that survive", "beams"),
]


@dataclass(frozen=True)
class Controls:
    """The rail's widgets; `settings` lists those of `settings.Widgets`, in its order."""

    prompt: gr.Textbox
    presets: tuple[gr.Button, ...]
    run: gr.Button
    stop: gr.Button
    follow: gr.Button
    width: gr.Slider
    length: gr.Slider
    nodes: gr.Dropdown
    new_tokens: gr.Slider
    race: gr.Checkbox
    temperature: gr.Slider
    top_p: gr.Slider
    top_k: gr.Number
    seed: gr.Number
    chat_template: gr.Checkbox
    system: gr.Textbox
    base: gr.Textbox
    drafter: gr.Textbox
    device: gr.Textbox
    dtype: gr.Dropdown
    device_map: gr.Textbox
    load: gr.Button
    command_box: gr.Accordion
    command: gr.Textbox
    copy: gr.Button

    @property
    def settings(self) -> list[gr.components.Component]:
        return [
            self.prompt, self.width, self.length, self.nodes, self.new_tokens, self.temperature, self.top_p, self.top_k,
            self.seed, self.race, self.chat_template, self.system,
        ]  # fmt: skip

    @property
    def kept(self) -> list[gr.components.Component]:
        """Settings that go into the page's address: all but what people wrote."""
        return [widget for widget in self.settings if widget not in (self.prompt, self.system)]


def build_controls() -> Controls:
    """Make the rail inside the current column: what one runs, then the settings (folded in a narrow window)."""
    prompt = gr.Textbox(
        label="Prompt", value=PRESETS[0].prompt, lines=3, max_lines=12, elem_id="rp-prompt", placeholder="Ask anything"
    )
    with gr.Row(elem_classes="rp-presets"):
        presets = tuple(gr.Button(preset.name, size="sm", min_width=40, elem_classes="rp-preset") for preset in PRESETS)
    with gr.Row(elem_classes="rp-go"):
        run = gr.Button("Run", variant="primary", elem_id="rp-run", min_width=80)
        stop = gr.Button("Stop", variant="stop", elem_id="rp-stop", min_width=60)
        follow = gr.Button("Follow up", elem_id="rp-follow", min_width=80)
    with gr.Column(elem_id="rp-settings", min_width=0):
        own = "0: what pays best on this machine"
        with gr.Group(elem_classes="rp-group"):
            width = gr.Slider(0, MAX_BEAM_WIDTH, value=0, step=1, label="Beam width", info=own, elem_id="rp-width")
            length = gr.Slider(0, MAX_BEAM_LENGTH, value=0, step=1, label="Beam length", info=own, elem_id="rp-length")
            nodes = gr.Dropdown(
                BUDGETS,
                value=nodes_name(BeamShape().nodes),
                label="Nodes to verify",
                allow_custom_value=True,
                elem_id="rp-nodes",
            )
            new_tokens = gr.Slider(1, 1024, value=128, step=1, label="New tokens", elem_id="rp-tokens")
            race = gr.Checkbox(True, label="Race plain decoding", elem_id="rp-race")
        with gr.Accordion("Sampling", open=False, elem_id="rp-sampling"):
            temperature = gr.Slider(0, 2, value=0, step=0.05, label="Temperature", info="0 is greedy")
            top_p = gr.Slider(0.05, 1, value=1, step=0.05, label="Top-p")
            top_k = gr.Number(0, precision=0, minimum=0, label="Top-k", info="0 keeps all")
            seed = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, label="Seed")
        with gr.Accordion("Chat", open=False, elem_id="rp-chat"):
            chat_template = gr.Checkbox(True, label="Chat template")
            system = gr.Textbox(label="System prompt", lines=2, placeholder="None")
        with gr.Accordion("Models", open=False, elem_id="rp-models"):
            base = gr.Textbox(label="Base model", placeholder="Default, or hub id, or folder")
            drafter = gr.Textbox(label="Drafter", placeholder="Default, or folder")
            device = gr.Textbox(label="Device", placeholder="auto")
            dtype = gr.Dropdown(["auto", "int8", "float32", "bfloat16", "float16"], value="auto", label="Dtype")
            device_map = gr.Textbox(
                label="Device map", placeholder="none", info="auto spreads a large model; none: one device"
            )
            load = gr.Button("Load", elem_id="rp-load")
        with gr.Accordion("Command line", open=False, elem_id="rp-command") as command_box:
            command = gr.Textbox(
                label="The same run from a terminal",
                lines=3,
                interactive=False,
                buttons=["copy"],
                elem_id="rp-command-text",
            )
            copy = gr.Button("Copy as command line", size="sm", elem_id="rp-copy")
    return Controls(
        prompt, presets, run, stop, follow, width, length, nodes, new_tokens, race, temperature, top_p, top_k, seed,
        chat_template, system, base, drafter, device, dtype, device_map, load, command_box, command, copy,
    )  # fmt: skip
