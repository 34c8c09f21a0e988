"""Fine-tuning and linear probes: settings, data, training, the multi-clip test, and what they leave."""
