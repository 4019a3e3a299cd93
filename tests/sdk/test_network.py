"""How servers are reached: addresses, proxies, and what a submission config may hold."""

from __future__ import annotations

import pytest

from foundations import network, scheduler_files
from foundations.client.address import Address
from foundations.errors import ConfigError, Unreachable

VARIABLES = [
    form(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for form in (str.lower, str.upper)
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix"),
    [
        ("http://lab", "lab", 80, ""),
        ("https://lab/", "lab", 443, ""),
        ("http://lab:5000/a/b/", "lab", 5000, "/a/b"),
        ("http://[::1]:5000", "::1", 5000, ""),
        ("https://[fd00::2]/atlas", "fd00::2", 443, "/atlas"),
    ],
)
def test_addresses(url, host, port, prefix):
    address = Address(url)
    assert (address.host, address.port, address.prefix) == (host, port, prefix)


@pytest.mark.parametrize(
    "url", ["lab:5000", "ftp://lab", "http://", "http://lab:port", "http://lab:99999"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Unreachable):
        Address(url)


@pytest.mark.parametrize(
    ("listed", "host", "is_direct"),
    [
        ("", "lab", False),
        ("lab", "lab", True),
        ("LAB", "lab", True),
        ("lab", "other-lab", False),
        ("example.org", "atlas.example.org", True),
        (".example.org", "atlas.example.org", True),
        ("*.example.org", "atlas.example.org", True),
        ("example.org", "example.org.evil", False),
        ("a, lab ,b", "lab", True),
        ("a lab b", "lab", True),
        ("*", "anything", True),
        ("lab:443", "lab", True),
        ("lab:5000", "lab", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "lab", False),
        ("fd00::/8", "fd00::5", True),
        ("fd00::5", "fd00::5", True),
        ("[fd00::5]:443", "fd00::5", True),
    ],
)
def test_servers_that_need_no_proxy(monkeypatch, listed, host, is_direct):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (network.proxy_for("https", host, 443) is None) is is_direct


def test_which_proxy_counts(monkeypatch):
    assert network.proxy_for("https", "lab", 443) is None
    monkeypatch.setenv("ALL_PROXY", "everything")
    monkeypatch.setenv("HTTPS_PROXY", "http://capitals:1")
    assert network.proxy_for("http", "lab", 80).host == "everything"
    assert network.proxy_for("https", "lab", 443).host == "capitals"
    monkeypatch.setenv("https_proxy", "http://us%40r:p%3Ass@small:2/")
    proxy = network.proxy_for("https", "lab", 443)
    assert (proxy.host, proxy.port, proxy.shown) == ("small", 2, "http://small:2")
    assert proxy.login == "Basic dXNAcjpwOnNz"
    for here in ("localhost", "127.0.0.1", "127.3.2.1", "::1"):
        assert network.proxy_for("https", here, 443) is None


@pytest.mark.parametrize("value", ["socks5://proxy:1080", "http://", "http://proxy:port"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, value):
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(ConfigError, match="https_proxy"):
        network.proxy_for("https", "lab", 443)


def test_keys_of_a_submission_config(tmp_path):
    path = str(tmp_path / "aws.config.yaml")
    old = dict.fromkeys(scheduler_files.OLD_KEYS, "/somewhere")
    said = scheduler_files.checked(path, {"scheduler_url": "http://lab:5000/", **old})
    assert said == {"url": "http://lab:5000", "ca_file": None, "worker": {}}
    said = scheduler_files.checked(path, {"scheduler_url": "https://lab", "ca_file": "lab.pem"})
    assert said["ca_file"] == str(tmp_path / "lab.pem")
    for wrong, named in (
        ({}, "scheduler_url is missing"),
        ({"scheduler_url": "lab"}, "scheduler_url"),
        ({"scheduler_ulr": "http://lab"}, "Did you mean 'scheduler_url'"),
        ({"scheduler_url": "http://lab", "ca_file": 3}, "ca_file"),
        ({"scheduler_url": "http://lab", "worker": "x"}, "worker"),
    ):
        with pytest.raises(ConfigError, match=named):
            scheduler_files.checked(path, wrong)
