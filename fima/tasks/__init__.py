"""What is trained: `pretrain` (methods), `classify` (fine-tuning, linear probes), `detect` (AVA)."""
