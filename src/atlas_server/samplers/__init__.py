"""Choose the trials of searches: by themselves, or with Optuna."""
