"""`python -m allfocus` is the command line."""

from allfocus.cli.main import main

main()
