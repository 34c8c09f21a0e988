"""Figures drawn from the arrays of a study; axes-level functions take axes and return them.

Nothing here touches pyplot or global settings: figures are made inside ``style.printed()`` and returned.
"""
