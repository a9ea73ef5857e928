"""``python -m brianlearn`` is ``brianlearn``."""

from brianlearn.cli import app

app(prog_name="brianlearn")
