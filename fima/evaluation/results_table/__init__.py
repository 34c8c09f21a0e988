"""Results of several checkpoints in one table: read (`collect`), put together (`layout`), written (`render`)."""
