"""The retrieval gallery: queries with their nearest training videos, and what the features that found them live on."""
