"""The functions for scikit-learn, with scikit-learn."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("sklearn")

from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foundations.integrations.sklearn import (
    log_cross_validation,
    log_estimator,
    log_evaluation,
    log_search,
)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_an_estimator_with_parts(job):
    log_estimator(make_pipeline(StandardScaler(), LogisticRegression(C=0.5)))
    params = job.params()
    assert params["estimator"] == "Pipeline"
    assert params["logisticregression"] == "LogisticRegression"
    assert params["logisticregression__C"] == 0.5
    assert params["standardscaler__with_mean"] is True


def test_a_classifier(job, points, iris):
    model = LogisticRegression(max_iter=500).fit(*iris)
    log_evaluation(model, *iris, prefix="train_")
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1"):
        ((step, value),) = points("train_" + name)
        assert step is None
        assert 0.9 < value <= 1
    assert 0 < points("train_log_loss")[0][1] < 0.5


def test_a_regressor_and_something_else(job, points, iris):
    log_evaluation(Ridge().fit(*iris), *iris)
    assert 0.8 < points("r2")[0][1] < 1
    assert 0 < points("mean_absolute_error")[0][1] <= points("root_mean_squared_error")[0][1] < 0.5
    log_evaluation(KMeans(2, n_init=1).fit(iris[0]), *iris)
    assert points("score")[0][1] < 0


def test_a_cross_validation(job, points, iris):
    scores = cross_validate(LogisticRegression(max_iter=500), *iris, return_estimator=True)
    log_cross_validation(scores)
    folds = points("test_score")
    assert [step for step, _ in folds] == [0, 1, 2, 3, 4]
    assert points("test_score_mean")[0][1] == pytest.approx(scores["test_score"].mean())
    assert points("test_score_deviation")[0][1] == pytest.approx(scores["test_score"].std())
    assert points("estimator") == []


def test_a_search(job, points, iris):
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.01, 1.0, 10.0]}).fit(*iris)
    log_search(search)
    assert job.params() == {"best_C": search.best_params_["C"]}
    assert points("best_score") == [(None, search.best_score_)]
    assert [step for step, _ in points("mean_test_score")] == [0, 1, 2]
    (artifact,) = job.events("artifact")
    assert artifact["key"] == "search_results"
    with open(job.artifacts_dir / artifact["staged"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["param_C"]) for row in rows] == [0.01, 1.0, 10.0]
