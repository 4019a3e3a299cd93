"""What a job says of where in a cluster it runs: partition, account and the like. Pure."""

from __future__ import annotations

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

# Keys of job.config.yaml that become `JobSpec.cluster`, by the kind of cluster that has them.
KEYS_OF = {
    "slurm": ("partition", "account", "qos", "constraint", "sbatch", "pilot"),
    "ray": ("node_labels", "node_resources"),
}
KEYS = tuple(key for keys in KEYS_OF.values() for key in keys)

# What the server says to sbatch itself, or what would let a job be somebody else: long names, and
# the short ones of the same.
_OURS = {
    "array": "a", "chdir": "D", "comment": "", "cpus-per-task": "c", "error": "e", "export": "",
    "export-file": "", "get-user-env": "", "gid": "", "gres": "", "hold": "H", "input": "i",
    "job-name": "J", "mem": "", "no-requeue": "", "nodes": "N", "ntasks": "n", "open-mode": "",
    "output": "o", "parsable": "", "quiet": "Q", "requeue": "", "signal": "", "test-only": "",
    "time": "t", "uid": "", "wait": "W", "wrap": "", "partition": "p", "account": "A", "qos": "q",
    "constraint": "C", "clusters": "M", "help": "h", "version": "V", "usage": "",
}  # fmt: skip
_INSTEAD = {
    "time": "timeout", "mem": "ram", "cpus-per-task": "num_cpus", "gres": "num_gpus",
    "partition": "partition", "account": "account", "qos": "qos", "constraint": "constraint",
    "job-name": "name",
}  # fmt: skip


def read_cluster(values: Dict[str, Any], label: Any = str) -> Dict[str, Any]:
    """Return what of `values` speaks of the cluster, checked; `label` is how keys are written.

    Raises ConfigError.
    """
    found: Dict[str, Any] = {}
    for key in KEYS:
        value = values.get(key)
        if value is None or value == "" or value == [] or value == {}:
            continue
        read = _READERS.get(key, _name)
        found[key] = read(key, value, label)
    return found


def _name(key: str, value: Any, label: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or value[0] == "-":
        raise ConfigError("{} must be a name, not {!r}.".format(label(key), value))
    return value


def _choice(key: str, value: Any, label: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError("{} must be true or false, not {!r}.".format(label(key), value))
    return value


def _labels(key: str, value: Any, label: Any) -> Dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name.isprintable() and isinstance(wanted, (str, int))
        for name, wanted in value.items()
    ):
        raise ConfigError(
            "{} must hold `label: value` lines, not {!r}.".format(label(key), value),
            "Write: {}: {{zone: a}}.".format(key),
        )
    return {name: str(wanted) for name, wanted in value.items()}


def _amounts(key: str, value: Any, label: Any) -> Dict[str, float]:
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name.isprintable()
        and isinstance(wanted, (int, float)) and 0 < wanted < 1e9
        for name, wanted in value.items()
    ):  # fmt: skip
        raise ConfigError(
            "{} must hold `resource: amount` lines, not {!r}.".format(label(key), value),
            "Write: {}: {{fast_disk: 1}}.".format(key),
        )
    ours = [name for name in value if name in _RESOURCES]
    if ours:
        raise ConfigError(
            "{}: {} is not for it to set.".format(label(key), ours[0]),
            "Use {}.".format(_RESOURCES[ours[0]]),
        )
    return dict(value)


def _words(key: str, value: Any, label: Any) -> List[str]:
    """Check further options of sbatch; each is one word, so that none is taken for a script."""
    from foundations.contract.request import words

    listed = words(key, value)
    for word in listed:
        if len(word) < 2 or word[0] != "-" or word == "--" or not word.isprintable():
            raise ConfigError(
                "{}: {!r} is no option of sbatch in one word.".format(label(key), word),
                "Write a value behind '=': --mail-type=END.",
            )
        name = _long_name(word)
        if name is not None:
            instead = _INSTEAD.get(name)
            raise ConfigError(
                "{}: --{} is not for a job to set.".format(label(key), name),
                "Use {}.".format(instead) if instead else "Atlas sets it, or needs it as it is.",
            )
    return listed


def _long_name(word: str) -> Any:
    """Return the long name of an option that is ours, None for others.

    Long names may be cut short as far as they stay clear: what could mean one of ours is ours.
    """
    if word.startswith("--"):
        name = word[2:].partition("=")[0]
        if name in _OURS:
            return name
        return next((ours for ours in _OURS if len(name) > 2 and ours.startswith(name)), None)
    return next((name for name, short in _OURS.items() if short and short == word[1]), None)


_RESOURCES = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "ram"}
_READERS = {
    "sbatch": _words, "pilot": _choice, "node_labels": _labels, "node_resources": _amounts,
}  # fmt: skip
