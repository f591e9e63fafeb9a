"""Record -> info -> picture: what the screen shows, as plain values.

Pure functions of the trace's records. No torch, no tokenizer, no Gradio: the infos are what the tests check,
and the pictures (compact JSON for the page's own drawing code) follow from them without further thought.
"""
