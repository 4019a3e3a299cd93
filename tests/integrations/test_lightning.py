"""The logger for PyTorch Lightning, with Lightning."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")

from foundations.integrations.lightning import FoundationsLogger

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning, on how fast it could be


class Line(lightning.LightningModule):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters({"rate": rate, "act": torch.nn.ReLU, "deep": {"a": [1, None]}})
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, number):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, number):
        self.log("val_loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.rate)


def test_a_training(job, points, tmp_path):
    inputs = torch.linspace(0, 1, 32).reshape(-1, 1)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, 2 * inputs), 8)
    logger = FoundationsLogger(prefix="p_", checkpoints=True)
    assert isinstance(logger, lightning.pytorch.loggers.logger.Logger)
    assert (logger.name, logger.version) == ("vision", "a1b2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=3, logger=logger, log_every_n_steps=2, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(Line(), data, data)
    assert [step for step, _ in points("p_loss_step")] == [1, 3, 5, 7, 9, 11]
    assert [step for step, _ in points("p_val_loss")] == [3, 7, 11]
    assert points("p_epoch")[-1][1] == 2
    assert job.params() == {"rate": 0.1, "act": "ReLU", "deep_a_0": 1, "deep_a_1": None}
    (artifact,) = job.events("artifact")
    assert artifact["key"] == "checkpoint"
    kept = torch.load(job.artifacts_dir / artifact["staged"], weights_only=False)
    assert kept["epoch"] == 2
