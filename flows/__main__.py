"""`python -m flows`: the command line `coronet`, where its script is not on the path."""

from flows.cli.command_line import app

app(prog_name="coronet")
