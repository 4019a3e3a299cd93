"""The version of the wire: client and server work together when their API_VERSION is equal.

While it stays what it is, endpoints, fields of answers and what requests may say are only added:
versions of Atlas mix. CONTRIBUTING.md has the rule, tests/faults/test_upgrade.py keeps it.
"""

API_VERSION = "1"
VERSION_HEADER = "X-Atlas-Api"
SERVER_HEADER = "X-Atlas-Server"
"""Of errors: which Atlas has answered. Absent before 2.0.0.dev2."""

UNKNOWN_ROUTES = (": Not Found.", ": Method Not Allowed.")
"""How every server's message ends when it does not have what a newer client asks for."""
