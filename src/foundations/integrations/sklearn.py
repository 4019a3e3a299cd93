"""scikit-learn: functions that record what estimators are, and what came of them.

from foundations.integrations.sklearn import log_estimator, log_evaluation, log_search
"""

from __future__ import annotations

from foundations import tracking
from foundations.integrations.settings import recordable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping


def log_estimator(estimator: Any, prefix: str = "") -> None:
    """Record an estimator's class and parameters, those of its parts too, as parameters."""
    found = {"estimator": type(estimator).__name__}
    for name, value in estimator.get_params(deep=True).items():
        found[name] = type(value).__name__ if hasattr(value, "get_params") else value
    tracking.log_params(recordable({prefix + name: value for name, value in found.items()}))


def log_evaluation(estimator: Any, inputs: Any, targets: Any, prefix: str = "") -> None:
    """Record how well a fitted estimator does on data.

    A classifier's accuracy, balanced accuracy, and precision, recall and F1 averaged over the
    classes by their size, and its log loss where it tells probabilities; a regressor's r2, mean
    absolute error and root mean squared error; of anything else its own score.
    """
    from importlib import import_module

    base = import_module("sklearn.base")
    if base.is_classifier(estimator):
        found = _of_classifier(estimator, inputs, targets)
    elif base.is_regressor(estimator):
        found = _of_regressor(estimator, inputs, targets)
    else:
        found = {"score": estimator.score(inputs, targets)}
    tracking.log_metrics({prefix + name: float(value) for name, value in found.items()})


def log_cross_validation(scores: Mapping[str, Any], prefix: str = "") -> None:
    """Record what `cross_validate` returns: each fold at its number, the mean and the deviation."""
    for name, values in scores.items():
        if name in ("estimator", "indices"):
            continue
        numbers = [float(value) for value in values]
        mean = sum(numbers) / len(numbers)
        deviation = (sum((number - mean) ** 2 for number in numbers) / len(numbers)) ** 0.5
        for fold, number in enumerate(numbers):
            tracking.log_metric(prefix + name, number, step=fold)
        tracking.log_metrics(
            {prefix + name + "_mean": mean, prefix + name + "_deviation": deviation}
        )


def log_search(search: Any, prefix: str = "") -> None:
    """Record a fitted GridSearchCV, RandomizedSearchCV or the like.

    The best parameters become parameters `best_NAME`, the best score the metric `best_score`, and
    the mean test score of each candidate a point of the metric `mean_test_score`; the table of all
    of them is the artifact `search_results`.
    """
    best = {prefix + "best_" + name: value for name, value in search.best_params_.items()}
    tracking.log_params(recordable(best))
    tracking.log_metric(prefix + "best_score", float(search.best_score_))
    for number, score in enumerate(search.cv_results_["mean_test_score"]):
        tracking.log_metric(prefix + "mean_test_score", float(score), step=number)
    _save_table(search.cv_results_, prefix + "search_results")


def _of_classifier(estimator: Any, inputs: Any, targets: Any) -> Dict[str, Any]:
    from importlib import import_module

    metrics = import_module("sklearn.metrics")
    predicted = estimator.predict(inputs)
    weighted = {"average": "weighted", "zero_division": 0}
    found = {
        "accuracy": metrics.accuracy_score(targets, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(targets, predicted),
        "precision": metrics.precision_score(targets, predicted, **weighted),
        "recall": metrics.recall_score(targets, predicted, **weighted),
        "f1": metrics.f1_score(targets, predicted, **weighted),
    }
    if hasattr(estimator, "predict_proba"):
        likely = estimator.predict_proba(inputs)
        found["log_loss"] = metrics.log_loss(targets, likely, labels=estimator.classes_)
    return found


def _of_regressor(estimator: Any, inputs: Any, targets: Any) -> Dict[str, Any]:
    from importlib import import_module

    metrics = import_module("sklearn.metrics")
    predicted = estimator.predict(inputs)
    return {
        "r2": metrics.r2_score(targets, predicted),
        "mean_absolute_error": metrics.mean_absolute_error(targets, predicted),
        "root_mean_squared_error": metrics.mean_squared_error(targets, predicted) ** 0.5,
    }


def _save_table(columns: Mapping[str, Any], key: str) -> None:
    import csv
    import os
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = os.path.join(folder, key + ".csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values()))
        tracking.save_artifact(path, key)
