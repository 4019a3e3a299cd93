"""Modules that record what other frameworks do; each loads its framework when it is used.

lightning     FoundationsLogger for a PyTorch Lightning Trainer
keras         FoundationsCallback for model.fit
transformers  FoundationsCallback for a Hugging Face Trainer
xgboost       FoundationsCallback for xgboost.train
sklearn       functions that record estimators, searches and evaluations
tensorboard   what SummaryWriters write as scalars becomes metrics, too
"""
