"""What several figures share: style, fonts, frames, films."""
