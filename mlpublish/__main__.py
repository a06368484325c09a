"""``python -m mlpublish``."""

from mlpublish.cli.main import main

main()
