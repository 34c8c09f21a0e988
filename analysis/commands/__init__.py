"""The commands of ``fima-analyze``: modules with ``SUMMARY``, ``add_arguments(parser)`` and ``run(args) -> exit code``.

What is slow to import, a module imports in ``run``.
"""
