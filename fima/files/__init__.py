"""Files of results and of strangers: written whole or not at all, claimed by one run, read within limits."""
