"""Every published or own setting by task and name: ``<task>/<name>.yaml``, with its source and notes."""
