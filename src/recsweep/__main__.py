"""`python -m recsweep`."""

from recsweep.cli import main

main()
