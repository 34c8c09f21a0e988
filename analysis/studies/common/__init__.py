"""What every study shares: the one loop over videos, what is left, and where it came from."""
