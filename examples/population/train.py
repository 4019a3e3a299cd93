"""One member of the population: some steps of gradient descent, from its parent's weights on."""

import json
import os

import foundations

params = foundations.load_parameters()
# The parent's folder is fetched when this one is made, and kept under this job's own ID.
folder = foundations.create_syncable_directory("weights", source_job_id=params["parent"])
path = os.path.join(str(folder), "weights.json")
weights = {"x": -1.0, "y": 1.5}
if params["parent"]:
    with open(path, encoding="utf-8") as file:
        weights = json.load(file)

x, y = weights["x"], weights["y"]
for step in range(20):
    # Rosenbrock's valley, whose slopes are kept from throwing anybody out.
    slopes = 2 * (x - 1) - 40 * x * (y - x * x), 20 * (y - x * x)
    scale = params["learning_rate"] / max(1.0, *map(abs, slopes))
    x, y = x - scale * slopes[0], y - scale * slopes[1]
    foundations.log_metric("loss", (1 - x) ** 2 + 10 * (y - x * x) ** 2, step=step)

with open(path, "w", encoding="utf-8") as file:
    json.dump({"x": x, "y": y}, file)
folder.upload()
