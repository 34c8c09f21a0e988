"""Every published or own setting by task and name, with its source."""
