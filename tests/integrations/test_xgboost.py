"""The callback for XGBoost, with XGBoost."""

from __future__ import annotations

import json

import pytest

xgboost = pytest.importorskip("xgboost")

import numpy

from foundations.integrations.xgboost import FoundationsCallback

PARAMS = {"max_depth": 2, "eval_metric": ["rmse", "mae"], "nthread": 1}


@pytest.fixture(scope="module")
def data():
    chance = numpy.random.default_rng(3)
    inputs = chance.normal(size=(200, 4))
    return inputs, inputs[:, 0] + chance.normal(size=200)


def test_a_training(job, points, data):
    train = xgboost.DMatrix(data[0][:150], data[1][:150])
    test = xgboost.DMatrix(data[0][150:], data[1][150:])
    result: dict = {}
    booster = xgboost.train(
        PARAMS, train, 50, evals=[(train, "train"), (test, "test")], evals_result=result,
        early_stopping_rounds=2, verbose_eval=False, callbacks=[FoundationsCallback(model=True)],
    )  # fmt: skip
    for name in ("rmse", "mae"):
        assert points("test_" + name) == list(enumerate(result["test"][name]))
    assert points("best_iteration") == [(None, booster.best_iteration)]
    assert points("best_score")[0][1] == pytest.approx(booster.best_score)
    (artifact,) = job.events("artifact")
    model = json.loads((job.artifacts_dir / artifact["staged"]).read_text())
    assert (artifact["key"], "learner" in model) == ("model", True)


def test_an_estimator(job, points, data):
    model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1, callbacks=[FoundationsCallback()])
    model.fit(*data, eval_set=[data], verbose=False)
    assert [step for step, _ in points("validation_0_rmse")] == [0, 1, 2]


def test_a_cross_validation(job, points, data):
    found = xgboost.cv(
        PARAMS, xgboost.DMatrix(*data), 3, nfold=3, seed=1, callbacks=[FoundationsCallback()]
    )
    means = [value for _, value in points("test_rmse")]
    assert means == pytest.approx(list(found["test-rmse-mean"]))
