"""The callback for Keras, with Keras on whatever backend there is."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

backend = next((name for name in ("torch", "jax", "tensorflow") if find_spec(name)), None)
if backend is None:
    pytest.skip("Keras needs torch, jax or tensorflow", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", backend)
pytestmark = pytest.mark.filterwarnings("ignore")
keras = pytest.importorskip("keras")

import numpy

from foundations.integrations.keras import FoundationsCallback

INPUTS = numpy.random.default_rng(1).normal(size=(64, 3)).astype("float32")
TARGETS = INPUTS.sum(axis=1, keepdims=True)


@pytest.fixture
def model():
    found = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    found.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    return found


def test_a_fit(job, points, model):
    callback = FoundationsCallback(every_batches=2)
    assert isinstance(callback, keras.callbacks.Callback)
    history = model.fit(
        INPUTS, TARGETS, batch_size=16, epochs=3, validation_split=0.25, verbose=0,
        callbacks=[callback],
    ).history  # fmt: skip
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert [step for step, _ in points(name)] == [0, 1, 2]
        assert [value for _, value in points(name)] == pytest.approx(history[name])
    assert [step for step, _ in points("batch_loss")] == [2, 4, 6, 8]
    params = job.params()
    assert (params["epochs"], params["optimizer_name"].lower()) == (3, "sgd")
    assert params["optimizer_learning_rate"] == pytest.approx(0.05)
    assert points("test_loss") == []


def test_an_evaluation(job, points, model):
    loss, mae = model.evaluate(INPUTS, TARGETS, verbose=0, callbacks=[FoundationsCallback()])
    assert points("test_loss") == [(None, pytest.approx(loss))]
    assert points("test_mae") == [(None, pytest.approx(mae))]
