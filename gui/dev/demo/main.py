"""Pretends to train an image classifier: curves, images, tables and logs as real jobs make them.

What it takes to look at the GUI, in the time of a test: standard library alone.
"""

import json
import math
import random
import struct
import sys
import time
import wave
import zlib
from pathlib import Path

from report import write_report

import foundations

PARAMS = foundations.load_parameters()
EPOCHS = int(PARAMS.get("epochs", 30))
PAUSE = float(PARAMS.get("pause", 0))
LEARNING_RATE = float(PARAMS.get("optimizer_learning_rate", 0.01))
random.seed(json.dumps(PARAMS, sort_keys=True))

GREEN, YELLOW, RED, DIM, BOLD, PLAIN = (
    f"\033[{code}m" for code in ("32", "33", "31", "2", "1", "0")
)


def png(path, width, height, pixel):
    """Write an RGB picture; `pixel(x, y)` gives each colour."""
    rows = b"".join(
        b"\0" + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height)
    )

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def sample_picture(epoch, share):
    """A picture that gets clearer as training goes on."""
    noise = random.Random(epoch)
    path = Path("samples.png")

    def pixel(x, y):
        wave_ = 0.5 + 0.5 * math.sin(x / 9) * math.cos(y / 7 + share * 3)
        grain = noise.random()
        value = share * wave_ + (1 - share) * grain
        return int(30 + 180 * value), int(60 + 130 * value * value), int(120 + 110 * (1 - value))

    png(path, 192, 128, pixel)
    foundations.save_artifact(str(path), "samples", step=epoch)


def sound(path):
    """Write a second of a fading tone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(
            b"".join(
                struct.pack("<h", int(9000 * math.sin(n / 5) * math.exp(-n / 4000)))
                for n in range(8000)
            )
        )


def main():
    """Train, as it seems."""
    quality = math.exp(-((math.log10(LEARNING_RATE) + 2) ** 2) / 0.8)
    floor = 0.12 + 0.9 * (1 - quality) + random.uniform(0, 0.08)
    print(f"{BOLD}Training {PARAMS.get('model', 'resnet18')}{PLAIN} for {EPOCHS} epochs")
    print(f"{DIM}{json.dumps(PARAMS)}{PLAIN}", flush=True)
    foundations.set_tag("model", str(PARAMS.get("model", "resnet18")))
    if LEARNING_RATE >= 0.5:
        foundations.set_tag("diverged")
    best = math.inf
    for epoch in range(EPOCHS):
        share = (epoch + 1) / EPOCHS
        for step in range(20):
            at = epoch * 20 + step
            train = floor * 0.8 + 2.2 * math.exp(-at / (20 * (2 + EPOCHS / 8)))
            foundations.log_metric("train/loss", train + random.gauss(0, 0.05), step=at)
        loss = floor + 2.2 * math.exp(-(epoch + 1) / (2 + EPOCHS / 8)) + random.gauss(0, 0.02)
        if LEARNING_RATE >= 0.5 and epoch > EPOCHS // 2:
            loss = math.nan
        accuracy = (
            0.0 if math.isnan(loss) else max(0.1, 0.97 - loss * 0.35 + random.gauss(0, 0.008))
        )
        rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * share))
        foundations.log_metrics(
            {"loss": loss, "accuracy": accuracy, "learning_rate": rate}, step=epoch
        )
        best = min(best, loss)
        colour = GREEN if loss <= best else YELLOW
        print(
            f"epoch {epoch + 1:3d}/{EPOCHS}  {colour}loss {loss:.4f}{PLAIN}"
            f"  accuracy {accuracy:.3f}  lr {rate:.2e}",
            flush=True,
        )
        if math.isnan(loss):
            print(f"{RED}WARNING: the loss is not a number{PLAIN}", file=sys.stderr, flush=True)
        if epoch % max(1, EPOCHS // 4) == 0 or epoch == EPOCHS - 1:
            sample_picture(epoch, share)
        time.sleep(PAUSE)
    write_report(best, PARAMS)
    sound(Path("sample.wav"))
    for name in ("report.html", "predictions.csv", "summary.json", "sample.wav", "notes.md"):
        foundations.save_artifact(name, Path(name).stem)
    Path("model.bin").write_bytes(random.randbytes(40_000))
    foundations.save_artifact("model.bin", "model")
    if PARAMS.get("crash"):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0; 23.69 GiB)")
    print(f"{BOLD}best loss {best:.4f}{PLAIN}")


main()
