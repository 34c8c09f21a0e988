"""What checkpoints are worth on a labeled data set: probe, neighbors, retrieval and fine-tuning, compared in pairs.

`plan` says what is run, `videos` and `folds` on which videos, `cached` and `analysis.jobs` run it, `answers` reads what
it left, `table` and `conclusions` say what it comes to, and `run` does all of it and writes the page.
"""
