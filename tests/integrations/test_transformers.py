"""The callback for the trainer of Hugging Face, with the trainer."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from foundations.integrations.transformers import FoundationsCallback

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_training(job, points, tmp_path):
    config = transformers.GPT2Config(
        vocab_size=17, n_positions=8, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0
    )
    tokens = torch.randint(0, 17, (16, 8), generator=torch.Generator().manual_seed(1))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=4, logging_steps=2, per_device_train_batch_size=4,
        eval_strategy="steps", eval_steps=4, report_to=[], use_cpu=True, save_strategy="no",
        disable_tqdm=True, learning_rate=0.01,
    )  # fmt: skip
    callback = FoundationsCallback(model=True)
    assert isinstance(callback, transformers.TrainerCallback)
    trainer = transformers.Trainer(
        transformers.GPT2LMHeadModel(config), arguments, train_dataset=data, eval_dataset=data,
        callbacks=[callback],
    )  # fmt: skip
    trainer.train()
    assert [step for step, _ in points("loss")] == [2, 4]
    assert [step for step, _ in points("eval_loss")] == [4]
    assert [step for step, _ in points("train_loss")] == [4]
    params = job.params()
    assert (params["learning_rate"], params["max_steps"]) == (0.01, 4)
    (artifact,) = job.events("artifact")
    names = sorted(path.name for path in (job.artifacts_dir / artifact["staged"]).iterdir())
    assert {"config.json", "model.safetensors"} <= set(names)
