"""What pages share, and the pages that are no comparison: the explorer, the embedding."""
