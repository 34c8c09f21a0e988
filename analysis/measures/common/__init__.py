"""What several measures share: statistics, chance levels, numbers as text."""
