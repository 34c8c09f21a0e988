"""Frames by index from anything that holds a video: a file, a folder of pictures, a part of one, a drawn world."""
