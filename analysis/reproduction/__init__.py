"""A miniature of the FIMA paper's comparison on moving shapes: train all methods alike, then measure what they learnt.

Every step leaves a file, so that an interrupted reproduction goes on where it was.
"""
