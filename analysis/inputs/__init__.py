"""What studies read: checkpoints, videos, clips, features, masks."""
