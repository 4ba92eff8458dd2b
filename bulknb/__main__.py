"""``python -m bulknb`` is the command ``bulknb``."""

from .cli import main

main()
