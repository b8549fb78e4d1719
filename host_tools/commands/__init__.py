"""One module per verb or noun of the command line; imported only when its command is used."""
