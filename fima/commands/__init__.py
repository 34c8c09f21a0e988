"""The commands of ``fima``, one module each.

A module has ``add_arguments(parser)`` and ``run(args)``, or ``parse(arguments)`` where its flags are a typed
configuration. Only here does the core know argparse, and print.
"""
